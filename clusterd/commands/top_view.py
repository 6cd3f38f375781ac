"""The terminal's view of `clusterd top`: the only door to textual."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widgets import DataTable, Footer, Input, Static

from clusterd.commands.streams import printable
from clusterd.commands.top_cells import SPARE, TITLES, cells
from clusterd.errors import ClusterdError
from clusterd.traffic import NAME, Line, Sample, arranged, lines, routers_line

STOPPED = 130
_SAMPLES = 3  # rates are those of the last two steps: the kernel sums up every two seconds, at moments of its own
_MANY = 200  # lines, from which on virtual servers are folded at first
_NAME, _NUMBER = 16, 11  # columns that a name and a number need


class Top(App[None]):
    """What goes through this router, live. `source` looks once; `first` is its first look."""

    CSS = """
    #routers, #state { height: auto; }
    #state { text-style: dim; }
    #filter { display: none; height: 1; border: none; }
    DataTable { height: 1fr; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "stop", "stop", show=False, priority=True),
        Binding("c", "sort('connections')", "conn/s"),
        Binding("p", "sort('packets')", "packets"),
        Binding("b", "sort('bytes')", "bytes"),
        Binding("a", "sort('active')", "active"),
        Binding("n", f"sort('{NAME}')", "name"),
        Binding("slash", "filter", "filter"),
        Binding("escape", "no_filter", "all", show=False, priority=True),
        Binding("space", "pause", "pause"),
        Binding("e", "fold_all", "fold"),
    ]

    def __init__(
        self, source: Callable[[], Awaitable[Sample]], first: Sample, every_s: float, shown: tuple[str, str]
    ) -> None:
        super().__init__()
        self._source, self._every_s = source, every_s
        self._samples: deque[Sample] = deque([first], maxlen=_SAMPLES)
        self._order, self._wanted = shown
        self._trouble, self._paused = "", False
        names = {virtual.name for virtual in first.view.virtuals}
        many = sum(1 + len(virtual.servers) for virtual in first.view.virtuals) > _MANY
        self._folded = names if many else set[str]()
        self._looking = False

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="routers", markup=False)
        yield Static(id="state", markup=False)
        yield Input(id="filter", placeholder="name, address or state; Esc shows all", compact=True)
        yield DataTable(id="lines", cursor_type="row")
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """Begin to look."""
        self.set_interval(self._every_s, self.look)
        self._columns(self.size.width)
        self._table.focus()

    def on_resize(self, event: Resize) -> None:
        """Choose columns for the new width."""
        self._columns(event.size.width)

    @property
    def _table(self) -> "DataTable[str]":
        return self.query_one("#lines", DataTable)

    async def look(self) -> None:
        """Take a sample, and show it unless that is paused."""
        if self._paused or self._looking:
            return
        self._looking = True
        try:
            sample = await self._source()
        except ClusterdError as error:
            self._trouble = str(error)
        else:
            self._trouble = sample.note
            self._samples.append(sample)
        finally:
            self._looking = False
        self._draw()

    def shown(self) -> tuple[Line, ...]:
        """Return the lines that are shown."""
        found = lines(self._samples[0], self._samples[-1])
        return arranged(found, self._order, self._wanted, self._folded)

    def _columns(self, width: int) -> None:
        """Have as many columns as there is room for."""
        room = (width - _NAME) // _NUMBER
        left_out = SPARE[: max(0, len(TITLES) - 1 - room)]
        self._numbers = [number for number, title in enumerate(TITLES) if title not in left_out]
        self._table.clear(columns=True)
        for number in self._numbers:
            self._table.add_column(TITLES[number], key=TITLES[number])
        self._draw()

    def _draw(self) -> None:
        self.query_one("#routers", Static).update(printable(routers_line(self._samples[-1].view)))
        self.query_one("#state", Static).update(printable(self._state()))
        table = self._table
        at = self._under_cursor()
        table.clear()
        for line in self.shown():
            told = cells(line, line.virtual in self._folded)
            table.add_row(*(printable(told[number]) for number in self._numbers), key=f"{line.virtual}/{line.server}")
        if at is not None and at in table.rows:
            table.move_cursor(row=table.get_row_index(at))

    def _state(self) -> str:
        said = [f"by {self._order}"]
        said += [f"only {self._wanted!r}"] if self._wanted else []
        said += ["paused"] if self._paused else []
        said += [self._trouble] if self._trouble else []
        return ", ".join(said)

    def _under_cursor(self) -> str | None:
        table = self._table
        if not table.is_valid_coordinate(table.cursor_coordinate):
            return None
        return table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value

    def action_sort(self, order: str) -> None:
        """Sort by something else."""
        self._order = order
        self._draw()

    def action_pause(self) -> None:
        """Stop looking, or go on."""
        self._paused = not self._paused
        self._draw()

    def action_stop(self) -> None:
        """End as Ctrl-C does."""
        self.exit(return_code=STOPPED)

    def action_filter(self) -> None:
        """Ask what is to be shown."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def action_no_filter(self) -> None:
        """Show all again."""
        self.query_one("#filter", Input).clear()
        self._leave_filter()

    @on(Input.Changed, "#filter")
    def _wish(self, event: Input.Changed) -> None:
        self._wanted = event.value
        self._draw()

    @on(Input.Submitted, "#filter")
    def _leave_filter(self) -> None:
        self.query_one("#filter", Input).display = False
        self._table.focus()

    @on(DataTable.RowSelected)
    def _fold(self, event: DataTable.RowSelected) -> None:
        virtual = (event.row_key.value or "").partition("/")[0]
        self._folded ^= {virtual}
        self._draw()

    def action_fold_all(self) -> None:
        """Fold all virtual servers, or unfold them when all are folded."""
        names = {virtual.name for virtual in self._samples[-1].view.virtuals}
        self._folded = set() if names <= self._folded else names
        self._draw()
