"""The table of IPVS as a whole: built and read back by the data plane and by ipvsadm, in turns, on one kernel.

`python -m tests.lab.bench.tables SIZE...`, inside the lab's machine; it prints one line for each figure:

    figure {"what": "first build", "program": "clusterd", "virtuals": 1000, "each": 10, "values": [0.75, 0.76, 0.75]}
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from clusterd.clock import boottime_s
from clusterd.dataplane.ipvs import Ipvs
from clusterd.dataplane.kernel import Kernel
from clusterd.plan import plan
from tests.lab.bench.figures import BUILD, CLUSTERD, FIRST, IPVSADM, READ, SAME, Figure, tell
from tests.lab.bench.sizes import Size
from tests.lab.cluster import destinations
from tests.lab.namespaces import call, ip

PLACE = "bench"
SIZES = (Size(10, 10), Size(100, 10), Size(1000, 10), Size(1000, 30), Size(3000, 10))
ROUNDS = 3
_BIG = 20_000  # real servers from which on it is built once


def timed(work: Callable[[], object]) -> float:
    """How many seconds it took."""
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def ipvsadm(*arguments: str, rules: str = "") -> None:
    """Run it; what it prints goes nowhere."""
    subprocess.run(["ipvsadm", *arguments], input=rules, text=True, stdout=subprocess.DEVNULL, check=True)


def restored(size: Size) -> float:
    """Build it by ipvsadm, from an empty table that is left empty."""
    rules = size.rules()
    took_s = timed(lambda: ipvsadm("-R", rules=rules))
    assert destinations() == size.servers
    ipvsadm("-C")
    return took_s


def built(size: Size) -> float:
    """Build it by the data plane, from an empty table."""
    with contextlib.closing(Kernel()) as kernel:
        wanted = size.plane()

        def work() -> None:
            assert kernel.apply(plan({}, wanted), boottime_s() + 600) == ()

        took_s = timed(work)
    assert destinations() == size.servers
    return took_s


def looked(size: Size) -> tuple[float, float, float]:
    """Read and compare all of it for the first time; look whether it has changed; read and compare all of it again."""
    wanted, scope, keys = size.plane(), size.scope(), tuple(size.keys())
    with contextlib.closing(Ipvs()) as ipvs:

        def look() -> None:
            assert plan(ipvs.read(scope), wanted) == ()

        def read() -> None:
            assert plan(ipvs.review(keys), found) == ()

        first_s, found = timed(look), ipvs.review(keys)
        return first_s, timed(look), timed(read)


def of(size: Size) -> Iterator[Figure]:
    """All figures of one size; the table is empty before and afterwards."""
    theirs, ours = list[float](), list[float]()
    for _ in range(1 if size.servers >= _BIG else ROUNDS):
        ipvsadm("-C")
        theirs.append(restored(size))
        ours.append(built(size))
    yield Figure.of(BUILD, IPVSADM, size, theirs)
    yield Figure.of(BUILD, CLUSTERD, size, ours)
    listed, ours_read = list[float](), list[tuple[float, float, float]]()
    for _ in range(ROUNDS):
        listed.append(timed(lambda: ipvsadm("-Ln")))
        ours_read.append(looked(size))
    yield Figure.of(READ, IPVSADM, size, listed)
    for what, values in zip((FIRST, SAME, READ), zip(*ours_read, strict=True), strict=True):
        yield Figure.of(what, CLUSTERD, size, values)
    ipvsadm("-C")


def main(arguments: Sequence[str]) -> None:
    """Print the figures as they come; of the sizes that are named, or of all."""
    ip([f"netns add {PLACE}"])
    try:
        ip(["link set lo up"], PLACE)  # without a table of routes every address is none that IPVS takes
        for size in [*map(Size.of, arguments)] or SIZES:
            call(PLACE, lambda size: tell(*of(size)), size)
    finally:
        ip([f"netns del {PLACE}"])


if __name__ == "__main__":
    main(sys.argv[1:])
