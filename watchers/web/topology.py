"""The picture of the cluster: where each box and each line is. Pure.

                      clients
                    ┌────┴────┐
                  router    router        the active one with its floating addresses
                    └────┬────┘
             real servers' network, with the gateway
               ┌─────────┼─────────┐
             server    server    server

Lengths are those of the drawing, in units of its viewBox. A real server of several virtual servers is drawn once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from clusterd.amounts import size
from clusterd.groups import gateways
from clusterd.model import Cluster
from clusterd.overview import Overview, RouterLine, ServerLine
from watchers.web.wording import connections, place

GAP, HEAD, ROW = 20, 26, 16  # between boxes; a box's title; a line of text
MOST_SERVERS, MOST_ADDRESSES = 48, 6  # that are drawn; the rest is counted
WIDEST = 240
_BROAD = ("network", "more")
_WORST = ("down", "unchecked", "draining", "up", "disabled")


@dataclass(frozen=True, slots=True)
class Label:
    """What stands in a box; `state` says how it is drawn."""

    title: str
    lines: tuple[str, ...]
    kind: str  # network | router | server | more
    state: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """A box, and what stands in it."""

    x: int
    y: int
    width: int
    height: int
    label: Label

    @property
    def middle(self) -> int:
        """The middle from left to right."""
        return self.x + self.width // 2

    @property
    def bottom(self) -> int:
        """The lower edge."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Line:
    """A line down from one point to another; `state` says what comes along it."""

    x: int
    y: int
    until_y: int
    state: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that is drawn."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


def picture(cluster: Cluster, view: Overview, columns: int, width: int) -> Picture:
    """Return the picture, with so many boxes side by side."""
    servers = _servers(view)
    more = len(servers) - MOST_SERVERS
    levels = [
        [Label("clients", _totals(view), "network", "up")],
        [_router(view, router) for router in view.routers],
        [Label("network of the real servers", _gateways(cluster), "network", "up")],
        servers[:MOST_SERVERS],
        [Label(f"and {more} more real servers", (), "more", "up")] if more > 0 else [],
    ]
    boxes: list[list[Box]] = []
    y = 0
    for level in levels:
        boxes.append(_laid_out(level, columns, width, y))
        y = max((box.bottom for box in boxes[-1]), default=y - 2 * GAP) + 2 * GAP
    clients, routers, network, machines, rest = boxes
    lines = [Line(box.middle, clients[0].bottom, box.y, box.label.state) for box in routers]
    lines += [Line(box.middle, box.bottom, network[0].y, box.label.state) for box in routers]
    lines += [Line(box.middle, network[0].bottom, box.y, box.label.state) for box in machines if box.y == machines[0].y]
    return Picture(width, y - 2 * GAP, (*clients, *routers, *network, *machines, *rest), tuple(lines))


def _laid_out(labels: Sequence[Label], columns: int, width: int, y: int) -> list[Box]:
    """Return boxes for the labels in rows, each row in the middle and as high as its highest box."""
    boxes: list[Box] = []
    beside = max(1, min(columns, len(labels)))
    wide = width if labels and labels[0].kind in _BROAD else min(WIDEST, (width - GAP * (beside - 1)) // beside)
    for start in range(0, len(labels), columns):
        row = labels[start : start + columns]
        height = max(HEAD + ROW * len(label.lines) for label in row) + 8
        left = (width - len(row) * (wide + GAP) + GAP) // 2
        boxes += [Box(left + n * (wide + GAP), y, wide, height, label) for n, label in enumerate(row)]
        y += height + GAP
    return boxes


def _totals(view: Overview) -> tuple[str, ...]:
    counted = [virtual.counters for virtual in view.virtuals if virtual.counters]
    if not counted:
        return ()
    rate = sum(one.connections_rate for one in counted)
    to, back = (sum(getattr(one, name) for one in counted) for name in ("bytes_in_rate", "bytes_out_rate"))
    return (f"{rate} conn/s, {size(to)}/s in, {size(back)}/s out",)


def _router(view: Overview, router: RouterLine) -> Label:
    held = {holder.group for holder in router.holds}
    addresses = [
        f"{virtual.name} {place(virtual)}" for virtual in view.virtuals if virtual.group in held and virtual.enabled
    ]
    rest = len(addresses) - MOST_ADDRESSES
    lines = (router.role, *addresses[:MOST_ADDRESSES], *([f"and {rest} more"] if rest > 0 else []))
    state = {"active": "active", "backup": "backup"}.get(router.role, "down")
    return Label(router.name, lines, "router", state, f"/routers/{router.name}" if router.configured else "")


def _gateways(cluster: Cluster) -> tuple[str, ...]:
    return tuple(f"gateway {each.address}" for each in gateways(cluster))


def _servers(view: Overview) -> list[Label]:
    """Return one label an address, in the order in which they are in the document."""
    found: dict[str, list[tuple[str, ServerLine]]] = {}
    for virtual in view.virtuals:
        for server in virtual.servers:
            found.setdefault(server.address, []).append((virtual.name, server))
    return [_server(address, uses) for address, uses in found.items()]


def _server(address: str, uses: Sequence[tuple[str, ServerLine]]) -> Label:
    virtual, first = uses[0]
    lines = [f"{name}: {_weight(server)}{_connections(server)}" for name, server in uses[:3]]
    rest = [f"and {len(uses) - 3} more"] if len(uses) > 3 else []
    state = min((server.state for _, server in uses), key=_WORST.index)
    href = f"/virtuals/{virtual}/servers/{first.name}"
    return Label(first.name, (address, *lines, *rest), "server", state, href)


def _weight(server: ServerLine) -> str:
    if server.effective_weight is None:
        return server.state
    return f"{server.state}, weight {server.effective_weight}"


def _connections(server: ServerLine) -> str:
    count = connections(server)
    return f", {count} conns" if count else ""
