"""What a router tells on its own host, which needs no etcd."""

import asyncio
import json
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from clusterd import settings
from clusterd.clock import boottime_s
from clusterd.counters import Counters
from clusterd.dataplane.memory import MemoryPlane
from clusterd.desired import desired, destination_key, scope, service_key
from clusterd.errors import ApplyError
from clusterd.health import Verdict
from clusterd.keys import Keys
from clusterd.observing import Local, Planned, local
from clusterd.plane import Destination, Key, Plane, Scope
from clusterd.reports import Event, Followed
from clusterd.store.memory import MemoryStore
from clusterd.weights import Pool, Standing
from tests.clusterd.command_line import CommandLine
from tests.clusterd.examples import manual
from watchers.kernel_follower import Wanted
from watchers.kernel_writer import KernelWriter
from watchers.last_good import LastGood
from watchers.local_socket import MODE, LocalSocket, Sight, answer, planned
from watchers.router import Places, Router
from watchers.status import Status

CLUSTER = manual()
WEB = CLUSTER.virtuals["web"]
UP = {("web", label): True for label in WEB.servers}
WANTED = Wanted(3, desired(CLUSTER, UP), scope(CLUSTER), {})
STATUS = Status(
    role="active",
    since="2026-01-31T10:00:00.000Z",
    token=7,
    groups={},
    head=3,
    applied=3,
    follows=Followed(number=3, hash="hash"),
    converged=True,
    ready=True,
    not_ready=(),
    problems=("so dark",),
    undoes=True,
)


