"""What a real server takes of the memory of a router and its prober: Python's own objects, counted as they are made.

The programs' own size and what the heap loses between objects come on top; docs/benchmarks.md has all of it.
"""

import asyncio
import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from clusterd import configuration
from clusterd.checks.dialogue import Through
from clusterd.clock import boottime_s
from clusterd.dataplane.memory import MemoryPlane
from clusterd.document import from_data
from clusterd.health import Observation
from clusterd.model import Check, Cluster
from clusterd.probing.engine import Attempt
from clusterd.store.memory import MemoryStore
from tests.clusterd.big import big_data
from tests.clusterd.checks.servers import free_port
from tests.watchers.test_router import KEYS, signed, until
from watchers.kernel_writer import KernelWriter
from watchers.prober import Prober
from watchers.prober_messages import Assignment, targets
from watchers.router import Places, Router

FEW, MANY, SERVERS = 50, 350, 10
CHECK = {"type": "tcp", "initial": "up", "fall": 1000, "interval_s": 3600, "timeout_s": 1, "port": 1}
# Of one real server. A store in memory is in the first, and what ran before in this process moves it by a tenth.
ROUTER_BYTES, PROBER_BYTES = 3000, 500


def cluster(virtuals: int) -> Cluster:
    """So many virtual servers, and no other router that the port of the peers could be shared with."""
    data = big_data(virtuals, SERVERS)
    data["cluster"]["heartbeat"] = {"port": free_port()}
    for virtual in data["virtuals"].values():
        virtual["check"] = CHECK
    return from_data(data)


async def kept() -> int:
    """Return what is there a moment later; at any one moment some work may be under way, which takes more."""
    await asyncio.sleep(0.1)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def of_a_router(folder: Path, virtuals: int) -> int:
    """Return what the objects of a router take that follows so many virtual servers, and of what it writes to."""
    store, kernel = MemoryStore(), MemoryPlane(boottime_s)
    await configuration.commit(store, KEYS, None, cluster(virtuals), signed())
    places = Places(folder / "good.json", folder / "lease", folder / "lvs.cf")
    health = f"{KEYS.health_prefix}v{virtuals - 1:04}/rs{SERVERS - 1}/r1"
    tracemalloc.start()
    router = Router("r1", store, KEYS, KernelWriter(lambda: kernel), places)
    task = asyncio.create_task(router.run())
    try:
        await until(lambda: not router._not_ready and places.lvs_cf.exists() and health in store._data.entries, 60)
        return min([await kept() for _ in range(10)])
    finally:
        tracemalloc.stop()
        task.cancel()
        await asyncio.wait([task])


class Idle:
    """Checks that nobody has come to."""

    def check(
        self,
        address: str,
        port: int,
        check: Check,
        done: Callable[[Observation], None],
        through: Through | None = None,
        begun: Callable[[], None] | None = None,
    ) -> Attempt:
        raise NotImplementedError


def of_a_prober(virtuals: int) -> int:
    """Return what the objects of a prober take that was told of so many virtual servers."""
    line = Assignment(targets=targets(cluster(virtuals))).model_dump_json()
    tracemalloc.start()
    try:
        prober = Prober(lambda _: None, Idle())
        prober.assign(Assignment.model_validate_json(line).targets)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
        prober.assign([], tuple(prober.watches))
        return taken
    finally:
        tracemalloc.stop()


def of_one(few: int, many: int) -> float:
    """Return what one more real server takes."""
    return (many - few) / (MANY - FEW) / SERVERS


async def test_a_real_server_takes_little_memory_of_a_router(tmp_path: Path) -> None:
    few, many = await of_a_router(tmp_path / "few", FEW), await of_a_router(tmp_path / "many", MANY)
    assert of_one(few, many) < ROUTER_BYTES


async def test_a_real_server_takes_little_memory_of_a_prober() -> None:
    assert of_one(of_a_prober(FEW), of_a_prober(MANY)) < PROBER_BYTES
