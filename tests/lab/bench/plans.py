"""The plan of one change in a big table: no kernel, no lab."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from clusterd.plan import plan
from clusterd.plane import Destination, Item, Key
from tests.lab.bench.figures import CLUSTERD, PLAN_EQUAL, PLAN_SHARED, Figure
from tests.lab.bench.sizes import Size

SIZES = (Size(10, 10), Size(100, 10), Size(1000, 10), Size(1000, 30), Size(3000, 10))
ROUNDS = 9


def spent(work: Callable[[], object]) -> float:
    """How many seconds of a processor it took: nothing is waited for."""
    before_s = time.thread_time()
    work()
    return time.thread_time() - before_s


def changed(plane: dict[Key, Item], size: Size) -> dict[Key, Item]:
    """The plane with another weight of its last real server."""
    item = plane[size.last()]
    assert isinstance(item, Destination)
    return {**plane, item.key: replace(item, weight=item.weight + 1)}


def measured(size: Size) -> list[Figure]:
    """Plan it from items that both planes share, as after a commit, and from equal ones, as after a reading."""
    actual = size.plane()
    figures = []
    for what, wanted in ((PLAN_SHARED, changed(actual, size)), (PLAN_EQUAL, changed(size.plane(), size))):
        assert len(plan(actual, wanted)) == 1
        took_s = [spent(partial(plan, actual, wanted)) for _ in range(ROUNDS)]
        figures.append(Figure.of(what, CLUSTERD, size, took_s))
    return figures