def sight(**changes: object) -> Sight:
    made = Sight(
        router="r1",
        cluster_name="main",
        followed=LastGood(3, "hash", CLUSTER, b"secret"),
        status=STATUS,
        tokens={"default": 7},
        until_s=boottime_s() + 2,
        heard_s=boottime_s() - 40,
        verdicts={
            ("web", "rs1"): Verdict(True, 1_769_853_600.0, "status 200"),
            ("web", "rs2"): Verdict(False, 1_769_853_600.0, "refused"),
        },
        pools={"web": Pool({"rs1": Standing(2), "rs2": Standing(None)})},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def counted(_: Scope) -> Mapping[Key, Counters]:
    return {
        service_key(WEB): Counters(connections=12, active=5, connections_rate=2, bytes_in_rate=1500),
        destination_key(WEB, "rs1"): Counters(connections=12, active=5, connections_rate=2, bytes_in_rate=1500),
    }


def answered(seen: Sight | Wanted) -> bytes:
    return planned("r1", seen, kernel) if isinstance(seen, Wanted) else answer(seen, counted)


def kernel(_: Scope) -> Plane:
    """A kernel that lacks rs2 and has another weight for rs1."""
    item = WANTED.plane[destination_key(WEB, "rs1")]
    assert isinstance(item, Destination)
    key = destination_key(WEB, "rs2")
    rest = {found: each for found, each in WANTED.plane.items() if found != key}
    return {**rest, item.key: replace(item, weight=9)}


def uncounted(_: Scope) -> Mapping[Key, Counters]:
    raise ApplyError("the kernel has no IPVS")


def test_a_router_tells_what_it_knows_of_itself_its_servers_and_its_kernel() -> None:
    told = Local.model_validate_json(answer(sight(), counted))
    view = told.overview
    assert (told.router, view.cluster, view.commit, view.told_by, view.counted_by) == (
        "r1",
        "main",
        3,
        "router r1",
        "r1",
    )
    assert told.silent_s is not None
    assert 40 <= told.silent_s < 50
    me, other = view.routers
    assert (me.role, me.alive, me.problems, me.holds[0].token) == ("active", True, ("so dark",), 7)
    assert me.lease_left_s is not None
    assert 1 < me.lease_left_s <= 2
    assert (other.name, other.role, other.alive) == ("r2", "unknown", None)
    rs1, rs2, rs3 = view.virtuals[0].servers
    assert (rs1.state, rs1.effective_weight, rs1.counters and rs1.counters.active) == ("up", 2, 5)
    assert (rs2.state, rs2.detail, rs2.counters) == ("down", "refused", None)
    assert rs3.state == "unchecked"
    assert view.alarms == ("router r1: so dark",)
    assert b"secret" not in answer(sight(), counted)


def test_what_cannot_be_counted_is_left_out() -> None:
    view = Local.model_validate_json(answer(sight(), uncounted)).overview
    assert (view.counted_by, view.virtuals[0].counters) == ("", None)


@pytest.mark.parametrize("until_s", [float("inf"), float("-inf")])
def test_who_holds_for_ever_or_not_at_all_has_no_margin(until_s: float) -> None:
    view = Local.model_validate_json(answer(sight(until_s=until_s, tokens={}), counted)).overview
    assert view.routers[0].lease_left_s is None
    assert view.alarms == ("router r1: so dark",)


@contextmanager
def listening(path: Path, seen: Sight | Wanted | Callable[[], Sight] | None) -> Iterator[None]:
    """Have a router's socket there, in a thread of its own, which tells `seen`, or what that returns."""
    loop = asyncio.new_event_loop()

    async def told() -> Sight | Wanted | None:
        return seen() if callable(seen) else seen

    task = loop.create_task(LocalSocket[Sight | Wanted](path, told, answered).run())

    def serve() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            loop.run_until_complete(loop.shutdown_default_executor())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        while not path.exists():
            assert thread.is_alive()
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


async def test_the_socket_is_for_its_group_and_goes_with_the_service(tmp_path: Path) -> None:
    path = tmp_path / "main.sock"
    path.touch()  # left over
    assert await local(path) is None
    path.unlink()
    with listening(path, sight()):
        assert stat.S_IMODE(path.stat().st_mode) == MODE
        told = await asyncio.gather(*(local(path) for _ in range(10)))
        assert [one and one.router for one in told] == ["r1"] * 10
    assert not path.exists()
    assert await local(path) is None


async def test_while_nothing_is_known_and_when_too_many_ask_the_answer_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "main.sock"
    with listening(path, None):
        assert await local(path) is None
    with listening(path, sight()):
        told = await asyncio.gather(*(local(path) for _ in range(40)))
        assert any(told)
        assert (await local(path)) is not None


async def test_whoever_leaves_before_the_answer_harms_nobody(tmp_path: Path) -> None:
    path = tmp_path / "main.sock"
    with listening(path, sight()):
        for _ in range(5):
            with socket.socket(socket.AF_UNIX) as gone:
                gone.connect(str(path))
        assert (await local(path)) is not None


async def test_a_place_that_cannot_be_used_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def nothing() -> None:
        return None

    task = asyncio.create_task(LocalSocket[Sight](tmp_path / "no" / "main.sock", nothing, answered).run())
    await asyncio.sleep(0.05)
    assert not task.done()
    assert "will not work without etcd" in caplog.text
    task.cancel()
    await asyncio.wait([task])


async def test_a_router_that_follows_nothing_yet_tells_nothing(tmp_path: Path) -> None:
    places = Places(tmp_path / "good.json", tmp_path / "lease", tmp_path / "lvs.cf")
    writer = KernelWriter(lambda: MemoryPlane(boottime_s))
    assert await Router("r1", MemoryStore(), Keys("main"), writer, places).sight() is None


# --- the commands, while etcd is down -------------------------------------------------------------------------------


@pytest.fixture
def clusterd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setattr(settings, "PATIENCE_S", 1.0)
    return CommandLine("http://127.0.0.1:1", "main", tmp_path)


def test_while_etcd_is_down_status_is_what_the_local_router_knows(clusterd: CommandLine) -> None:
    here = {"CLUSTERD_RUN_DIR": str(clusterd.folder)}
    with listening(clusterd.folder / "main.sock", sight()):
        ended = clusterd("status", **here)
        told = clusterd("status", "web", "--json", **here)
    assert ended.code == told.code == 4
    lines = ended.out.splitlines()
    assert lines[0].startswith("etcd does not answer, for 4")
    assert lines[0].endswith("s already: this is what router r1 knows")
    assert lines[1] == "cluster main, commit 3: applied by r1"
    rs1 = next(line.split() for line in lines if "rs1" in line)
    assert rs1[:4] == ["rs1", "192.168.1.1:80", "up", "2"]
    assert rs1[-8:] == ["5", "2", "1.5", "kB", "0", "B", "status", "200"]
    assert lines[-1] == "connections and rates are those of router r1"
    assert "etcd" in ended.err
    assert told.json["told_by"] == "router r1"


def test_while_etcd_is_down_explain_is_what_the_local_router_knows(clusterd: CommandLine) -> None:
    here = {"CLUSTERD_RUN_DIR": str(clusterd.folder)}
    with listening(clusterd.folder / "main.sock", sight()):
        ended = clusterd("explain", "web/rs2", **here)
    assert ended.code == 4
    assert ended.out.splitlines()[0] == "web/rs2 (192.168.1.2:80): not in the pool"
    assert "refused, says r1, which decides" in ended.out
    assert "by default" not in ended.out


def test_while_etcd_is_down_watching_goes_on_every_second_or_so(clusterd: CommandLine) -> None:
    variables = {"CLUSTERD_RUN_DIR": str(clusterd.folder)}
    with (
        listening(clusterd.folder / "main.sock", sight()),
        clusterd.start("status", "--watch", "--json", stdout=subprocess.PIPE, variables=variables) as process,
    ):
        assert process.stdout
        process.stdout.readline()  # after etcd's time
        began_s = time.monotonic()
        for _ in range(3):
            assert json.loads(process.stdout.readline())["told_by"] == "router r1"
        assert time.monotonic() - began_s < 3 * 3
        process.send_signal(signal.SIGTERM)


EVENTS = tuple(
    Event(id=f"id{n}", time=f"2026-01-31T10:00:0{n}.000Z", kind="takeover", text="r1 is active", router="r1")
    for n in (1, 2, 3)
)


def test_while_etcd_is_down_events_are_those_that_the_local_router_recorded(clusterd: CommandLine) -> None:
    here = {"CLUSTERD_RUN_DIR": str(clusterd.folder)}
    with listening(clusterd.folder / "main.sock", sight(events=EVENTS)):
        ended = clusterd("events", "-n", "2", **here)
        told = clusterd("events", "--json", **here)
    assert ended.code == told.code == 4
    assert ended.out == (
        "2026-01-31T10:00:02.000Z  r1  takeover  r1 is active\n2026-01-31T10:00:03.000Z  r1  takeover  r1 is active\n"
    )
    assert "these are only the events that router r1 recorded" in ended.err
    assert [one["id"] for one in told.json] == ["id1", "id2", "id3"]


def test_events_are_followed_while_etcd_is_down(clusterd: CommandLine) -> None:
    told = [sight(events=EVENTS[:2])]
    with listening(clusterd.folder / "main.sock", lambda: told[0]):
        variables = {"CLUSTERD_RUN_DIR": str(clusterd.folder)}
        with clusterd.start(
            "events", "-f", "-n", "1", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE, variables=variables
        ) as process:
            assert process.stdout
            assert json.loads(process.stdout.readline())["id"] == "id2"
            told[0] = sight(events=EVENTS)
            assert json.loads(process.stdout.readline())["id"] == "id3"
            process.send_signal(signal.SIGTERM)


def test_where_no_router_is_on_this_host_only_the_error_is_told(clusterd: CommandLine) -> None:
    ended = clusterd("status", CLUSTERD_RUN_DIR=str(clusterd.folder))
    assert (ended.code, ended.out) == (4, "")
    assert "etcd" in ended.err


# --- what it would do to its kernel ---------------------------------------------------------------------------------


def broken(_: Scope) -> Plane:
    raise ApplyError("the kernel has no IPVS")


def test_plan_shows_what_is_to_do_and_ends_with_6(clusterd: CommandLine) -> None:
    here = {"CLUSTERD_RUN_DIR": str(clusterd.folder)}
    todo = [
        "set destination tcp 1.2.3.1:80 -> 192.168.1.1:80 nat weight 2",
        "add destination tcp 1.2.3.1:80 -> 192.168.1.2:80 nat weight 1",
    ]
    with listening(clusterd.folder / "main.plan.sock", WANTED):
        ended, told = clusterd("plan", **here), clusterd("plan", "--json", **here)
    assert (ended.code, sorted(ended.out.splitlines())) == (6, sorted(todo))
    assert ended.err == "router r1: 2 to do for commit 3\n"
    assert (told.code, told.json["router"], told.json["commit"]) == (6, "r1", 3)
    assert sorted(told.json["operations"]) == sorted(todo)


def test_plan_shows_nothing_where_all_is_well(clusterd: CommandLine) -> None:
    with listening(clusterd.folder / "main.plan.sock", replace(WANTED, plane=kernel(WANTED.scope))):
        ended = clusterd("plan", CLUSTERD_RUN_DIR=str(clusterd.folder))
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "nothing to do: the kernel of r1 is as commit 3 wants it\n"


def test_plan_without_a_router_says_where_it_works(clusterd: CommandLine) -> None:
    ended = clusterd("plan", CLUSTERD_RUN_DIR=str(clusterd.folder))
    assert (ended.code, ended.out) == (1, "")
    assert "main.plan.sock: run this on a router's host" in ended.err


def test_a_kernel_that_cannot_be_read_is_told_instead_of_a_plan() -> None:
    told = Planned.model_validate_json(planned("r1", WANTED, broken))
    assert (told.problem, told.operations) == ("the kernel has no IPVS", ())
