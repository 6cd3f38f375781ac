"""clusterd top: on a terminal a live view, elsewhere one table; by textual's own pilot, and as a command."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Static

from clusterd import settings
from clusterd.commands.top_view import STOPPED, Top
from clusterd.counters import Counters
from clusterd.desired import destination_key, service_key
from clusterd.errors import ApplyError
from clusterd.model import Cluster
from clusterd.overview import Observed, overview
from clusterd.plane import Key
from clusterd.reports import RouterReport
from clusterd.traffic import Sample
from tests.clusterd.command_line import CommandLine
from tests.clusterd.examples import manual
from tests.clusterd.terminal import Terminal
from tests.watchers.test_local_socket import listening, sight

CLUSTER = manual()
MAIL = CLUSTER.virtuals["web"].model_copy(update={"port": 25})
BOTH = CLUSTER.model_copy(update={"virtuals": {"mail": MAIL, "web": CLUSTER.virtuals["web"]}})


class Kernel:
    """Counts: web gets 20 connections a look, 12 of them to rs2; mail gets 1,000 bytes. `down` says what is wrong."""

    def __init__(self, cluster: Cluster = BOTH) -> None:
        self.looks, self.down, self.note, self._cluster = 0, "", "", cluster

    async def __call__(self) -> Sample:
        if self.down:
            raise ApplyError(self.down)
        self.looks += 1
        return self.sample(self.looks)

    def sample(self, look: int) -> Sample:
        web, counters = self._cluster.virtuals["web"], dict[Key, Counters]()
        counters[service_key(web)] = Counters(connections=20 * look, active=7)
        counters[destination_key(web, "rs1")] = Counters(connections=8 * look, active=3)
        counters[destination_key(web, "rs2")] = Counters(connections=12 * look, active=4)
        for name in {"mail"} & self._cluster.virtuals.keys():
            counters[service_key(self._cluster.virtuals[name])] = Counters(connections=look, bytes_in=1000 * look)
        routers = {"r1": RouterReport(role="active", ready=True)}
        seen = Observed(routers=routers, leases_s={"r1": 2.0}, counters=counters, counted_by="r1")
        return Sample(float(look), overview("main", 1, self._cluster, seen), self.note)


def names(app: Top) -> list[str]:
    """Return the first column as it is shown."""
    table = app.query_one(DataTable)
    return [str(table.get_row_at(row)[0]) for row in range(table.row_count)]


def said(app: Top, where: str) -> str:
    return str(app.query_one(f"#{where}", Static).content)


def run(
    steps: Callable[[Top, Pilot[None], Kernel], Awaitable[None]],
    kernel: Kernel | None = None,
    size: tuple[int, int] = (120, 30),
) -> Top:
    """Have somebody at the view for some steps, a coroutine that gets the view, the pilot and the kernel."""
    counting = kernel or Kernel()
    app = Top(counting, counting.sample(0), 3600.0, ("connections", ""))

    async def whole() -> None:
        async with app.run_test(size=size) as pilot:
            await steps(app, pilot, counting)

    asyncio.run(whole())
    return app


def test_the_busiest_come_first_and_every_look_counts_anew() -> None:
    async def steps(app: Top, pilot: Pilot[None], kernel: Kernel) -> None:
        assert names(app) == ["- mail", "  rs1", "  rs2", "  rs3", "- web", "  rs1", "  rs2", "  rs3"]
        await app.look()
        assert names(app) == ["- web", "  rs2", "  rs1", "  rs3", "- mail", "  rs1", "  rs2", "  rs3"]
        table = app.query_one(DataTable)
        assert table.get_row_at(1)[:3] == ["  rs2", "12", "0"]
        assert said(app, "routers") == "r1 active, lease 2 s  r2 silent"

    run(steps)


def test_keys_sort_and_the_cursor_stays_with_its_line() -> None:
    async def steps(app: Top, pilot: Pilot[None], kernel: Kernel) -> None:
        await app.look()
        table = app.query_one(DataTable)
        table.move_cursor(row=1)
        await pilot.press("b")
        assert names(app)[0] == "- mail"
        assert names(app)[table.cursor_row] == "  rs2"
        assert table.cursor_row > 4
        await pilot.press("n")
        assert said(app, "state") == "by name"
        for key in ("p", "a", "c"):
            await pilot.press(key)
        assert names(app)[0] == "- web"

    run(steps)


def test_a_filter_is_typed_and_taken_back() -> None:
    async def steps(app: Top, pilot: Pilot[None], kernel: Kernel) -> None:
        await pilot.press("slash", *"rs2", "enter")
        assert names(app) == ["- mail", "  rs2", "- web", "  rs2"]
        assert said(app, "state") == "by connections, only 'rs2'"
        assert isinstance(app.focused, DataTable)
        await pilot.press("slash")
        assert isinstance(app.focused, Input)
        await pilot.press("escape")
        assert len(names(app)) == 8

    run(steps)


def test_a_pause_stops_the_looking() -> None:
    async def steps(app: Top, pilot: Pilot[None], kernel: Kernel) -> None:
        await pilot.press("space")
        await app.look()
        assert (kernel.looks, said(app, "state")) == (0, "by connections, paused")
        await pilot.press("space")
        await app.look()
        assert kernel.looks == 1

    run(steps)


def test_virtual_servers_fold_one_by_one_and_all_together() -> None:
    async def steps(app: Top, pilot: Pilot[None], kernel: Kernel) -> None:
        await pilot.press("enter")
        assert names(app)[:2] == ["+ mail", "- web"]
        await pilot.press("e")
        assert names(app) == ["+ mail", "+ web"]
        await pilot.press("e")
        assert len(names(app)) == 8

    run(steps)


def test_many_lines_are_folded_at_first() -> None:
    web = CLUSTER.virtuals["web"]
    many = {f"v{n}": web.model_copy(update={"port": n + 1000}) for n in range(60)}
    kernel = Kernel(CLUSTER.model_copy(update={"virtuals": {"web": web, **many}}))

    async def steps(app: Top, pilot: Pilot[None], kernel: Kernel) -> None:
        assert len(names(app)) == 61

    run(steps, kernel)


def test_what_cannot_be_seen_is_told_and_goes_again() -> None:
    async def steps(app: Top, pilot: Pilot[None], kernel: Kernel) -> None:
        kernel.down = "no router tells"
        await app.look()
        assert said(app, "state") == "by connections, no router tells"
        kernel.down, kernel.note = "", "etcd does not answer"
        await app.look()
        assert said(app, "state") == "by connections, etcd does not answer"
        kernel.note = ""
        await app.look()
        assert said(app, "state") == "by connections"

    run(steps)


def test_a_narrow_terminal_shows_what_matters_most() -> None:
    async def steps(app: Top, pilot: Pilot[None], kernel: Kernel) -> None:
        table = app.query_one(DataTable)
        assert [str(column.label) for column in table.ordered_columns] == ["VIRTUAL/SERVER", "CONN/S", "STATE"]
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        shown = [str(column.label) for column in table.ordered_columns]
        assert shown == ["VIRTUAL/SERVER", "CONN/S", "IN/S", "OUT/S", "ACTIVE", "STATE"]
        assert len(names(app)) == 8

    run(steps, size=(40, 12))


def test_it_ends_by_q_with_0_and_by_ctrl_c_with_130() -> None:
    async def quits(app: Top, pilot: Pilot[None], kernel: Kernel) -> None:
        await pilot.press("q")

    async def stops(app: Top, pilot: Pilot[None], kernel: Kernel) -> None:
        await pilot.press("ctrl+c")

    assert run(quits).return_code == 0
    assert run(stops).return_code == STOPPED


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setattr(settings, "PATIENCE_S", 1.0)
    return CommandLine("http://127.0.0.1:1", "main", tmp_path)


def test_without_a_terminal_one_table_is_printed_also_while_etcd_is_down(alone: CommandLine) -> None:
    with listening(alone.folder / "main.sock", sight):
        ended = alone("top", "--interval", "0.2", CLUSTERD_RUN_DIR=str(alone.folder))
        told = alone("top", "--once", "--json", "--interval", "0.2", CLUSTERD_RUN_DIR=str(alone.folder))
    assert ended.code == told.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == "etcd does not answer: this is what router r1 knows"
    assert lines[1].startswith("r1 active, lease ")
    assert [line.split()[:3] for line in lines[4:6]] == [["-", "web", "0"], ["rs1", "0", "0"]]
    assert told.json["counted_by"] == "r1"
    assert told.json["lines"][0]["rates"]["connections"] == 0.0


def test_without_a_router_here_it_says_where_it_works(alone: CommandLine) -> None:
    ended = alone("top", "--once", CLUSTERD_RUN_DIR=str(alone.folder))
    assert (ended.code, ended.out) == (1, "")
    assert "main.sock: run this on a router's host" in ended.err


def test_on_a_terminal_it_lives_until_it_is_ended(alone: CommandLine) -> None:
    variables = {"CLUSTERD_RUN_DIR": str(alone.folder), "TERM": "xterm", "COLUMNS": "100", "LINES": "24"}
    with listening(alone.folder / "main.sock", sight):
        with Terminal(alone, "top", **variables) as terminal:
            terminal.until("VIRTUAL/SERVER")
            terminal.until("rs1")
            terminal.type("q")
            assert terminal.end() == 0
        with Terminal(alone, "top", **variables) as terminal:
            terminal.until("rs1")
            terminal.type("\x03")
            assert terminal.end() == 130
    assert "Traceback" not in terminal.seen


def test_other_commands_do_not_load_what_only_top_needs() -> None:
    program = "import sys; from clusterd.commands import main; main(['--help'], standalone_mode=False)"
    told = f"{program}; sys.stderr.write(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert not {"textual", "paramiko", "pyroute2"} & set(done.stderr.split())
