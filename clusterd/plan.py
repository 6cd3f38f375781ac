"""The difference of two planes as operations in an order that is safe for traffic.

Addresses that go away go first, so that no client reaches a router that no longer serves it; then everything that
serves is made ready, then what is superfluous is removed, and addresses that come are the last.

    addresses gone → sysctl, timeouts → netfilter → services → destinations → destinations gone → services gone
    → sync daemons → addresses → sync daemons gone

A router that takes over tells the others about connections from the first one on, and one that makes way until the
last one. What a sync daemon takes in finds its destination in the table.

The kernel forces one exception: it refuses a destination of another family than its service's while a sync daemon runs
(ip_vs_ctl.c, ip_vs_genl_set_cmd), so where there is to be such a one, daemons that go, go before the destinations come.
"""

from clusterd.netfilter import Netfilter
from clusterd.plane import (
    Address,
    Destination,
    DestinationKey,
    Item,
    Operation,
    Plane,
    Service,
    SyncDaemon,
    Sysctl,
    Timeout,
    Verb,
)

_COMING = {Sysctl: 1, Timeout: 1, Netfilter: 2, Service: 3, Destination: 5, SyncDaemon: 8, Address: 9}
_GOING = {Address: 0, Destination: 6, Service: 7, Netfilter: 7, SyncDaemon: 10}
_EARLY = 4  # before the destinations
_Step = tuple[int, Operation]


def plan(actual: Plane, desired: Plane) -> tuple[Operation, ...]:
    """Return the operations that turn `actual` into `desired`, in the order to run them.

    Equal planes give an empty tuple, so running a plan twice changes nothing. Sysctls and timeouts that are no longer
    wanted are left as they are: the kernel has no state without a value. Destinations of a service that goes are not
    named: the kernel removes them with it (ip_vs_ctl.c, ip_vs_unlink_service).
    """
    steps: list[_Step] = []
    for key, wanted in desired.items():
        found = actual.get(key)
        if found is wanted:
            continue
        if found is None:
            steps.append((_COMING[type(wanted)], Operation(Verb.ADD, wanted)))
        elif found != wanted:
            steps += _change(found, wanted)
    steps += _removals(actual, desired)
    return tuple(operation for _, operation in sorted(steps, key=lambda step: step[0]))


def _change(found: Item, wanted: Item) -> list[_Step]:
    if isinstance(wanted, Address):  # another prefix: the kernel takes it for another address
        return [(0, Operation(Verb.DELETE, found)), (_COMING[Address], Operation(Verb.ADD, wanted))]
    return [(_COMING[type(wanted)], Operation(Verb.SET, wanted))]


def _removals(actual: Plane, desired: Plane) -> list[_Step]:
    unwanted = set(actual).difference(desired)  # without looking at each key from here, where all are wanted
    gone = [found for key, found in actual.items() if key in unwanted and _goes(found, desired)] if unwanted else []
    ranks = [_EARLY if isinstance(found, SyncDaemon) and _mixes(desired) else _GOING[type(found)] for found in gone]
    return [(rank, Operation(Verb.DELETE, found)) for rank, found in zip(ranks, gone, strict=True)]


def _goes(found: Item, desired: Plane) -> bool:
    """Return whether what is not wanted has to be removed: neither what stays nor what goes with its service."""
    if isinstance(found, Destination):
        return found.key.service in desired
    return not isinstance(found, Sysctl | Timeout)


def _mixes(desired: Plane) -> bool:
    return any(isinstance(key, DestinationKey) and key.mixed for key in desired)
