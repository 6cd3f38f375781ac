"""One weight changes among many: from the commit until both routers' kernels have it, beside keepalived's reload.

`python -m tests.lab.bench.commits SIZE...`, inside the lab's machine; it prints one line for each figure. What an idle
router takes of a processor is measured there as well, since there is one: the one that is active.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.lab.bench.figures import CLUSTERD, COMMIT, IDLE, KEEPALIVED, Figure, tell
from tests.lab.bench.probes import busy_s
from tests.lab.bench.sized import Checker, Clusterd, Weight, serve_all, shown
from tests.lab.bench.sizes import WEIGHT, Size
from tests.lab.topology import ROUTERS, Network

SIZES = (Size(10, 10), Size(100, 10), Size(1000, 10), Size(3000, 10))
ROUNDS = {10: (20, 20), 100: (20, 10), 1000: (12, 3), 3000: (6, 1)}  # of clusterd, and of keepalived
PAUSE_S = 1.0  # between two changes
IDLE_S = 60.0


async def of_clusterd(network: Network, size: Size) -> None:
    """Measure both routers of a cluster."""
    clusterd, cluster = Clusterd(network, size), size.cluster()
    weights = [Weight(router, size) for router in ROUTERS]
    try:
        await clusterd.commit(cluster)
        for router in ROUTERS:
            clusterd.start(router)
        await clusterd.settle(size.servers)
        await asyncio.sleep(PAUSE_S)
        tell(Figure.of(IDLE, CLUSTERD, size, await idle([clusterd.routers[router].popen.pid for router in ROUTERS])))
        took_s = []
        for count in range(ROUNDS[size.virtuals][0]):
            weight = WEIGHT + 1 + count
            wanted = size.reweighted(cluster, weight)
            began_s = time.perf_counter()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(clusterd.commit(wanted))
                await shown(weights, weight)
                took_s.append(time.perf_counter() - began_s)
            await asyncio.sleep(PAUSE_S)
        tell(Figure.of(COMMIT, CLUSTERD, size, took_s))
    finally:
        for each in weights:
            each.close()
        await clusterd.close()


async def idle(pids: Sequence[int]) -> list[float]:
    """What share of a processor each of these takes, their children left out."""
    before, began_s = [busy_s(pid) for pid in pids], time.monotonic()
    await asyncio.sleep(IDLE_S)
    took_s = time.monotonic() - began_s
    return [(busy_s(pid) - busy) / took_s for pid, busy in zip(pids, before, strict=True)]


async def of_keepalived(network: Network, size: Size) -> None:
    """Measure one router with keepalived."""
    checker, weight = Checker(network, size), Weight("r1", size)
    try:
        await checker.settle()
        took_s = []
        for count in range(ROUNDS[size.virtuals][1]):
            text = size.keepalived(WEIGHT + 1 + count)
            began_s = time.perf_counter()
            checker.reload(text)
            await shown([weight], WEIGHT + 1 + count)
            took_s.append(time.perf_counter() - began_s)
            await asyncio.sleep(PAUSE_S)
        tell(Figure.of(COMMIT, KEEPALIVED, size, took_s))
    finally:
        weight.close()
        checker.close()


MEASURES = {CLUSTERD: of_clusterd, KEEPALIVED: of_keepalived}


def measured(program: str, size: Size) -> None:
    """Measure one of the programs at one size, in a network of its own."""
    with tempfile.TemporaryDirectory(prefix="clusterd-bench.") as folder:
        network = Network(Path(folder))
        network.build()
        try:
            serve_all(network)
            asyncio.run(MEASURES[program](network, size))
        finally:
            network.close()


def main(arguments: Sequence[str]) -> None:
    """Print the figures as they come; of the sizes that are named, or of all.

    Each is measured by a process of its own, since the client of etcd stays in the first namespace that it was used in.
    """
    if arguments and arguments[0] in MEASURES:
        measured(arguments[0], Size.of(arguments[1]))
        return
    for size in [*map(Size.of, arguments)] or SIZES:
        for program in MEASURES:
            subprocess.run([sys.executable, "-m", "tests.lab.bench.commits", program, size.name], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
