"""The router service on the store and the kernel in memory, with a real prober and real servers on loopback."""

import asyncio
import contextlib
import json
import os
import pwd
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from clusterd import configuration, document, undoing
from clusterd import desired as wish
from clusterd.clock import boottime_s
from clusterd.configuration import Committed
from clusterd.dataplane.memory import MemoryPlane
from clusterd.errors import ApplyError, StoreUnavailable
from clusterd.history import Author, Signature
from clusterd.keys import Keys
from clusterd.observing import Local
from clusterd.pending import Pending
from clusterd.plane import (
    Address,
    Claimed,
    Destination,
    DestinationKey,
    Failure,
    Key,
    Operation,
    Removed,
    Service,
    ServiceKey,
    SyncDaemon,
    Verb,
)
from clusterd.store.contract import Condition, Delete, Deleted, DeletePrefix, Lease, Outcome, Put
from clusterd.store.contract import Operation as StoreOperation
from clusterd.store.memory import MemoryStore
from tests.store.etcd_server import free_ports
from watchers.elections import RESTART_S
from watchers.kernel_writer import KernelWriter
from watchers.local_socket import answer
from watchers.router import WHY_DRY, Places, Router

KEYS = Keys("test")
DOCUMENT = """\
cluster:
  heartbeat: {{port: PEERS}}
  nat_router: {{address: 10.9.9.254/24, interface: lan}}
  masquerade: [{{source: 10.9.9.0/24, interface: wan}}]
routers:
  r1: {{public: 127.0.0.1}}
virtuals:
  web:
    address: 10.9.8.1/24
    interface: wan
    port: 80
    check: {{type: tcp, interval_s: 0.2, timeout_s: 0.2, fall: 1, rise: 1}}
    servers:
      rs1: {{address: 127.0.0.1, port: {port}, weight: 2}}
""".replace("PEERS", str(free_ports(1)[0]))  # another router on this host may have the usual one


async def until(condition: Callable[[], object], limit_s: float = 10) -> None:
    """Wait for a condition. The test's own timeout is the bound that matters."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.02)


def signed() -> Signature:
    return Signature(Author(user="tester", host="here"), datetime.now(UTC), "a test")


class Kernel(MemoryPlane):
    """Remembers what was done, and refuses what it is told to."""

    def __init__(self) -> None:
        super().__init__(boottime_s)
        self.done: list[Operation] = []
        self.refused: set[Key] = set()
        self.fixed = False  # lifetimes cannot be changed
        self.busy_s = 0.0  # everything that is written takes so long

    def apply(self, operations: Sequence[Operation], until_s: float) -> tuple[Failure, ...]:
        time.sleep(self.busy_s)
        self.done += operations
        bad = tuple(Failure(o, "Invalid argument") for o in operations if o.item.key in self.refused)
        return bad + super().apply([o for o in operations if o.item.key not in self.refused], until_s)

    def renew(self, addresses: Iterable[Address], until_s: float) -> tuple[Failure, ...]:
        if self.fixed:
            return tuple(Failure(Operation(Verb.SET, each), "Operation not permitted") for each in addresses)
        return super().renew(addresses, until_s)


@dataclass
class Rig:
    """One router and everything around it."""

    store: MemoryStore
    kernel: Kernel
    places: Places
    web: asyncio.Server
    port: int
    router: Router | None = None
    running: asyncio.Task[None] | None = None

    async def commit(self, text: str, base: Committed | None = None) -> Committed:
        return await configuration.commit(self.store, KEYS, base, document.parse(text), signed())

    def start(self, dry_run: bool = False) -> Router:
        writer = KernelWriter(lambda: self.kernel, dry_run=dry_run)
        self.router = Router("r1", self.store, KEYS, writer, self.places)
        self.running = asyncio.create_task(self.router.run())
        return self.router

    async def crash(self) -> None:
        """End without handing over, as kill -9 would."""
        if self.running:
            self.running.cancel()
            await asyncio.wait([self.running])
            self.router = None

    async def serving(self) -> None:
        """Wait until everything is in place."""
        await until(lambda: self.items(Destination) and len(self.items(Address)) == 2)
        await self.told(lambda status: status.get("applied") == 1 and status["role"] == "active")

    async def told(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the status key says something; return it."""
        async with asyncio.timeout(10):
            while not condition(status := await self.status()):
                await asyncio.sleep(0.02)
            return status

    async def stop(self) -> None:
        if self.router and self.running:
            self.router.stop()
            await self.running
            self.router = None

    async def left_for_a_restart(self) -> None:
        """Start a router, and have it end as one that is started again at once."""
        router = self.start()
        await self.serving()
        router.leave()
        assert self.running
        await self.running

    def items(self, kind: type) -> list[Any]:
        return [item for item in tuple(self.kernel.items.values()) if isinstance(item, kind)]

    def held(self, base: Committed) -> list[Address]:
        """The floating addresses that the kernel has at this moment."""
        found = self.kernel.read(wish.scope(base.cluster))
        return [address for address in wish.floating(base.cluster) if address.key in found]

    async def status(self) -> dict[str, Any]:
        entry = await self.store.get(KEYS.router("r1"))
        return json.loads(entry.value) if entry else {}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    web = await asyncio.start_server(serve, "127.0.0.1", 0)
    places = Places(tmp_path / "good.json", tmp_path / "lease", tmp_path / "lvs.cf")
    made = Rig(MemoryStore(), Kernel(), places, web, web.sockets[0].getsockname()[1])
    yield made
    await made.stop()
    made.web.close()
    await made.web.wait_closed()


