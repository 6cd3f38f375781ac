"""What goes through a router, line by line: virtual servers with their real servers, sorted, filtered, folded. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from clusterd.counters import Counters, Rates, rates
from clusterd.overview import Overview, VirtualLine

_NOTHING = Rates()


@dataclass(frozen=True, slots=True)
class Line:
    """A virtual server, or with `server` one of its real servers. `rates` is None where nothing was counted yet."""

    virtual: str
    server: str
    address: str
    state: str
    weight: str
    active: int | None
    rates: Rates | None


@dataclass(frozen=True, slots=True)
class Sample:
    """The cluster as it was seen at a moment, and what there is to say about the seeing."""

    at_s: float
    view: Overview
    note: str = ""


ORDERS: Mapping[str, Callable[[Line], float]] = {
    "connections": lambda line: (line.rates or _NOTHING).connections,
    "packets": lambda line: (line.rates or _NOTHING).packets_in + (line.rates or _NOTHING).packets_out,
    "bytes": lambda line: (line.rates or _NOTHING).bytes_in + (line.rates or _NOTHING).bytes_out,
    "active": lambda line: float(line.active or 0),
}
NAME = "name"


def lines(before: Sample, after: Sample) -> tuple[Line, ...]:
    """Return every virtual server, each followed by its real servers, with the rates between two samples."""
    length_s = after.at_s - before.at_s
    then = {line.name: line for line in before.view.virtuals}
    found: list[Line] = []
    for virtual in after.view.virtuals:
        old = then.get(virtual.name)
        servers = {server.name: server.counters for server in old.servers} if old else {}
        used = sum(1 for server in virtual.servers if server.effective_weight)
        state = f"{used} of {len(virtual.servers)} used" if virtual.enabled else "disabled"
        counted = _rates(old.counters if old else None, virtual.counters, length_s)
        found.append(Line(virtual.name, "", _where(virtual), state, "", _active(virtual.counters), counted))
        for server in virtual.servers:
            counted = _rates(servers.get(server.name), server.counters, length_s)
            weight = "" if server.effective_weight is None else str(server.effective_weight)
            place = f"{server.address}:{server.port}"
            active = _active(server.counters)
            found.append(Line(virtual.name, server.name, place, server.state, weight, active, counted))
    return tuple(found)


def arranged(found: Iterable[Line], order: str, wanted: str = "", folded: Collection[str] = ()) -> tuple[Line, ...]:
    """Return the lines to show: the busiest virtual servers first, and in each the busiest real servers.

    `wanted` is part of a name, an address or a state: a virtual server stays with all its real servers, or with those
    that have it. Of those in `folded` only the virtual server itself is shown.
    """
    groups: dict[str, list[Line]] = {}
    for line in found:
        groups.setdefault(line.virtual, []).append(line)
    kept = [shown for group in groups.values() if (shown := _matching(group, wanted.lower()))]
    ordered = sorted(kept, key=lambda group: _place(group[0], order))
    return tuple(
        line
        for virtual, *servers in ordered
        for line in (virtual, *(() if virtual.virtual in folded else sorted(servers, key=lambda s: _place(s, order))))
    )


def _place(line: Line, order: str) -> tuple[float, str, str]:
    return (-ORDERS[order](line) if order != NAME else 0.0, line.virtual, line.server)


def _matching(group: list[Line], wanted: str) -> list[Line]:
    virtual, *servers = group
    if wanted in f"{virtual.virtual} {virtual.address} {virtual.state}".lower():
        return group
    found = [one for one in servers if wanted in f"{one.server} {one.address} {one.state}".lower()]
    return [virtual, *found] if found else []


def _rates(before: Counters | None, after: Counters | None, length_s: float) -> Rates | None:
    return rates(before, after, length_s) if before and after and length_s > 0 else None


def _active(counters: Counters | None) -> int | None:
    return None if counters is None else counters.active


def _where(virtual: VirtualLine) -> str:
    if virtual.mark is not None:
        return f"mark {virtual.mark}"
    return f"{virtual.address.partition('/')[0]}:{virtual.port} {virtual.protocol}"


def routers_line(view: Overview) -> str:
    """Return the routers in one line: role, lease margin, and what is not well."""
    told = []
    for line in view.routers:
        left = "" if line.lease_left_s is None else f", lease {line.lease_left_s:.0f} s"
        doubt = "" if line.ready is not False else ", not ready"
        told.append(f"{line.name} {line.role}{left}{doubt}")
    return "  ".join(told)
