"""Tables on the terminal, live ones too: the only door to rich.

On a terminal a table fits its width, long texts fold in their last column; elsewhere a row is one line. Colours are
for terminals only, and NO_COLOR takes them away.
"""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click
from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from clusterd.commands.streams import printable

_UNBOUNDED = 10_000
_ROOM = 18  # columns that the last column of a table, which folds, has at least
_GAP = 2


@dataclass(frozen=True, slots=True)
class Cell:
    """A text in one colour."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """A table. Empty columns are left out; on a narrow terminal those in `spare` too, the first ones first."""

    titles: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]
    spare: Sequence[str] = ()


Part = Rows | Cell


def show(parts: Sequence[Part]) -> None:
    """Print parts one below the other, on the terminal or wherever stdout goes."""
    console = _console()
    with console.capture() as captured:
        console.print(_drawn(parts, console))
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()), color=True)


@contextmanager
def live() -> Iterator[Callable[[Sequence[Part]], None]]:
    """Give a function that shows parts in place of what it showed before; below it where stdout is no terminal."""
    console = _console()
    if not console.is_terminal or console.is_dumb_terminal:
        yield show
        return
    with Live(console=console, screen=True, auto_refresh=False) as display:
        yield lambda parts: display.update(_drawn(parts, console), refresh=True)


def _console() -> Console:
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _UNBOUNDED
    elif console.is_dumb_terminal:  # rich does not ask those for their size
        console.size = ConsoleDimensions(*shutil.get_terminal_size())
    return console


def _drawn(parts: Sequence[Part], console: Console) -> Group:
    return Group(*(_text(part) if isinstance(part, Cell) else _table(part, console.width) for part in parts))


def _table(rows: Rows, width: int) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    shown = _shown(rows, width)
    for number in shown:
        last = number == shown[-1]
        table.add_column(rows.titles[number], no_wrap=not last, overflow="fold" if last else "ellipsis")
    for row in rows.rows:
        table.add_row(*(_text(_cell(row[number])) for number in shown))
    return table


def _shown(rows: Rows, width: int) -> list[int]:
    """Return the columns that are shown, by their numbers."""
    cells = {number: [_cell(row[number]).text for row in rows.rows] for number in range(len(rows.titles))}
    wide = {n: max(map(cell_len, [rows.titles[n], *texts])) for n, texts in cells.items() if any(texts)}
    for title in rows.spare:
        last = max(wide, default=0)
        if sum(size + _GAP for size in wide.values()) - wide.get(last, 0) + min(_ROOM, wide.get(last, 0)) <= width:
            break
        wide.pop(rows.titles.index(title), None)
    return list(wide)


def _cell(given: Cell | str) -> Cell:
    return given if isinstance(given, Cell) else Cell(given)


def _text(cell: Cell) -> Text:
    return Text(printable(cell.text), style=cell.style)