async def test_a_commit_reaches_the_kernel_and_the_router_becomes_active(rig: Rig) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await rig.serving()
    assert [d.weight for d in rig.items(Destination)] == [2]
    assert {str(a.address.ip) for a in rig.items(Address)} == {"10.9.8.1", "10.9.9.254"}
    await until(lambda: set(rig.kernel.announced) == set(rig.items(Address)))
    await until(rig.places.lvs_cf.exists)
    assert "virtual web {" in rig.places.lvs_cf.read_text()


async def test_a_changed_weight_is_one_operation(rig: Rig) -> None:
    base = await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await rig.serving()
    rig.kernel.done.clear()
    await rig.commit(DOCUMENT.format(port=rig.port).replace("weight: 2", "weight: 7"), base)
    await rig.told(lambda status: status.get("applied") == 2)
    assert [str(o) for o in rig.kernel.done] == [
        f"set destination tcp 10.9.8.1:80 -> 127.0.0.1:{rig.port} nat weight 7"
    ]


async def test_connections_are_told_to_the_others_from_before_the_addresses_come_until_after_they_went(
    rig: Rig,
) -> None:
    text = DOCUMENT.format(port=rig.port)
    base = await rig.commit(text.replace("cluster:", "cluster:\n  sync: {interface: lan}", 1))
    rig.start()
    await rig.serving()
    await until(lambda: {daemon.role for daemon in rig.items(SyncDaemon)} == {"master", "backup"})
    done = [str(o.item).split()[0:3] for o in rig.kernel.done if isinstance(o.item, SyncDaemon | Address)]
    assert done.index(["sync", "daemon", "master"]) < done.index(["address", "10.9.8.1/24", "on"])
    await rig.commit(text, base)
    await until(lambda: not rig.items(SyncDaemon))
    await rig.told(lambda status: status.get("applied") == 2)


async def test_a_router_that_stopped_goes_on_telling_of_its_last_connections(rig: Rig) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port).replace("cluster:", "cluster:\n  sync: {interface: lan}", 1))
    rig.start()
    await rig.serving()
    await rig.stop()
    assert rig.items(Address) == []
    assert {daemon.role for daemon in rig.items(SyncDaemon)} == {"master", "backup"}


async def test_a_router_without_carrier_or_without_neighbours_is_not_ready_and_says_why(rig: Rig) -> None:
    text = DOCUMENT.format(port=rig.port)
    base = await rig.commit(text)
    rig.start()
    await rig.serving()
    await rig.told(lambda status: status["ready"])
    rig.kernel.set_carrier("wan", up=False)
    await rig.told(lambda status: (status["ready"], status["not_ready"]) == (False, ["wan has no carrier"]))
    rig.kernel.set_carrier("wan", up=True)
    await rig.told(lambda status: status["ready"])
    rig.kernel.neighbours = frozenset({IPv4Address("10.9.8.254")})
    hosts = "  reachability: {hosts: [10.9.8.254], interval_s: 0.1, timeout_s: 0.5}\n"
    await rig.commit(text.replace("cluster:\n", "cluster:\n" + hosts, 1), base)
    await rig.told(lambda status: status["applied"] == 2)
    await asyncio.sleep(1)
    assert (await rig.status())["ready"]
    rig.kernel.neighbours = frozenset()
    await rig.told(lambda status: (status["ready"], status["not_ready"]) == (False, ["10.9.8.254 does not answer"]))


