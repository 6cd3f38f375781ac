"""The elections of two routers on one store in memory, over real datagrams: what each key in etcd brings about."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from clusterd import document, election
from clusterd.clock import boottime_s
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.reports import encoded
from clusterd.store.contract import Condition, Delete, Operation, Outcome, Put
from clusterd.store.memory import MemoryStore
from watchers.elections import About, Elections, Event
from watchers.events import Events
from watchers.holding import Taken
from watchers.lock import Lock

KEYS = Keys("test")
SECRET = b"common key"
DOCUMENT = """\
cluster:
  heartbeat: {{keepalive_s: 0.2, deadtime_s: {deadtime_s}, port: {port}{fast}}}
  groups: {groups}
{more}
routers:
  r1: {{public: 127.0.0.1, priority: 100}}
  r2: {{public: 127.0.0.2, priority: 50}}
"""
FAST = ", fast: {interval_ms: 50, misses: 4}"


async def until(condition: Callable[[], object], limit_s: float = 15) -> float:
    """Wait for a condition; return how long it took."""
    began_s = boottime_s()
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.01)
    return boottime_s() - began_s


class Node:
    """One router's elections, with a kernel that does at once what it should."""

    def __init__(self, name: str, store: MemoryStore, directory: Path) -> None:
        self.name, self.store, self._lease_file = name, store, directory / name
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._events = Events(name, store, KEYS)
        self.elections = Elections(name, store, KEYS, self._events, self._queue.put_nowait, self._changed)
        self.elections._peers.hosts = (f"127.0.0.{name[1:]}",)
        self._tasks: list[asyncio.Task[None]] = []
        self.alive = True

    async def start(self, cluster: Cluster) -> None:
        await self.elections.configure(cluster, SECRET)
        self.elections.take(election.Ready(True))
        await self.elections.begin(self._lease_file)
        self.elections.run()
        self._tasks = [asyncio.create_task(work()) for work in (self._pump, self._clock, self._events.run)]

    async def kill(self) -> None:
        """End as by kill -9."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.elections.end()
        await asyncio.sleep(0.01)  # the loop closes its sockets in its next round

    async def stop(self) -> None:
        """Hand over and end."""
        self.elections.take(election.Stop())
        await self.elections.hand_over()
        await self.kill()

    def _changed(self, group: str) -> None:
        now_s = boottime_s()
        if group in self.elections.active:
            self.elections.taken(Taken(group, now_s, now_s))
        else:
            self._queue.put_nowait(About(group, election.Cleared()))

    async def _pump(self) -> None:
        while True:
            self.elections.take(await self._queue.get())

    async def _clock(self) -> None:
        while True:
            await asyncio.sleep(self.elections.tick_s)
            self._queue.put_nowait(election.Tick())


class Pair:
    """Two routers and what they leave in the store."""

    def __init__(self, store: MemoryStore, directory: Path) -> None:
        self.store = store
        self.r1, self.r2 = (Node(name, store, directory) for name in ("r1", "r2"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])

    def cluster(self, groups: str = "{}", more: str = "", fast: str = "", deadtime_s: str = "2") -> Cluster:
        text = DOCUMENT.format(port=self.port, groups=groups, more=more, fast=fast, deadtime_s=deadtime_s)
        return document.parse(text)

    async def start(self, **settings: str) -> Cluster:
        """Start both, r1 first, so that it is active."""
        cluster = self.cluster(**settings)
        await self.r1.start(cluster)
        await until(lambda: self.r1.elections.active)
        await self.r2.start(cluster)
        await until(lambda: self.r2.elections.own.holder == "r1")
        return cluster

    async def told(self, number: int = 1) -> list[dict[str, Any]]:
        """Wait for so many takeovers; return them."""
        async with asyncio.timeout(10):
            while True:
                found = (await self.store.snapshot(KEYS.events_prefix)).entries
                if len(found) >= number:
                    return [json.loads(entry.value) for entry in found]
                await asyncio.sleep(0.02)

    async def put(self, key: str, **fields: Any) -> None:
        await self.store.transact([], [Put(key, encoded(fields))])


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    made = Pair(MemoryStore(), tmp_path)
    yield made
    await made.r1.kill()
    await made.r2.kill()


async def test_the_first_start_is_told_with_its_steps(pair: Pair) -> None:
    await pair.start()
    (told,) = await pair.told()
    token = pair.r1.elections.own.token
    assert (told["kind"], told["group"], told["token"], told["cause"]) == ("takeover", "default", token, "first start")
    assert told["router"] == "r1"
    assert 0 < told["steps"]["claimed"] <= told["steps"]["added"] <= told["steps"]["announced"]
    (event,) = (await pair.store.snapshot(KEYS.events_prefix)).entries
    assert event.lease_id


async def test_two_routers_work_at_once_each_in_its_group(pair: Pair) -> None:
    await pair.r1.start(pair.cluster(groups="{shop: {priorities: {r1: 1, r2: 2}}}"))
    await pair.r2.start(pair.cluster(groups="{shop: {priorities: {r1: 1, r2: 2}}}"))
    await until(lambda: pair.r1.elections.active == {"default"} and pair.r2.elections.active == {"shop"})
    await pair.r1.stop()
    await until(lambda: pair.r2.elections.active == {"default", "shop"})
    assert {event["group"] for event in await pair.told(3)} == {"default", "shop"}


async def test_a_switchover_key_moves_the_group_and_expires_without_a_trace(pair: Pair) -> None:
    await pair.start()
    await pair.told()
    token = pair.r1.elections.own.token
    await pair.put(KEYS.switchover(), to="r2", token=token, by="tester", at="", why="a test")
    assert await until(lambda: pair.r2.elections.active) < 2
    assert not pair.r1.elections.active
    told = await pair.told(2)
    assert (told[1]["cause"], told[1]["former"]) == ("switchover", "r1")
    await pair.store.transact([], [Delete(KEYS.switchover())])
    await asyncio.sleep(0.3)
    assert pair.r2.elections.active


async def test_the_lease_on_disk_is_gone_before_a_lock_is_given_away_and_back_afterwards(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, gone, plain = tmp_path / "r1", list[bool](), pair.store.transact

    async def transact(conditions: Sequence[Condition], operations: Sequence[Operation]) -> Outcome:
        if any(isinstance(each, Delete) and each.key.startswith(KEYS.active_prefix) for each in operations):
            gone.append(not file.exists())
        return await plain(conditions, operations)

    monkeypatch.setattr(pair.store, "transact", transact)
    await pair.start()
    await until(file.exists)
    pair.r1.elections._tasks.spawn(pair.r1.elections._file.keep(1, []))  # one that is under way when the order comes
    await asyncio.sleep(0)
    pair.r1.elections.take(About("default", election.Switchover("r2", pair.r1.elections.own.token)))
    await until(lambda: not pair.r1.elections.own.token)
    assert gone == [True]
    await until(file.exists)
    assert int(file.read_text().split()[0]) == pair.r1.elections.own.lease_id


@pytest.mark.parametrize("other_s", [4, 12])
async def test_another_deadtime_is_in_force_soon_and_the_holder_keeps_its_lock(
    pair: Pair, other_s: int, tmp_path: Path
) -> None:
    began = await pair.start(deadtime_s="6")
    token = pair.r1.elections.own.token
    other = pair.cluster(deadtime_s=str(other_s))
    for node in (pair.r1, pair.r2):
        await node.elections.configure(other, SECRET)

    async def lasts() -> set[float]:
        leases = {node.elections.own.lease_id for node in (pair.r1, pair.r2)}
        return {await pair.store.time_left_s(lease) for lease in leases}

    def moved() -> bool:
        assert pair.r1.elections.active == {"default"}
        return all(
            node.elections.own.lease_id != lease and not node.elections.own.next_lease.lease_id
            for node, lease in before.items()
        )

    before = {node: node.elections.own.lease_id for node in (pair.r1, pair.r2)}
    await until(moved)
    assert began.settings.heartbeat.deadtime_s not in {round(left_s) for left_s in await lasts()}
    assert all(other_s - 2 < left_s <= other_s for left_s in await lasts())
    (entry,) = (await pair.store.snapshot(KEYS.active_prefix)).entries
    assert (entry.create_revision, entry.lease_id) == (token, pair.r1.elections.own.lease_id)
    await until(lambda: (tmp_path / "r1").exists())
    assert (tmp_path / "r1").read_text().split() == [str(entry.lease_id), str(token)]
    await pair.r1.kill()
    assert await until(lambda: pair.r2.elections.active) < other_s + 2


@pytest.mark.parametrize(("token", "lease"), [(1, 0), (0, 1)])
async def test_a_lock_that_is_not_as_believed_is_not_moved_but_told(pair: Pair, token: int, lease: int) -> None:
    await pair.start()
    own = pair.r1.elections.own
    lock = Lock(pair.store, KEYS.active("default"), KEYS.last("default"), "r1")
    seen = await lock.move(election.Move(own.token + token, own.lease_id + lease, own.lease_id))
    assert (seen.holder, seen.token, seen.lease_id) == ("r1", own.token, own.lease_id)


async def test_a_restart_goes_on_with_the_lease_only_while_that_lives_and_says_so(
    pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = await pair.start()
    lease_id = pair.r1.elections.own.lease_id
    await until((tmp_path / "r1").exists)
    caplog.set_level("INFO", "clusterd.router")
    said = {}
    for case, text in (("kept", None), ("ended", f"{lease_id + 1000} 1"), ("unreadable", "soon")):
        await pair.r1.kill()
        if text:
            (tmp_path / "r1").write_text(text)
        caplog.clear()
        pair.r1 = Node("r1", pair.store, tmp_path)
        await pair.r1.start(cluster)
        said[case] = caplog.text
    assert f"going on with lease {lease_id:x}" in said["kept"]
    assert f"lease {lease_id + 1000:x} from before the restart has ended" in said["ended"]
    assert "the lease from before the restart is left: invalid literal" in said["unreadable"]


async def test_an_unreadable_order_moves_nothing(pair: Pair) -> None:
    await pair.start()
    await pair.store.transact([], [Put(KEYS.switchover(), b"go away")])
    await asyncio.sleep(0.3)
    assert pair.r1.elections.active


async def test_a_better_router_asks_for_the_lock_by_an_order_of_its_own(pair: Pair) -> None:
    cluster = pair.cluster(more="  preempt_after_s: 1")
    await pair.r2.start(cluster)
    await until(lambda: pair.r2.elections.active)
    await pair.told()
    await pair.r1.start(cluster)
    assert await until(lambda: pair.r1.elections.active) > 0.9
    told = await pair.told(2)
    assert (told[1]["cause"], told[1]["router"]) == ("preempt", "r1")
    order = await pair.store.get(KEYS.switchover())
    assert order is not None
    assert order.lease_id


@pytest.mark.parametrize("who", ["r2", "all"])
async def test_while_paused_a_router_leaves_the_lock_alone(pair: Pair, who: str) -> None:
    await pair.start()
    await pair.put(KEYS.pause(who), by="tester", at="", until="", why="")
    await until(lambda: pair.r2.elections.own.paused)
    await pair.told()
    await pair.r1.stop()
    await until(lambda: pair.r2.elections.own.holder == "")
    await asyncio.sleep(1)
    assert not pair.r2.elections.active
    await pair.store.transact([], [Delete(KEYS.pause(who))])
    await until(lambda: pair.r2.elections.active)
    assert (await pair.told(2))[1]["cause"] == "hand-over"


async def test_in_fast_mode_a_dead_router_is_replaced_before_its_lease_ends(pair: Pair) -> None:
    await pair.start(fast=FAST)
    await pair.told()
    await until(lambda: pair.r2.elections.own.pulse.token)
    await pair.r1.kill()
    assert await until(lambda: pair.r2.elections.active) < 1.2
    assert (await pair.told(2))[1]["cause"] == "fast"
    assert (await pair.store.get(KEYS.active())) is not None


async def test_in_fast_mode_a_living_holder_keeps_its_lock(pair: Pair) -> None:
    await pair.start(fast=FAST)
    await asyncio.sleep(2.5)
    assert pair.r1.elections.active


async def test_without_fast_mode_the_lease_has_to_end(pair: Pair) -> None:
    await pair.start()
    await pair.told()
    await pair.r1.kill()
    assert await until(lambda: pair.r2.elections.active) > 1
    assert (await pair.told(2))[1]["cause"] == "lease ended"


async def test_a_lock_that_somebody_deletes_is_claimed_again_and_the_cause_is_told(pair: Pair) -> None:
    await pair.start()
    await pair.told()
    entry = await pair.store.get(KEYS.active())
    assert entry is not None
    await pair.store.transact([], [Put(KEYS.router("r1"), b"{}", entry.lease_id), Delete(KEYS.active())])
    told = await pair.told(2)
    assert (told[1]["cause"], told[1]["former"]) == ("lock deleted", "r1")
    await until(lambda: len(pair.r1.elections.active) + len(pair.r2.elections.active) == 1)


async def test_a_group_that_the_configuration_gives_up_is_given_away_and_can_come_back(pair: Pair) -> None:
    await pair.start(groups="{shop: {}}")
    await until(lambda: pair.r1.elections.active == {"default", "shop"})
    await pair.r1.elections.configure(pair.cluster(), SECRET)
    await until(lambda: set(pair.r1.elections.states) == {"default"})
    await until(lambda: pair.r2.elections.active == {"shop"})
    await pair.r1.elections.configure(pair.cluster(groups="{shop: {}}"), SECRET)
    await until(lambda: pair.r1.elections.states["shop"].holder == "r2")
    assert pair.r1.elections.active == {"default"}


async def test_events_wait_in_memory_while_etcd_is_away_and_the_last_ones_are_written(pair: Pair) -> None:
    events = Events("r9", pair.store, KEYS)
    pair.store.down = True
    for number in range(250):
        events.record("test", f"number {number}", number=number)
    running = asyncio.create_task(events.run())
    await asyncio.sleep(0.1)
    pair.store.down = False
    told = await pair.told(200)
    running.cancel()
    assert sorted(event["number"] for event in told) == list(range(50, 250))
    assert max(event.get("lost_before", 0) for event in told) == 50


@pytest.mark.parametrize(("deadtime_s", "fast", "lasts_s"), [("2", "", 10), ("2", FAST, 2), ("12", "", 12)])
async def test_who_leaves_for_a_restart_has_its_locks_under_a_lease_that_lasts_until_the_next_process_goes_on(
    pair: Pair, tmp_path: Path, deadtime_s: str, fast: str, lasts_s: int
) -> None:
    cluster = await pair.start(deadtime_s=deadtime_s, fast=fast, groups="{shop: {}}")
    await until(lambda: pair.r1.elections.active == {"default", "shop"})
    tokens = [state.token for state in pair.r1.elections.states.values()]
    await pair.r1.elections.lengthen()
    await pair.r1.elections.refresh()
    file = (tmp_path / "r1").read_text().split()
    locks = (await pair.store.snapshot(KEYS.active_prefix)).entries
    assert {lock.lease_id for lock in locks} == {pair.r1.elections.own.lease_id} == {int(file[0])}
    assert sorted(map(int, file[1:])) == sorted(tokens) == sorted(lock.create_revision for lock in locks)
    left_s = await pair.store.time_left_s(int(file[0]))
    assert lasts_s - 0.5 < left_s <= lasts_s
    await pair.r1.kill()
    if fast:
        return
    pair.r1 = Node("r1", pair.store, tmp_path)
    await pair.r1.start(cluster)
    claimed_s = pair.r1.elections.active_until("default") - boottime_s()
    assert claimed_s <= int(deadtime_s), "no more is claimed than is configured"
    await until(lambda: pair.r1.elections.own.lease_id != int(file[0]) or lasts_s == 12, 1)
    assert await pair.store.time_left_s(pair.r1.elections.own.lease_id) <= int(deadtime_s)
    assert [state.token for state in pair.r1.elections.states.values()] == tokens


async def test_a_backup_that_leaves_for_a_restart_keeps_its_lease(pair: Pair, tmp_path: Path) -> None:
    await pair.start()
    await until((tmp_path / "r2").exists)
    lease_id = pair.r2.elections.own.lease_id
    await pair.r2.elections.lengthen()
    await pair.r2.elections.refresh()
    assert pair.r2.elections.own.lease_id == lease_id == int((tmp_path / "r2").read_text().split()[0])
