"""Everything at once: members die, freeze, are rolled or cut off while somebody writes, watches, and holds a lock."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from clusterd.clock import boottime_s
from clusterd.errors import StoreUnavailable, Uncertain
from clusterd.store.contract import Created, Entry, Lease, Modified, Put
from clusterd.store.etcd import EtcdStore
from tests.store.engine import ContainerMember
from tests.store.etcd_server import Member

pytestmark = pytest.mark.etcd
Fault = Callable[[tuple[Member, ...], random.Random, float], Awaitable[None]]
TTL_S = 10  # long enough to outlive an election on a busy machine


@dataclass
class Counter:
    """A number under a key, counted up in guarded transactions; what the writer believes of it, and what it met."""

    key: str
    value: int = 0
    revision: int = 0
    uncertain: int = 0
    seen: list[tuple[int, int]] = field(default_factory=list)

    async def look(self, store: EtcdStore) -> None:
        """Read back what is there, as often as it takes."""
        while True:
            try:
                entry = await store.get(self.key)
            except StoreUnavailable:
                await asyncio.sleep(0.05)
                continue
            assert entry is None or int(entry.value) in (self.value, self.value + 1), (
                "somebody else wrote, or a write came twice"
            )
            if entry is not None:
                self.value, self.revision = int(entry.value), entry.mod_revision
            return

    async def count(self, store: EtcdStore, lock: Created, end_s: float) -> None:
        while time.monotonic() < end_s:
            guards = (Modified(self.key, self.revision), lock)
            try:
                outcome = await store.transact(guards, (Put(self.key, b"%d" % (self.value + 1)),))
            except StoreUnavailable:
                await asyncio.sleep(0.02)
            except Uncertain:
                self.uncertain += 1
                await self.look(store)
            else:
                if outcome.succeeded:
                    self.value, self.revision = self.value + 1, outcome.revision
                else:
                    await self.overtaken(store)
            await asyncio.sleep(0.005)

    async def overtaken(self, store: EtcdStore) -> None:
        """See that it was a write of our own, of unknown outcome: a member that was cut off can pass it on late."""
        before = self.value
        await self.look(store)
        assert self.uncertain, "nobody else writes"
        assert self.value == before + 1, "the lock is held"

    async def follow(self, store: EtcdStore, start_revision: int) -> None:
        async for batch in store.watch(self.key, start_revision):
            for change in batch.changes:
                assert isinstance(change, Entry)
                self.seen.append((batch.revision, int(change.value)))


async def keep(store: EtcdStore, lease: Lease) -> None:
    """Refresh a lease for ever; fails when it ends."""
    while True:
        try:
            lease = await store.refresh(lease.lease_id)
        except StoreUnavailable:
            await asyncio.sleep(0.05)
            assert boottime_s() < lease.sent_s + lease.ttl_s, "no member refreshed the lease in time"
            continue
        assert lease.ttl_s, "the lease has ended"
        await asyncio.sleep(lease.ttl_s / 6)


async def kill_or_freeze(members: tuple[Member, ...], dice: random.Random, end_s: float) -> None:
    """Kill or freeze one member at a time, so that the other two are a quorum."""
    while time.monotonic() < end_s:
        member = dice.choice(members)
        if dice.random() < 0.5:
            member.kill()
            await asyncio.sleep(dice.uniform(0.3, 1.5))
        else:
            member.pause()
            await asyncio.sleep(dice.uniform(0.8, 2.0))
        member.revive()
        await asyncio.to_thread(member.wait)
        await asyncio.sleep(dice.uniform(0.3, 1))


async def roll(members: tuple[Member, ...], dice: random.Random, end_s: float) -> None:
    """Restart all members, one after the other, as an upgrade does; at least once each."""
    rounds = 0
    while not rounds or time.monotonic() < end_s:
        for member in dice.sample(members, len(members)):
            await asyncio.to_thread(member.finish)
            member.launch()
            await asyncio.to_thread(member.wait)
        rounds += 1


async def cut_off(members: tuple[Member, ...], dice: random.Random, end_s: float) -> None:
    """Cut one member at a time off from the two others; clients go on to reach all three."""
    while time.monotonic() < end_s:
        member = dice.choice(members)
        assert isinstance(member, ContainerMember)
        await asyncio.to_thread(member.leave_peers)
        await asyncio.sleep(dice.uniform(1.5, 3.0))
        await asyncio.to_thread(member.join_peers)
        await asyncio.to_thread(member.wait)
        await asyncio.sleep(dice.uniform(0.3, 1))


@pytest.mark.parametrize(
    ("fault", "duration_s"),
    [(kill_or_freeze, 10.0), (roll, 4.0), pytest.param(cut_off, 20.0, marks=pytest.mark.engine)],
)
async def test_every_committed_value_is_seen_exactly_once_and_in_order(
    fault: Fault, duration_s: float, members: tuple[Member, ...], prefix: str
) -> None:
    endpoints = [member.endpoint for member in members]
    writer, watcher, holder = (EtcdStore(endpoints, probe_s=1.0) for _ in range(3))
    lease = await holder.grant(TTL_S)
    claimed = await holder.transact((Created(prefix + "lock", 0),), (Put(prefix + "lock", b"", lease.lease_id),))
    counter = Counter(prefix + "counter")
    end_s = time.monotonic() + duration_s
    following = asyncio.create_task(counter.follow(watcher, claimed.revision))
    keeping = asyncio.create_task(keep(holder, lease))
    dice = random.Random(7)  # noqa: S311 - the same faults in every run
    lock = Created(prefix + "lock", claimed.revision)
    await asyncio.gather(counter.count(writer, lock, end_s), fault(members, dice, end_s - 2))
    await counter.look(writer)
    while not counter.seen or counter.seen[-1][1] < counter.value:
        assert not following.done(), following
        assert time.monotonic() < end_s + 10, "the watch has not caught up"
        await asyncio.sleep(0.05)
    assert [value for _, value in counter.seen] == list(range(1, counter.value + 1))
    assert all(earlier < later for (earlier, _), (later, _) in pairwise(counter.seen))
    assert counter.value > 100
    assert not keeping.done(), keeping
    for task in (following, keeping):
        task.cancel()
    await asyncio.gather(following, keeping, return_exceptions=True)
    for store in (writer, watcher, holder):
        await store.close()