async def test_an_address_that_somebody_removes_is_back_at_once(rig: Rig) -> None:
    base = await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await rig.serving()
    vip = wish.floating(base.cluster)[1]
    rig.kernel.announced.clear()
    rig.kernel.meddle(Removed(vip.key))
    assert vip not in rig.held(base)
    async with asyncio.timeout(1):
        await until(lambda: vip in rig.held(base) and vip in rig.kernel.announced)


async def test_an_address_that_another_host_claims_is_announced_at_once_and_that_is_told(rig: Rig) -> None:
    base = await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await rig.serving()
    vip = wish.floating(base.cluster)[1]
    await until(lambda: rig.kernel.announced.count(vip) >= 4)
    rig.kernel.announced.clear()
    rig.kernel.meddle(Claimed(vip.key, "02:00:00:00:00:99"))
    async with asyncio.timeout(1):
        await until(lambda: rig.kernel.announced == [vip])
    problem = "another host (02:00:00:00:00:99) claims 10.9.8.1 on wan"
    await rig.told(lambda status: status["problems"] == [problem])


async def test_the_last_server_stays_when_it_stops_and_the_router_says_why(rig: Rig) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await rig.serving()
    rig.web.close()
    key = KEYS.weights("web", "r1")
    async with asyncio.timeout(5):
        while not (entry := await rig.store.get(key)):
            await asyncio.sleep(0.02)
    told = json.loads(entry.value)
    assert told["alarms"] == ["fail open: rs1 stay in the pool although their checks fail"]
    assert [(f["name"], told["servers"]["rs1"]["weight"]) for f in told["servers"]["rs1"]["factors"]] == [
        ("fail open", 2)
    ]
    assert rig.items(Destination)
    await rig.stop()


async def test_a_server_that_stops_leaves_the_pool_and_its_key_says_why(rig: Rig) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port).replace("    servers:", "    fail_open: 0\n    servers:"))
    rig.start()
    await rig.serving()
    rig.web.close()
    await until(lambda: not rig.items(Destination))
    key = KEYS.health("web", "rs1", "r1")
    async with asyncio.timeout(5):
        while not (entry := await rig.store.get(key)) or json.loads(entry.value)["up"]:
            await asyncio.sleep(0.02)
    assert json.loads(entry.value)["detail"] == "connection refused"
    assert rig.items(Service), "an empty service is a legal state"


async def test_a_router_that_alone_sees_the_servers_down_keeps_them_and_makes_way(rig: Rig) -> None:
    text = DOCUMENT.format(port=rig.port).replace(
        "  r1: {public: 127.0.0.1}\n", "  r1: {public: 127.0.0.1}\n  r2: {public: 127.0.0.2}\n"
    )
    await rig.commit(text + f"      rs2: {{address: 127.0.0.3, port: {rig.port}}}\n")
    rig.start()
    await until(lambda: len(rig.items(Destination)) == 1)  # rs2 is not there, at least for r1
    await rig.told(lambda status: status.get("role") == "active")
    up = json.dumps({"up": True, "detail": "asked"}).encode()
    health = [Put(KEYS.health("web", server, "r2"), up) for server in ("rs1", "rs2")]
    await rig.store.transact([], [*health, Put(KEYS.router("r2"), json.dumps({"ready": True}).encode())])
    rig.web.close()
    async with asyncio.timeout(10):
        while not (order := await rig.store.get(KEYS.switchover())):
            await asyncio.sleep(0.02)
    said = json.loads(order.value)
    assert (said["to"], said["why"]) == ("r2", "2 of 2 real servers cannot be reached, r2 can")
    assert len(rig.items(Destination)) == 2


async def test_stopping_removes_the_addresses_and_the_lock_and_nothing_else(rig: Rig) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await rig.serving()
    await rig.stop()
    assert rig.items(Address) == []
    assert rig.items(Service)
    assert rig.items(Destination)
    assert await rig.store.get(KEYS.active()) is None
    assert await rig.store.get(KEYS.router("r1")) is None


