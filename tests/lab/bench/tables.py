"""The table of IPVS as a whole: built and read back by the data plane and by ipvsadm, in turns, on one kernel.

`python -m tests.lab.bench.tables SIZE...`, inside the lab's machine; it prints one line for each figure:

    figure {"what": "first build", "program": "clusterd", "virtuals": 1000, "each": 10, "values": [0.75, 0.76, 0.75]}
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from clusterd.clock import boottime_s
from clusterd.dataplane.ipvs import Ipvs
from clusterd.dataplane.kernel import Kernel
from clusterd.plan import plan
from clusterd.plane import Plane
from tests.lab.bench.figures import BUILD, CLUSTERD, FIRST, IPVSADM, READ, SAME, Figure, tell
from tests.lab.bench.sizes import Size
from tests.lab.cluster import destinations
from tests.lab.namespaces import call, ip

_T = TypeVar("_T")
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


def alone(work: Callable[[Size], _T], size: Size) -> _T:
    """Do something in a network namespace that nobody has used before.

    For two minutes or more a kernel looks through all real servers that went for each one that comes (ip_vs_ctl.c,
    ip_vs_trash_get_dest): whoever builds a table after another one would pay for that one.
    """
    ip([f"netns add {PLACE}"])
    try:
        ip(["link set lo up"], PLACE)  # without a table of routes every address is none that IPVS takes
        return call(PLACE, work, size)
    finally:
        ip([f"netns del {PLACE}"])


def restored(size: Size) -> float:
    """Build it by ipvsadm, from an empty table."""
    rules = size.rules()
    took_s = timed(lambda: ipvsadm("-R", rules=rules))
    assert destinations() == size.servers
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

        def compared(read: Callable[[], Plane], known: Plane) -> None:
            assert plan(read(), known) == ()

        first_s = timed(lambda: compared(lambda: ipvs.read(scope), wanted))
        known = ipvs.review(keys)
        again_s = timed(lambda: compared(lambda: ipvs.read(scope), known))
        return first_s, again_s, timed(lambda: compared(lambda: ipvs.review(keys), known))


def read(size: Size) -> tuple[list[float], list[tuple[float, float, float]]]:
    """Have it read by ipvsadm and by the data plane, in turns."""
    restored(size)
    rounds = [(timed(lambda: ipvsadm("-Ln")), looked(size)) for _ in range(ROUNDS)]
    return [theirs for theirs, _ in rounds], [ours for _, ours in rounds]


def of(size: Size) -> Iterator[Figure]:
    """All figures of one size."""
    builds = [(alone(restored, size), alone(built, size)) for _ in range(1 if size.servers >= _BIG else ROUNDS)]
    yield Figure.of(BUILD, IPVSADM, size, (theirs for theirs, _ in builds))
    yield Figure.of(BUILD, CLUSTERD, size, (ours for _, ours in builds))
    listed, ours_read = alone(read, size)
    yield Figure.of(READ, IPVSADM, size, listed)
    for what, values in zip((FIRST, SAME, READ), zip(*ours_read, strict=True), strict=True):
        yield Figure.of(what, CLUSTERD, size, values)


def main(arguments: Sequence[str]) -> None:
    """Print the figures as they come; of the sizes that are named, or of all."""
    for size in [*map(Size.of, arguments)] or SIZES:
        for figure in of(size):
            tell(figure)


if __name__ == "__main__":
    main(sys.argv[1:])
