"""A router that is active gets 30,000 real servers in one commit: how near its lease comes to its end, and its memory.

`python -m tests.lab.bench.burden [SIZE]`, inside the lab's machine; it prints one line for each figure.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.lab.bench.figures import CLUSTERD, PROBER_MB, ROUTER_MB, SPENT, Figure, tell
from tests.lab.bench.sized import Clusterd, children, serve_all
from tests.lab.bench.sizes import Size
from tests.lab.namespaces import Process
from tests.lab.topology import Network

FIRST, SIZE = Size(10, 10), Size(3000, 10)
_MARGIN = re.compile(r"^lease margin ([\d.-]+) of ([\d.]+) s$", re.MULTILINE)


def most_spent(process: Process) -> float:
    """The largest share of a lease that was used up before it was refreshed, of all that a router has told."""
    return max(1 - float(found[1]) / float(found[2]) for found in _MARGIN.finditer(process.output()))


def resident_mb(pid: int) -> float:
    """Memory that a process has now: proc(5), status."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


async def measured(network: Network, size: Size) -> None:
    """Measure it on r1, which is alone."""
    clusterd = Clusterd(network, size)
    try:
        await clusterd.commit(FIRST.cluster())
        clusterd.start("r1", "tests.lab.bench.leased_router")
        await clusterd.settle(FIRST.servers)
        cluster = size.cluster()
        await clusterd.commit(cluster)
        await clusterd.settle(size.servers)
        router = clusterd.routers["r1"]
        pid = router.popen.pid
        tell(
            Figure.of(SPENT, CLUSTERD, size, [most_spent(router)]),
            Figure.of(ROUTER_MB, CLUSTERD, size, [resident_mb(pid)]),
            Figure.of(PROBER_MB, CLUSTERD, size, [sum(map(resident_mb, children(pid)))]),
        )
    finally:
        await clusterd.close()


def main(arguments: Sequence[str]) -> None:
    """Print the figures, of the size that is named or of the biggest."""
    size = Size.of(arguments[0]) if arguments else SIZE
    with tempfile.TemporaryDirectory(prefix="clusterd-bench.") as folder:
        network = Network(Path(folder))
        network.build()
        try:
            serve_all(network)
            asyncio.run(measured(network, size))
        finally:
            network.close()


if __name__ == "__main__":
    main(sys.argv[1:])