async def test_a_restart_with_nothing_changed_writes_nothing_and_keeps_the_lock(rig: Rig) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await rig.serving()
    await until(rig.places.last_good.exists)
    lock = await rig.store.get(KEYS.active())
    await rig.crash()
    rig.kernel.done.clear()
    rig.start()
    await rig.told(lambda status: status.get("role") == "active" and status["since"] != "")
    await asyncio.sleep(2)
    assert await rig.store.get(KEYS.active()) == lock
    assert [str(o) for o in rig.kernel.done if o.verb == "delete" or not isinstance(o.item, Address)] == []
    assert len(rig.items(Address)) == 2


async def test_who_is_restarted_leaves_the_next_process_a_long_lease_and_addresses_that_live_as_long(rig: Rig) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port))
    router = rig.start()
    await rig.serving()
    assert rig.running
    router.leave()
    router.leave()  # whoever is asked twice leaves once
    await rig.running
    left_s = min(rig.kernel.ends_s.values()) - boottime_s()
    assert left_s > RESTART_S - 2.5
    lease_id = int(rig.places.lease.read_text().split()[0])
    assert {e.lease_id for e in (await rig.store.snapshot(KEYS.active_prefix, KEYS.routers_prefix)).entries} == {
        lease_id
    }
    assert await rig.store.time_left_s(lease_id) > left_s
    assert len(rig.items(Address)) == 2


async def test_who_goes_on_after_a_restart_cuts_the_addresses_down_before_the_lock_is_under_a_shorter_lease(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port))
    await rig.left_for_a_restart()
    lock, moved, plain = await rig.store.get(KEYS.active()), list[float](), rig.store.transact

    async def transact(conditions: Sequence[Condition], operations: Sequence[StoreOperation]) -> Outcome:
        if any(isinstance(each, Put) and each.key == KEYS.active() for each in operations):
            moved.append(max(rig.kernel.ends_s.values()) - boottime_s())
        return await plain(conditions, operations)

    monkeypatch.setattr(rig.store, "transact", transact)
    rig.kernel.done.clear()
    rig.kernel.busy_s = 0.7
    rig.start()
    await until(lambda: moved)
    (left_s,) = moved
    assert left_s <= 3
    now = await rig.store.get(KEYS.active())
    assert lock
    assert now
    assert (now.create_revision, now.lease_id != lock.lease_id) == (lock.create_revision, True)
    assert [str(o) for o in rig.kernel.done if o.verb == "delete" or not isinstance(o.item, Address)] == []


async def test_a_service_that_cannot_cut_down_what_the_kernel_was_told_does_not_go_on(rig: Rig) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port))
    await rig.left_for_a_restart()
    rig.kernel.fixed = True
    rig.start()
    assert rig.running
    with pytest.raises(ApplyError, match="Operation not permitted"):
        await rig.running
    rig.router = None


async def test_who_is_restarted_while_etcd_is_away_leaves_with_what_it_has(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port))
    router = rig.start()
    await rig.serving()

    async def grant(_: int) -> Lease:
        raise StoreUnavailable("no etcd member answered")

    monkeypatch.setattr(rig.store, "grant", grant)
    assert rig.running
    router.leave()
    await rig.running
    assert "whoever comes next has less time: no etcd member answered" in caplog.text
    assert len(rig.items(Address)) == 2


async def test_a_restart_does_not_let_a_drained_server_begin_its_time_anew(rig: Rig) -> None:
    text = DOCUMENT.format(port=rig.port).replace("weight: 2", "drain: true")
    await rig.commit(text.replace("    servers:", "    drain_deadline_s: 3600\n    servers:"))
    rig.start()
    await rig.serving()
    await until(rig.places.last_good.exists)
    saved = json.loads(rig.places.last_good.read_text())
    assert list(saved["drains"]) == ["web/rs1"]
    await rig.crash()
    rig.start()
    await rig.told(lambda status: status.get("role") == "active" and status["since"] != "")
    assert json.loads(rig.places.last_good.read_text())["drains"] == saved["drains"]
    assert len(rig.items(Destination)) == 1
    await rig.crash()
    saved["drains"]["web/rs1"] -= 3600
    rig.places.last_good.write_text(json.dumps(saved))
    rig.start()
    await until(lambda: not rig.items(Destination))


async def test_a_router_that_starts_while_all_checks_fail_keeps_a_share_of_the_servers(rig: Rig) -> None:
    rig.web.close()
    await rig.web.wait_closed()
    await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await until(lambda: [d.weight for d in rig.items(Destination)] == [2])
    entry = None
    async with asyncio.timeout(10):
        while entry is None:
            entry = await rig.store.get(KEYS.weights("web", "r1"))
            await asyncio.sleep(0.02)
    assert json.loads(entry.value)["alarms"] == ["fail open: rs1 stay in the pool although their checks fail"]


