"""What reaches a router's weights: keys of others and of agents, counted connections, readings; and what it tells."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from clusterd.clock import boottime_s
from clusterd.counters import Counters
from clusterd.desired import destination_key
from clusterd.document import from_data
from clusterd.health import Verdict
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.plane import Key, Scope
from clusterd.reports import encoded
from clusterd.store.contract import Delete, Put
from clusterd.store.memory import MemoryStore
from clusterd.weights import Drains, Reading
from tests.watchers.test_router import until
from watchers import weighing
from watchers.load_messages import LoadReport
from watchers.opinions import Opinions
from watchers.problems import Problems
from watchers.tasks import Tasks
from watchers.weighing import Surroundings, Weighing

KEYS = Keys("test")


def cluster(**more: Any) -> Cluster:
    servers = {"rs1": {"address": "10.0.0.1", "weight": 2}, "rs2": {"address": "10.0.0.2"}}
    web = {"address": "1.2.3.1/24", "interface": "eth0", "port": 80, "servers": servers, **more}
    return from_data({"routers": {"r1": {"public": "1.2.3.2"}, "r2": {"public": "1.2.3.3"}}, "virtuals": {"web": web}})


class Rig:
    """The weighing of r1 on the store in memory."""

    def __init__(self) -> None:
        self.store, self.tasks = MemoryStore(), Tasks()
        self.holder, self.deaf, self.changes = "r1", False, 0
        self.counters: dict[Key, Counters] = {}
        around = Surroundings(lambda _: self.holder, lambda: self.deaf, self._active, self._count)
        opinions = Opinions("r1", lambda *_: None, Problems())
        self.weighing = Weighing("r1", self.store, KEYS, around, opinions, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    def _active(self) -> frozenset[str]:
        return frozenset({"default"} if self.holder == "r1" else ())

    async def _count(self, _: Scope) -> Mapping[Key, Counters]:
        return self.counters

    def begin(self, wanted: Cluster, drains: Drains | None = None) -> None:
        verdicts = {("web", label): Verdict(True, 0, "asked") for label in wanted.virtuals["web"].servers}
        self.weighing.configure(wanted, verdicts, drains or {})
        self.weighing.look_on(100)
        self.weighing.run(self.tasks)

    async def put(self, key: str, **value: Any) -> None:
        await self.store.transact([], [Put(key, encoded(value))])

    @property
    def weights(self) -> dict[str, int | None]:
        return {label: one.weight for label, one in self.weighing.pools["web"].standings.items()}


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(weighing, "COUNT_S", 0.05)
    made = Rig()
    yield made
    await made.tasks.end()


async def test_what_is_configured_is_wanted_without_asking_for_a_look_at_the_kernel(rig: Rig) -> None:
    rig.begin(cluster())
    assert (rig.weights, rig.changes, rig.weighing.keys()) == ({"rs1": 2, "rs2": 1}, 0, {})


async def test_when_all_virtual_servers_may_be_others_a_look_is_at_some_of_them_and_says_that_there_are_more(
    rig: Rig,
) -> None:
    web = cluster().virtuals["web"]
    many = {f"web{number}": web for number in range(2 * weighing.AT_ONCE + 1)} | {"web": web}
    rig.begin(cluster().model_copy(update={"virtuals": many}))
    rig.weighing.look()
    assert not rig.weighing.behind
    rig.holder = "r2"
    rig.weighing.tick()
    looks = 1
    while rig.weighing.behind:
        rig.weighing.look()
        looks += 1
    assert looks == 3


async def test_a_verdict_changes_what_is_wanted(rig: Rig) -> None:
    rig.begin(cluster())
    rig.weighing.learned(("web", "rs1"), Verdict(False, 0, "refused"))
    rig.weighing.look()
    assert (rig.weights, rig.changes) == ({"rs1": None, "rs2": 1}, 1)


async def test_a_backup_follows_the_active_routers_verdicts_and_its_own_while_etcd_is_silent(rig: Rig) -> None:
    rig.holder = "r2"
    rig.begin(cluster())
    rig.weighing.tick()
    await rig.put(KEYS.health("web", "rs1", "r2"), up=False, detail="refused")
    await until(lambda: rig.weights["rs1"] is None)
    rig.deaf = True
    rig.weighing.tick()
    assert rig.weights["rs1"] == 2
    rig.deaf = False
    rig.weighing.tick()
    assert rig.weights["rs1"] is None
    rig.holder = "r1"
    rig.weighing.tick()
    assert rig.weights["rs1"] == 2


async def test_an_external_party_takes_a_server_out_by_a_key_and_its_end_brings_it_back(rig: Rig) -> None:
    rig.begin(cluster())
    key = KEYS.health("web", "rs1", "external-ops")
    await rig.put(key, up=False, detail="burns")
    await until(lambda: rig.weights["rs1"] is None)
    (value,) = rig.weighing.keys().values()
    (factor,) = json.loads(value)["servers"]["rs1"]["factors"]
    assert (factor["name"], factor["why"]) == ("forced", "external-ops forces it down: burns")
    assert factor["since"].endswith("Z")
    await rig.store.transact([], [Delete(key)])
    await until(lambda: rig.weights["rs1"] == 2)


async def test_an_agents_key_is_load_and_its_wish_a_drain(rig: Rig) -> None:
    rig.begin(cluster(load={"source": "agent"}))
    assert rig.weights == {"rs1": 200, "rs2": 100}
    await rig.put(KEYS.load("rs1"), load=9.0, cores=1)
    await rig.put(KEYS.load("rs2"), load=0.0, cores=1)
    await until(lambda: rig.weights == {"rs1": 150, "rs2": 125})
    await rig.put(KEYS.load("rs1"), load=9.0, cores=1, drain=True, why="reboot")
    await until(lambda: rig.weights["rs1"] == 0)
    told = json.loads(rig.weighing.keys()[KEYS.weights("web", "r1")])
    assert told["servers"]["rs1"]["weight"] == 0
    assert told["servers"]["rs1"]["factors"][0]["why"] == "its agent asks for it: reboot"


async def test_only_the_active_router_tells_of_weights_and_the_same_words_until_they_change(rig: Rig) -> None:
    rig.begin(cluster(load={"source": "agent"}))
    before = rig.weighing.keys()
    assert list(before) == [KEYS.weights("web", "r1")]
    assert rig.weighing.keys()[KEYS.weights("web", "r1")] is before[KEYS.weights("web", "r1")]
    rig.holder = "r2"
    assert rig.weighing.keys() == {}


async def test_a_reading_of_a_source_changes_the_weight_and_one_of_nobody_nothing(rig: Rig) -> None:
    rig.begin(cluster(load={"source": "http", "port": 1}))
    now_s = boottime_s()
    for label, load in (("rs2", 0.0), ("rs1", 9.0)):
        rig.weighing._load_read(LoadReport(virtual="web", server=label, reading=Reading(now_s, load)))
    assert rig.weights == {"rs1": 150, "rs2": 125}
    rig.weighing._load_read(LoadReport(virtual="web", server="rs9", silence="no such server"))
    rig.begin(cluster(load={"source": "ssh"}))
    rig.weighing._load_read(LoadReport(virtual="gone", server="rs1", silence="no such virtual server"))


async def test_a_drained_server_leaves_when_the_kernel_counts_no_connection(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterd.weights.courses.SETTLE_S", 0.0)
    servers = {"rs1": {"address": "10.0.0.1", "drain": True}, "rs2": {"address": "10.0.0.2"}}
    wanted = cluster(servers=servers, drain_deadline_s=3600)
    key = destination_key(wanted.virtuals["web"], "rs1")
    rig.counters = {key: Counters(active=0, inactive=1)}
    rig.begin(wanted)
    await asyncio.sleep(0.3)
    assert rig.weights["rs1"] == 0
    rig.counters = {key: Counters(active=0, inactive=0)}
    await until(lambda: rig.weights["rs1"] is None)


async def test_a_service_that_starts_again_does_not_wait_anew_for_a_drained_server(rig: Rig) -> None:
    servers = {"rs1": {"address": "10.0.0.1", "drain": True}, "rs2": {"address": "10.0.0.2"}}
    wanted = cluster(servers=servers, drain_deadline_s=600)
    rig.begin(wanted, {"web/rs1": time.time() - 590})
    assert rig.weights["rs1"] == 0
    again = Rig()
    again.begin(wanted, {"web/rs1": time.time() - 600})
    assert again.weights["rs1"] is None
    await again.tasks.end()


async def test_time_alone_moves_a_slow_start(rig: Rig) -> None:
    rig.begin(cluster(slow_start={"duration_s": 0.5}))
    rig.weighing.learned(("web", "rs1"), Verdict(False, 0, "refused"))
    rig.weighing.look()
    rig.weighing.learned(("web", "rs1"), Verdict(True, 0, "asked"))
    rig.weighing.look()
    seen = set()
    async with asyncio.timeout(10):
        while rig.weights["rs1"] != 200:
            seen.add(rig.weights["rs1"])
            rig.weighing.tick()
            await asyncio.sleep(0.01)
    assert len(seen) > 3
    assert rig.changes <= 12


async def test_a_virtual_server_that_goes_is_forgotten(rig: Rig) -> None:
    rig.begin(cluster(load={"source": "agent"}))
    rig.weighing.configure(Cluster(), {}, {})
    rig.weighing.look_on(100)
    assert (rig.weighing.pools, rig.weighing.keys()) == ({}, {})
    rig.weighing.learned(("web", "rs1"), Verdict(False, 0, "late"))
    rig.weighing.look()
