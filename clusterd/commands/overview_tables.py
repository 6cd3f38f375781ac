"""What `clusterd status` shows, as tables."""

from collections.abc import Iterator
from datetime import datetime

from clusterd.amounts import age, lasting, size
from clusterd.commands.pause import paused
from clusterd.commands.tables import Cell, Part, Rows
from clusterd.counters import Counters
from clusterd.model import DEFAULT_GROUP
from clusterd.observing import Local
from clusterd.overview import Overview, RouterLine, ServerLine, VirtualLine
from clusterd.reports import Switchover

DRIFT_SHOWN_S = 3600.0
GOOD, BAD, DOUBT, QUIET = "green", "bold red", "yellow", "dim"
_STATES = {"up": GOOD, "down": BAD, "draining": DOUBT, "disabled": QUIET, "unchecked": DOUBT}
_ROLES = {"active": GOOD, "silent": BAD, "backup": "", "dry run": DOUBT, "unknown": DOUBT}


def drawn(view: Overview, now: datetime, known: Local | None = None) -> list[Part]:
    """Return the overview as parts; `known` is what the router on this host told while etcd is down."""
    parts: list[Part] = []
    if known is not None:
        silent = "" if known.silent_s is None else f", for {lasting(known.silent_s)} already"
        parts.append(Cell(f"etcd does not answer{silent}: this is what router {known.router} knows", BAD))
    where = "everywhere" if known is None else f"by {known.router}"
    state = f"applied {where}" if view.converged else "; ".join(view.late)
    parts.append(Cell(f"cluster {view.cluster}, commit {view.commit}: {state}", "bold" if view.converged else BAD))
    parts += [Cell(f"! {alarm}", BAD) for alarm in view.alarms]
    parts += [Cell(f"! {warning}", DOUBT) for warning in view.warnings]
    parts += [Cell(paused(pause, now), DOUBT) for pause in view.pauses]
    parts += [Cell(_asked(one), DOUBT) for one in view.switchovers]
    parts += [Cell(line, DOUBT) for line in view.pending]
    drifted = [router for router in view.routers if _lately(router, now)]
    parts += [Cell(f"router {one.name}, {age(one.drift_at, now)} ago: {one.drift}", DOUBT) for one in drifted]
    if view.routers:
        parts += [Cell(""), _routers(view, now)]
    if view.virtuals:
        parts += [Cell(""), _virtuals(view, now)]
    if view.counted_by:
        parts += [Cell(""), Cell(f"connections and rates are those of router {view.counted_by}", QUIET)]
    return parts


def _lately(router: RouterLine, now: datetime) -> bool:
    """Tell whether others changed a router's kernel not long ago."""
    try:
        since_s = (now - datetime.fromisoformat(router.drift_at)).total_seconds()
    except (ValueError, TypeError):
        return False
    return bool(router.drift) and since_s < DRIFT_SHOWN_S


def _asked(one: Switchover) -> str:
    what = "the addresses" if one.group == DEFAULT_GROUP else f"group {one.group}"
    return f"{one.by or 'somebody'} asks that {what} go to {one.to or 'another router'}"


def _routers(view: Overview, now: datetime) -> Rows:
    titles = ("ROUTER", "ROLE", "SINCE", "LEASE", "TOKEN", "COMMIT", "READY")
    return Rows(titles, [_router(router, now) for router in view.routers], ("TOKEN", "SINCE", "LEASE", "COMMIT"))


def _router(router: RouterLine, now: datetime) -> list[Cell | str]:
    held = [holder.group for holder in router.holds]
    role = f"{router.role}: {', '.join(held)}" if set(held) - {DEFAULT_GROUP} else router.role
    left = "" if router.lease_left_s is None else f"{router.lease_left_s:.0f} s"
    tokens = ",".join(str(held.token) for held in router.holds)
    commit = "" if router.applied is None else str(router.applied)
    if router.applied is not None and router.head is not None and router.head > router.applied:
        commit += f" of {router.head}"
    return [
        router.name if router.configured else f"{router.name} (not configured)",
        Cell(role, _ROLES.get(router.role, "")),
        age(router.since, now),
        left,
        tokens,
        Cell(commit, DOUBT if router.converged is False else ""),
        _ready(router),
    ]


def _ready(router: RouterLine) -> Cell:
    told = [Cell("paused", DOUBT)] if router.paused else []
    if router.ready is False or router.not_ready:
        told.append(Cell("no: " + ("; ".join(router.not_ready) or "it does not say why"), DOUBT))
    elif router.ready:
        told.append(Cell("yes", GOOD))
    return Cell(", ".join(cell.text for cell in told), told[0].style if told else "")


def _virtuals(view: Overview, now: datetime) -> Rows:
    titles = ("VIRTUAL/SERVER", "ADDRESS", "STATE", "WEIGHT", "SINCE", "CONNS", "CONN/S", "IN/S", "OUT/S", "")
    rows: list[list[Cell | str]] = []
    for virtual in view.virtuals:
        rows.append(_virtual(virtual))
        rows += [_server(virtual, server, now) for server in virtual.servers]
        if virtual.sorry_server_in_use:
            rows.append(["  (sorry server)", str(virtual.sorry_server), Cell("in use", BAD), "1", *[""] * 6])
    return Rows(titles, rows, ("ADDRESS", "OUT/S", "IN/S", "CONN/S", "SINCE", "CONNS", "WEIGHT"))


def _virtual(virtual: VirtualLine) -> list[Cell | str]:
    used = sum(1 for server in virtual.servers if server.effective_weight)
    state = Cell(f"{used} of {len(virtual.servers)} used", BAD if virtual.servers and not used else "bold")
    where = f"{virtual.address.partition('/')[0]}:{virtual.port} {virtual.protocol}"
    where = where if virtual.mark is None else f"mark {virtual.mark}"
    shown = state if virtual.enabled else Cell("disabled", QUIET)
    return [Cell(virtual.name, "bold"), where, shown, virtual.scheduler, "", *_counted(virtual.counters), ""]


def _server(virtual: VirtualLine, server: ServerLine, now: datetime) -> list[Cell | str]:
    weight = str(server.weight)
    if virtual.enabled and server.effective_weight != server.weight:
        weight = f"{server.effective_weight or 0} of {server.weight}"
    detail = server.detail if server.state != "disabled" else ""
    if server.disagreement:
        others = [one.observer for one in server.verdicts if one.up != server.up]
        detail = f"{', '.join(others)} disagree{'s' if len(others) == 1 else ''}; {detail}"
    return [
        f"  {server.name}",
        f"{server.address}:{server.port}",
        Cell(server.state, _STATES[server.state]),
        weight,
        age(server.since, now),
        *_counted(server.counters),
        detail,
    ]


def _counted(counters: Counters | None) -> Iterator[str]:
    if counters is None:
        return iter([""] * 4)
    connections = counters.connections if counters.active is None else counters.active
    return iter(
        [
            str(connections),
            str(counters.connections_rate),
            size(counters.bytes_in_rate),
            size(counters.bytes_out_rate),
        ]
    )