async def test_a_router_starts_from_its_file_while_the_store_is_away(rig: Rig) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await rig.serving()
    await until(rig.places.last_good.exists)
    await rig.stop()
    rig.kernel.items.clear()
    rig.store.down = True
    rig.start()
    await until(lambda: rig.items(Service) and rig.items(Destination))
    assert rig.items(Address) == []
    rig.store.down = False


async def test_the_addresses_stay_through_an_outage_of_the_store_when_every_other_router_promises(rig: Rig) -> None:
    base = await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await rig.serving()
    operator = rig.store.connect()
    rig.store.down = True
    for _ in range(50):  # longer than the lease
        await asyncio.sleep(0.1)
        assert len(rig.held(base)) == 2
    rig.store.down = False
    await configuration.commit(
        operator, KEYS, base, document.parse(DOCUMENT.format(port=rig.port).replace("weight: 2", "weight: 3")), signed()
    )
    await until(lambda: [d.weight for d in rig.items(Destination)] == [3])


async def test_with_release_the_addresses_go_before_the_lease_ends(rig: Rig) -> None:
    base = await rig.commit(DOCUMENT.format(port=rig.port).replace("cluster:", "cluster:\n  on_store_loss: release", 1))
    rig.start()
    await rig.serving()
    began_s = boottime_s()
    rig.store.down = True
    await until(
        lambda: not rig.kernel.read(wish.scope(base.cluster)).keys() & {a.key for a in wish.floating(base.cluster)}
    )
    assert boottime_s() - began_s < 3
    assert rig.items(Service)
    rig.store.down = False


async def test_an_emptied_store_changes_nothing_and_is_told(rig: Rig) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await rig.serving()
    await rig.store.transact([], [DeletePrefix(KEYS.prefix + "config/"), Delete(KEYS.head)])
    problem = "etcd holds no configuration any more, commit 1 stays in force"
    await rig.told(lambda status: any(problem in each for each in status["problems"]))
    assert rig.items(Destination)
    assert len(rig.items(Address)) == 2


async def test_a_key_that_no_commit_wrote_is_told_and_not_followed(rig: Rig) -> None:
    base = await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await rig.serving()
    key = KEYS.config_object(1, "virtuals/web")
    past = json.loads((await rig.store.get(key) or pytest.fail("no key")).value)
    past["servers"]["rs1"]["weight"] = 99
    head = await rig.store.get(KEYS.head)
    assert head is not None
    await rig.store.transact([], [Put(key, json.dumps(past).encode()), Put(KEYS.head, head.value)])
    problem = "virtuals/web in etcd is not what was committed: the commit is followed"
    await rig.told(lambda status: status["problems"] == [problem])
    assert [d.weight for d in rig.items(Destination)] == [2]
    assert base.number == 1


async def test_an_object_that_the_kernel_refuses_is_told_and_the_rest_is_applied(rig: Rig) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port))
    rig.kernel.refused.add(
        DestinationKey(ServiceKey("tcp", IPv4Address("10.9.8.1"), 80), IPv4Address("127.0.0.1"), rig.port)
    )
    rig.start()
    status = await rig.told(lambda status: any("refused" in p for p in status.get("problems", ())))
    assert not status["converged"]
    assert rig.items(Service)
    await until(lambda: len(rig.items(Address)) == 2)
    rig.kernel.refused.clear()
    await rig.told(lambda status: status["converged"] and not status["problems"])
    assert rig.items(Destination)


async def test_a_commit_that_nobody_confirms_is_undone(rig: Rig) -> None:
    base = await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await rig.serving()
    soon = Pending(number=2, due=datetime.now(UTC) + timedelta(seconds=1), reason="confirm")
    changed = document.parse(DOCUMENT.format(port=rig.port).replace("weight: 2", "weight: 7"))
    await configuration.commit(rig.store, KEYS, base, changed, signed(), **undoing.riders(KEYS, soon))
    await until(lambda: [d.weight for d in rig.items(Destination)] == [7])
    await until(lambda: [d.weight for d in rig.items(Destination)] == [2])
    await rig.told(lambda status: status["applied"] == 3)
    record = await configuration.record(rig.store, KEYS, 3)
    assert record is not None
    assert record.message == "undoes commit 2, which was not confirmed in time"


