"""The difference of two planes as operations in an order that is safe for traffic.

Addresses that go away go first, so that no client reaches a router that no longer serves it; then everything that
serves is made ready, then what is superfluous is removed, and addresses that come are the last.

    addresses gone → sysctl → netfilter → services → destinations → destinations gone → services gone
    → sync daemons → addresses → sync daemons gone

A router that takes over tells the others about connections from the first one on, and one that makes way until the
last one. What a sync daemon takes in finds its destination in the table.
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
    Verb,
)

_COMING = {Sysctl: 1, Netfilter: 2, Service: 3, Destination: 4, SyncDaemon: 7, Address: 8}
_GOING = {Address: 0, Destination: 5, Service: 6, Netfilter: 6, SyncDaemon: 9}


def plan(actual: Plane, desired: Plane) -> tuple[Operation, ...]:
    """Return the operations that turn `actual` into `desired`, in the order to run them.

    Equal planes give an empty tuple, so running a plan twice changes nothing. Sysctls that are no longer wanted are
    left as they are: the kernel has no state without a value. Destinations of a service that goes are not named: the
    kernel removes them with it (ip_vs_ctl.c, ip_vs_unlink_service).
    """
    operations: list[tuple[int, Operation]] = []
    for key, wanted in desired.items():
        found = actual.get(key)
        if found is None:
            operations.append((_COMING[type(wanted)], Operation(Verb.ADD, wanted)))
        elif found != wanted:
            operations += _change(found, wanted)
    for key, found in actual.items():
        if key in desired or isinstance(found, Sysctl):
            continue
        if isinstance(key, DestinationKey) and key.service not in desired:
            continue
        operations.append((_GOING[type(found)], Operation(Verb.DELETE, found)))
    return tuple(operation for _, operation in sorted(operations, key=lambda pair: pair[0]))


def _change(found: Item, wanted: Item) -> list[tuple[int, Operation]]:
    if isinstance(wanted, Address):  # another prefix: the kernel takes it for another address
        return [(0, Operation(Verb.DELETE, found)), (_COMING[Address], Operation(Verb.ADD, wanted))]
    return [(_COMING[type(wanted)], Operation(Verb.SET, wanted))]
