"""What a router and its prober tell each other: one JSON object a line.

    router → prober   Assignment   what is to be checked: all of it to a new prober, then what changes
    prober → router   Report       one verdict: the first of a target, and each that differs from the one before
                      Tally        every 5 s: what was counted since the last one

Times on the line are wall-clock seconds (UTC), since the two processes and their successors share no other clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from clusterd.desired import destination_key
from clusterd.health import Verdict
from clusterd.model import AnyPort, Check, Cluster, Host, Server, Value, Virtual, checked_port, others
from clusterd.paths import path_mark
from clusterd.plane import Destination, Plane

Identity = tuple[str, str]  # the names of the virtual server and of the real server


@dataclass(frozen=True, slots=True)
class Target:
    """One real server to check, with the verdict on it so far (None: it has no past).

    `entry` is the number of the assignment by which it came in, and comes back in its reports: one on the wire from
    before it left and came in again is told apart by it. The link fills it in.
    """

    identity: Identity  # what the state of a check is kept by
    address: Host
    port: AnyPort  # 0 where a check has none
    check: Check
    vip: Host | None = None  # where the check goes instead, with a mark, if it is one through the data path
    mark: int = 0
    verdict: Verdict | None = None
    entry: int = 0

    def same_check(self, other: "Target") -> bool:
        """Return whether the other target is checked in the same way at the same place."""
        return self._way() == other._way()

    def _way(self) -> tuple[object, ...]:
        return self.address, self.port, self.check, self.vip, self.mark


class Assignment(Value):
    """Targets that a prober is to check from now on, as they are now, and who is checked no more.

    All others go on.
    """

    targets: tuple[Target, ...] = ()
    gone: tuple[Identity, ...] = ()


class Report(Value):
    """A verdict that is new, and whose it is."""

    identity: Identity
    verdict: Verdict
    entry: int = 0


class Tally(Value):
    """What a prober counted since its last one: checks by type and result, and how late they began, as a histogram.

    A result is passed, failed, or inconclusive.
    """

    results: Mapping[str, Mapping[str, int]]
    late: tuple[int, ...]
    late_sum_s: float


FROM_PROBER: TypeAdapter[Report | Tally] = TypeAdapter(Report | Tally)


def targets(cluster: Cluster, names: Iterable[str] | None = None) -> tuple[Target, ...]:
    """Return what to check: every enabled real server of every enabled virtual server, or of those named.

    A UDP service is checked by the same kinds, over TCP.
    """
    return tuple(
        Target((name, label), server.address, checked_port(virtual, server), virtual.check, **_led(virtual, server))
        for name in (cluster.virtuals if names is None else names)
        if (virtual := cluster.virtuals.get(name)) and virtual.enabled
        for label, server in virtual.servers.items()
        if server.enabled
    )


def assigned(before: Cluster, after: Cluster) -> tuple[tuple[Target, ...], frozenset[Identity]]:
    """Return what is to be checked otherwise, or for the first time, after a change, and who no more."""
    names = others(before, after)
    there = targets(after, names)
    gone = {target.identity for target in targets(before, names)} - {target.identity for target in there}
    return there, frozenset(gone)


def _led(virtual: Virtual, server: Server) -> dict[str, Any]:
    if not virtual.check.data_path or virtual.address is None:
        return {}
    return {"vip": virtual.address.ip, "mark": path_mark(virtual, server).mark}


def trusted(cluster: Cluster, actual: Plane, now_s: float) -> dict[Identity, Verdict]:
    """Return verdicts for servers that take part in the kernel already: a router's restart is no news about them.

    They are up until a check says otherwise. One at weight 0 that should have more was failing, and is not trusted.
    """
    known = Verdict(True, now_s, "in the pool when this router service started")
    found: dict[Identity, Verdict] = {}
    for target in targets(cluster):
        name, label = target.identity
        virtual = cluster.virtuals[name]
        item = actual.get(destination_key(virtual, label))
        if isinstance(item, Destination) and (item.weight or not virtual.servers[label].weight):
            found[target.identity] = known
    return found


def misread(error: ValidationError) -> str:
    """Return why a message was not understood, without what stands in it: a check may have a password."""
    places = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'/'.join(map(str, place['loc']))}: {place['msg']}" for place in places)