async def test_programs_are_told_when_the_router_becomes_active_and_when_it_hands_over(rig: Rig, folder: Path) -> None:
    told = folder / "told"
    user = pwd.getpwuid(os.getuid()).pw_name if os.getuid() else "nobody"
    said = f"[/bin/sh, -c, 'echo $0 $1 $CLUSTERD_NOTIFY_ROLE >> {told}', '%r', '%t']"
    notify = f"  notify: {{active_cmd: {said}, inactive_cmd: {said}, user: {user}}}\nrouters:\n"
    await rig.commit(DOCUMENT.format(port=rig.port).replace("routers:\n", notify))
    rig.start()
    await rig.serving()
    token = (await rig.status())["token"]
    await until(told.exists)
    await rig.stop()
    first, second = told.read_text().splitlines()
    assert first == f"r1 {token} active"
    assert second.split()[::2] == ["r1", "inactive"]


async def test_a_router_tells_when_it_saw_and_applied_a_commit(rig: Rig) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await rig.serving()
    async with asyncio.timeout(10):
        while True:
            entry = await rig.store.get(KEYS.applied(1, "r1"))
            said = json.loads(entry.value) if entry else {}
            if said.get("applied"):
                break
            await asyncio.sleep(0.02)
    assert said["seen"] <= said["applied"]
    assert rig.router
    sight = await rig.router.sight()
    assert sight
    view = Local.model_validate_json(answer(sight, lambda _: {})).overview
    assert (view.routers[0].role, view.virtuals[0].servers[0].effective_weight) == ("active", 2)


async def test_with_hold_the_addresses_stay_whatever_happens(rig: Rig) -> None:
    base = await rig.commit(DOCUMENT.format(port=rig.port).replace("cluster:", "cluster:\n  on_store_loss: hold", 1))
    rig.start()
    await rig.serving()
    rig.store.down = True
    for _ in range(45):  # longer than the lease
        await asyncio.sleep(0.1)
        assert len(rig.held(base)) == 2
    rig.store.down = False


async def test_a_switchover_removes_the_addresses_before_the_lock_and_nobody_else_means_taking_it_back(
    rig: Rig,
) -> None:
    text = DOCUMENT.format(port=rig.port).replace("routers:", "routers:\n  r2: {public: 127.0.0.2}", 1)
    base = await rig.commit(text)
    rig.start()
    await rig.serving()
    lock = await rig.store.get(KEYS.active())
    assert lock is not None
    order = {"to": "r2", "token": lock.create_revision, "by": "tester", "at": "", "why": ""}
    await rig.store.transact([], [Put(KEYS.switchover(), json.dumps(order).encode())])
    async with asyncio.timeout(5):
        while await rig.store.get(KEYS.active()) is not None:
            await asyncio.sleep(0.005)
    assert rig.held(base) == []
    await rig.told(lambda status: status["groups"]["default"]["role"] == status["role"] == "backup")
    await rig.serving()  # r2 does not come, so after some seconds the old holder claims


async def test_each_group_has_its_addresses_and_its_role(rig: Rig) -> None:
    text = DOCUMENT.format(port=rig.port).replace("cluster:", "cluster:\n  groups: {shop: {}}", 1)
    base = await rig.commit(text.replace("  web:\n", "  web:\n    group: shop\n", 1))
    rig.start()
    await rig.serving()
    roles = {"default": "active", "shop": "active"}
    status = await rig.told(lambda status: {name: s["role"] for name, s in status["groups"].items()} == roles)
    assert status["groups"]["shop"]["token"] != status["groups"]["default"]["token"] == status["token"]
    await rig.told(lambda status: (status["ready"], status["not_ready"]) == (True, []))
    await rig.commit(text, base)
    await rig.told(lambda status: status.get("applied") == 2)
    assert len(rig.held(base)) == 2


async def test_a_router_that_is_not_ready_says_why(rig: Rig) -> None:
    text = DOCUMENT.format(port=rig.port).replace("cluster:", "cluster:\n  sync: {interface: lan, window_s: 2}", 1)
    await rig.commit(text)
    rig.start()
    status = await rig.told(lambda status: bool(status.get("applied")))
    assert not status["ready"]
    assert status["not_ready"]
    await rig.told(lambda status: status["ready"])


