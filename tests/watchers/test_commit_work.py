"""What one commit is to a router: the same work, however many virtual servers it leaves alone.

Work is counted, not timed: what is asked of the kernel and of the store, and how many of our functions are called
until the kernel is as wanted.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from clusterd import configuration
from clusterd.clock import boottime_s
from clusterd.configuration import Committed
from clusterd.dataplane.memory import MemoryPlane
from clusterd.document import from_data
from clusterd.plane import Destination, Item, Key, Scope
from clusterd.store.contract import Condition, Operation, Outcome, Snapshot
from clusterd.store.memory import MemoryStore
from tests.clusterd.big import big_data, copied
from tests.watchers.test_router import KEYS, signed, until
from watchers.kernel_writer import KernelWriter
from watchers.router import Places, Router

SERVERS = 3
FEW, MANY = 20, 1_620
FAKES = (MemoryPlane.__module__, MemoryStore.__module__)
CHECK = {"type": "tcp", "initial": "up", "fall": 1000, "interval_s": 3600, "timeout_s": 1, "port": 1}


class Kernel(MemoryPlane):
    """Knows what it was asked for."""

    def __init__(self) -> None:
        super().__init__(boottime_s)
        self.reads = 0
        self.reviewed: list[Key] = []

    def read(self, scope: Scope) -> dict[Key, Item]:
        self.reads += 1
        return super().read(scope)

    def review(self, keys: Collection[Key]) -> dict[Key, Item]:
        self.reviewed += keys
        return super().review(keys)

    def weights(self) -> list[int]:
        there = tuple(self.items.values())  # at once: the kernel's thread may be writing
        return [item.weight for item in there if isinstance(item, Destination)]


class Store(MemoryStore):
    """Knows how often many keys were read, and what was written."""

    snapshots = 0

    def __init__(self) -> None:
        super().__init__()
        self.transactions: list[tuple[Sequence[Condition], Sequence[Operation]]] = []

    async def snapshot(self, *prefixes: str) -> Snapshot:
        self.snapshots += 1
        return await super().snapshot(*prefixes)

    async def transact(self, conditions: Sequence[Condition], operations: Sequence[Operation]) -> Outcome:
        self.transactions.append((conditions, operations))
        return await super().transact(conditions, operations)


@dataclass(frozen=True)
class Work:
    """What a commit was to a router until the kernel was as wanted."""

    calls: int  # of functions of ours, in the router's own thread
    writes: int
    reads: int
    reviewed: tuple[Key, ...]
    snapshots: int


@dataclass
class Rig:
    router: Router
    store: Store
    kernel: Kernel
    committed: Committed
    data: dict[str, Any]

    async def commit(self, weight: int) -> Work:
        """Let the router follow a commit of one weight; what the commit itself costs is not counted."""
        self.data["virtuals"]["v0007"]["servers"]["rs1"]["weight"] = weight
        elsewhere = Store()
        elsewhere._data = copied(self.store)._data
        cluster = from_data(self.data)
        self.committed = await configuration.commit(elsewhere, KEYS, self.committed, cluster, signed())
        (change,) = [each for each in elsewhere.transactions if each[1]][:1]
        calls, before = 0, (self.kernel.writes, self.kernel.reads, self.store.snapshots)
        self.kernel.reviewed.clear()

        def called(frame: FrameType, event: str, argument: object) -> None:
            nonlocal calls
            module = frame.f_globals.get("__name__", "")
            ours = module.partition(".")[0] in ("clusterd", "watchers") and module not in FAKES
            calls += event == "call" and ours

        await self.store.transact(*change)
        sys.setprofile(called)
        try:
            while self.router._kernel.applied_number != self.committed.number:
                await asyncio.sleep(0.001)
        finally:
            sys.setprofile(None)
        after = (self.kernel.writes, self.kernel.reads, self.store.snapshots)
        writes, reads, snapshots = (now - then for then, now in zip(before, after, strict=True))
        return Work(calls, writes, reads, tuple(self.kernel.reviewed), snapshots)


@asynccontextmanager
async def running(folder: Path, virtuals: int) -> AsyncIterator[Rig]:
    """A router at rest that follows so many virtual servers."""
    data, store, kernel = big_data(virtuals, SERVERS), Store(), Kernel()
    for virtual in data["virtuals"].values():
        virtual["check"] = CHECK
    committed = await configuration.commit(store, KEYS, None, from_data(data), signed())
    places = Places(folder / "good.json", folder / "lease", folder / "lvs.cf")
    router = Router("r1", store, KEYS, KernelWriter(lambda: kernel), places)
    task = asyncio.create_task(router.run())
    try:
        await until(lambda: len(kernel.weights()) == virtuals * SERVERS and not router._not_ready, 120)
        yield Rig(router, store, kernel, committed, data)
    finally:
        task.cancel()
        await asyncio.wait([task])


async def least(folder: Path, virtuals: int) -> Work:
    """Return the least that one of some commits was: a tick of the clock or late verdicts may come in between."""
    async with running(folder, virtuals) as rig:
        await rig.commit(9)
        return min([await rig.commit(weight) for weight in range(10, 18)], key=lambda work: (work.writes, work.calls))


async def test_a_commit_of_one_weight_is_the_same_work_however_many_virtual_servers_there_are(folder: Path) -> None:
    few, many = await least(folder / "few", FEW), await least(folder / "many", MANY)
    assert (few.writes, few.reads, few.snapshots) == (many.writes, many.reads, many.snapshots) == (1, 0, 0)
    assert few.reviewed == many.reviewed
    assert len(many.reviewed) == 1
    assert many.calls - few.calls < MANY - FEW  # less than one call for each virtual server more
