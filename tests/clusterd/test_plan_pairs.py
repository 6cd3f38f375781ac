"""Plans between random planes, carried out by the plane in memory, which refuses what the kernel refuses.

CLUSTERD_PAIRS says how many pairs are tried.
"""

import os
from random import Random

import pytest

from clusterd.dataplane.memory import MemoryPlane
from clusterd.netfilter import Netfilter
from clusterd.plan import plan
from clusterd.plane import (
    Address,
    Destination,
    Item,
    Key,
    Operation,
    Plane,
    Service,
    SyncDaemon,
    Sysctl,
    Timeout,
    Verb,
)
from tests.clusterd.random_planes import random_plane

pytestmark = pytest.mark.timeout(600)  # half a minute of a processor that has nothing else to do

_STAGES = {
    (Verb.DELETE, Address): 0,  # all else is 1: services come before their destinations, or the kernel refuses those
    (Verb.DELETE, Destination): 2,
    (Verb.DELETE, Service): 2,
    (Verb.DELETE, Netfilter): 2,
    (Verb.ADD, Address): 3,
}
PAIRS = int(os.environ.get("CLUSTERD_PAIRS", "100000"))


def carried_out(actual: Plane, operations: tuple[Operation, ...]) -> dict[Key, Item]:
    """Return what a kernel makes of operations; it must refuse none."""
    kernel = MemoryPlane(lambda: 0.0)
    kernel.items = dict(actual)
    assert kernel.apply(operations, float("inf")) == ()
    return kernel.items


def fewest(actual: Plane, desired: Plane) -> int:
    """Return how many operations there must be: one for what differs, two where a kernel takes it for another thing."""
    count = 0
    for key in actual.keys() | desired.keys():
        found, wanted = actual.get(key), desired.get(key)
        if found == wanted:
            continue
        if wanted is None:
            with_its_service = isinstance(found, Destination) and found.key.service not in desired
            count += not (with_its_service or isinstance(found, Sysctl | Timeout))
        else:
            count += 2 if isinstance(found, Address) else 1
    return count


def stays_served(operations: tuple[Operation, ...]) -> bool:
    """Return whether the order is safe for traffic: no address without services, no pool that shrinks before it grows.

    Sync daemons are told apart: where families are to mix, they have to go before the destinations come.
    """
    order = [_STAGES.get((o.verb, type(o.item)), 1) for o in operations if not isinstance(o.item, SyncDaemon)]
    return order == sorted(order)


def test_a_plan_makes_any_plane_any_other_with_the_fewest_operations_in_a_safe_order() -> None:
    for seed in range(PAIRS):
        dice = Random(seed)  # noqa: S311 - no secrets
        actual, desired = random_plane(dice), random_plane(dice)
        operations = plan(actual, desired)
        after = carried_out(actual, operations)
        stays = {key: item for key, item in actual.items() if isinstance(item, Sysctl | Timeout)}
        assert after == stays | desired, seed
        assert len(operations) == fewest(actual, desired), seed
        assert stays_served(operations), seed
        assert plan(after, desired) == (), seed


def test_an_interrupted_plan_is_taken_up_where_it_ended() -> None:
    for seed in range(min(PAIRS, 1000)):
        dice = Random(seed)  # noqa: S311 - no secrets
        actual, desired = random_plane(dice), random_plane(dice)
        operations = plan(actual, desired)
        done = dice.randrange(len(operations) + 1)
        between = carried_out(actual, operations[:done])
        assert carried_out(between, plan(between, desired)) == carried_out(actual, operations), seed