async def test_in_a_dry_run_everything_is_followed_but_the_lock_is_never_claimed(rig: Rig) -> None:
    text = DOCUMENT.format(port=rig.port)
    base = await rig.commit(text.replace("heartbeat: {", "heartbeat: {keepalive_s: 0.7, deadtime_s: 2, "))
    rig.start(dry_run=True)
    status = await rig.told(lambda status: status.get("applied") == 1 and status["converged"])
    assert (status["role"], status["ready"]) == ("dry run", False)
    assert status["not_ready"] == [WHY_DRY]
    assert WHY_DRY in status["problems"]
    await until(lambda: [d.weight for d in rig.items(Destination)] == [2])
    await asyncio.sleep(3)  # the lock is free, and whoever is not ready claims a second later than the others
    assert await rig.store.get(KEYS.active()) is None
    assert rig.held(base) == []


async def test_a_router_that_was_active_is_not_so_any_more_once_it_is_in_a_dry_run(rig: Rig) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await rig.serving()
    await until(rig.places.lease.exists)
    await rig.crash()
    rig.kernel = Kernel()
    rig.start(dry_run=True)
    await rig.told(lambda status: status.get("role") == "dry run" and status["applied"] == 1)
    assert {share["role"] for share in (await rig.status())["groups"].values()} == {"backup"}
    assert rig.items(Address) == []


async def test_while_the_store_is_away_servers_leave_and_return_and_then_each_key_is_written_once(rig: Rig) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def gone(server: asyncio.Server) -> None:
        server.close()
        await server.wait_closed()

    other = await asyncio.start_server(serve, "127.0.0.1", 0)
    second = f"      rs2: {{address: 127.0.0.1, port: {other.sockets[0].getsockname()[1]}}}\n"
    await rig.commit(DOCUMENT.format(port=rig.port).replace("    servers:", "    fail_open: 0\n    servers:") + second)
    rig.start()
    await until(lambda: len(rig.items(Destination)) == 2)
    await rig.told(lambda status: status.get("ready") is True)
    seen, health = rig.store.connect(), KEYS.health_prefix
    rig.store.down = True
    for _ in range(3):
        await gone(rig.web)
        await until(lambda: len(rig.items(Destination)) == 1)
        rig.web = await asyncio.start_server(serve, "127.0.0.1", rig.port)
        await until(lambda: len(rig.items(Destination)) == 2)
    await asyncio.sleep(3.5)  # longer than a lease
    await gone(other)
    await until(lambda: [d.weight for d in rig.items(Destination)] == [2])
    before = (await seen.snapshot(health)).revision
    rig.store.down = False
    async with asyncio.timeout(2):
        while [json.loads(e.value)["up"] for e in (await seen.snapshot(health)).entries] != [True, False]:
            await asyncio.sleep(0.02)
    await asyncio.sleep(1.5)
    written: list[str] = []
    watch = seen.watch(health, before + 1)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            async for batch in watch:
                written += [change.key for change in batch.changes if not isinstance(change, Deleted)]
    await watch.aclose()
    assert sorted(written) == [KEYS.health("web", label, "r1") for label in ("rs1", "rs2")]


async def test_what_another_router_wrote_before_an_outage_is_not_believed_when_the_store_is_back(rig: Rig) -> None:
    text = DOCUMENT.format(port=rig.port).replace("  r1: ", "  r2: {public: 127.0.0.2}\n  r1: ")
    text = text.replace("    servers:", "    verdicts: any\n    fail_open: 0\n    servers:")
    await rig.commit(text.replace("heartbeat: {", "heartbeat: {deadtime_s: 2, "))
    await rig.store.transact([], [Put(KEYS.health("web", "rs1", "r2"), json.dumps({"up": True}).encode())])
    rig.start()
    await until(lambda: len(rig.items(Destination)) == 1)
    await rig.told(lambda status: status.get("ready") is True)
    seen, key = rig.store.connect(), KEYS.health("web", "rs1", "r1")
    rig.store.down = True
    await asyncio.sleep(2.5)  # longer than a lease
    rig.web.close()
    await until(lambda: not rig.items(Destination))
    before = len(rig.kernel.done)
    rig.store.down = False
    async with asyncio.timeout(5):
        while not (entry := await seen.get(key)) or json.loads(entry.value)["up"]:
            await asyncio.sleep(0.02)
    await asyncio.sleep(1)
    assert [each for each in rig.kernel.done[before:] if isinstance(each.item, Destination)] == []
