"""The whole cluster at one look: what is wanted, what routers report, and what does not fit. Pure.

The same value is made from etcd by the command, and by a router from what it knows itself while etcd is away.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from clusterd.counters import Counters
from clusterd.desired import ServerId, carried, desired, destination_key, service_key, sorry_key
from clusterd.groups import groups
from clusterd.model import DEFAULT_GROUP, Cluster, Server, Virtual
from clusterd.plane import AnyServiceKey, Destination, DestinationKey, Item, Key
from clusterd.reports import (
    ALL,
    DRY_RUN,
    FactorReport,
    Followed,
    Pause,
    PoolReport,
    Report,
    RouterReport,
    StandingReport,
    Switchover,
    VerdictReport,
)
from clusterd.verdicts import EXTERNAL, Decision, decision, heard
from clusterd.weights import Pool, Standing

ETCD = "etcd"
_PLAIN = PoolReport()
_TOLD = {"head", "applied", "follows", "converged", "ready", "not_ready", "problems", "drift", "drift_at"}


class Holder(Report):
    """Who has the lock of a group, and its fencing token."""

    group: str
    router: str
    token: int


@dataclass(frozen=True, slots=True)
class Observed:
    """What there is beside the configuration. `counters` are those of one router, None where they are not known.

    `leases_s` says how long each router's lease lives without a refresh. Where a router tells all this, and not etcd,
    nothing is known of the others.
    """

    routers: Mapping[str, RouterReport] = field(default_factory=dict)
    leases_s: Mapping[str, float] = field(default_factory=dict)
    holders: tuple[Holder, ...] = ()
    verdicts: Mapping[ServerId, tuple[VerdictReport, ...]] = field(default_factory=dict)
    pools: Mapping[tuple[str, str], PoolReport] = field(default_factory=dict)  # by virtual server and router
    pauses: tuple[Pause, ...] = ()
    switchovers: tuple[Switchover, ...] = ()
    pending: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()
    head_hash: str = ""
    counters: Mapping[Key, Counters] | None = None
    counted_by: str = ""
    told_by: str = ETCD


class RouterLine(Report):
    """One router. What is None is not known; `configured` is false where the document does not have it."""

    name: str
    alive: bool | None
    configured: bool
    role: str
    since: str = ""
    holds: tuple[Holder, ...] = ()
    lease_left_s: float | None = None
    head: int | None = None
    applied: int | None = None
    follows: Followed = Followed()
    converged: bool | None = None
    ready: bool | None = None
    not_ready: tuple[str, ...] = ()
    paused: Pause | None = None
    problems: tuple[str, ...] = ()
    drift: str = ""  # what others changed last in its kernel, and it repaired
    drift_at: str = ""


class ServerLine(Report):
    """One real server. `effective_weight` None: not in the pool.

    `observer` is whose verdict decides, "" where none or more than one does. `factors` is what has a say in the weight
    beside the configuration and the verdicts.
    """

    name: str
    address: str
    port: int
    weight: int
    effective_weight: int | None
    state: str  # up | down | draining | disabled | unchecked
    up: bool | None
    since: str = ""
    detail: str = ""
    observer: str = ""
    disagreement: bool = False
    verdicts: tuple[VerdictReport, ...] = ()
    factors: tuple[FactorReport, ...] = ()
    counters: Counters | None = None


class VirtualLine(Report):
    """One virtual server."""

    name: str
    group: str
    address: str
    port: int  # 0 is every port, or those of the mark
    protocol: str
    scheduler: str
    enabled: bool
    sorry_server: str | None
    sorry_server_in_use: bool
    servers: tuple[ServerLine, ...]
    mark: int | None = None
    alarms: tuple[str, ...] = ()
    counters: Counters | None = None


class Overview(Report):
    """Everything. `late` says who did not apply the last commit; `alarms` what somebody should look after now.

    `warnings` are for a quiet hour: what is not wrong now, and has faults that are known.
    """

    cluster: str
    commit: int
    told_by: str
    counted_by: str
    routers: tuple[RouterLine, ...]
    virtuals: tuple[VirtualLine, ...]
    pauses: tuple[Pause, ...]
    switchovers: tuple[Switchover, ...]
    pending: tuple[str, ...]
    alarms: tuple[str, ...]
    warnings: tuple[str, ...]
    late: tuple[str, ...]
    converged: bool


def overview(name: str, commit: int, cluster: Cluster, seen: Observed) -> Overview:
    """Return the cluster `name` as it is, with commit number `commit`."""
    routers = tuple(_routers(cluster, seen))
    virtuals = tuple(_virtuals(cluster, seen))
    late = tuple(_late(routers, commit, seen.head_hash))
    return Overview(
        cluster=name,
        commit=commit,
        told_by=seen.told_by,
        counted_by=seen.counted_by if seen.counters is not None else "",
        routers=routers,
        virtuals=virtuals,
        pauses=seen.pauses,
        switchovers=seen.switchovers,
        pending=seen.pending,
        alarms=tuple(dict.fromkeys(_alarms(cluster, seen, routers, virtuals))),
        warnings=tuple(dict.fromkeys(each for name in sorted(seen.routers) for each in seen.routers[name].warnings)),
        late=late,
        converged=not late,
    )


def with_counters(view: Overview, other: Overview) -> Overview:
    """Return an overview with the counters that another one has."""
    theirs = {virtual.name: virtual for virtual in other.virtuals}
    virtuals = [_counted_as(one, theirs[one.name]) if one.name in theirs else one for one in view.virtuals]
    return view.model_copy(update={"virtuals": tuple(virtuals), "counted_by": other.counted_by})


def _counted_as(virtual: VirtualLine, other: VirtualLine) -> VirtualLine:
    counters = {server.name: server.counters for server in other.servers}
    servers = [one.model_copy(update={"counters": counters.get(one.name)}) for one in virtual.servers]
    return virtual.model_copy(update={"servers": tuple(servers), "counters": other.counters})


def _judges(cluster: Cluster, seen: Observed) -> dict[str, str]:
    """Return by groups whose verdicts decide where traffic goes: the active router's, else the first one's alive."""
    holders = {holder.group: holder.router for holder in seen.holders}
    someone = min(seen.routers, default="")
    return {group: holders.get(group, someone) for group in groups(cluster)}


def _routers(cluster: Cluster, seen: Observed) -> Iterator[RouterLine]:
    paused = {pause.router: pause for pause in seen.pauses}
    for name in [*cluster.routers, *sorted(seen.routers.keys() - cluster.routers.keys())]:
        report = seen.routers.get(name)
        told = report or RouterReport()
        yield RouterLine(
            name=name,
            alive=report is not None or (None if seen.told_by != ETCD else False),
            configured=name in cluster.routers,
            role=told.role if report or seen.told_by != ETCD else "silent",
            since=told.since,
            holds=tuple(holder for holder in seen.holders if holder.router == name),
            lease_left_s=seen.leases_s.get(name),
            paused=paused.get(name) or paused.get(ALL),
            **told.model_dump(include=_TOLD),
        )


def _virtuals(cluster: Cluster, seen: Observed) -> Iterator[VirtualLine]:
    judges = _judges(cluster, seen)
    decided = {
        (name, label): _decided(cluster, virtual, judges[virtual.group], seen.verdicts.get((name, label), ()))
        for name, virtual in cluster.virtuals.items()
        for label in virtual.servers
    }
    up = {server: one.up for server, one in decided.items() if one.up is not None}
    told = {name: seen.pools.get((name, judges[v.group]), _PLAIN) for name, v in cluster.virtuals.items()}
    pool = desired(cluster, up, pools={name: _pool(report) for name, report in told.items() if report is not _PLAIN})
    for name, virtual in cluster.virtuals.items():
        address, sorry = virtual.sorry_server, sorry_key(virtual)
        ours = {destination_key(virtual, label) for label in virtual.servers}
        yield VirtualLine(
            name=name,
            group=virtual.group,
            address="" if virtual.address is None else str(virtual.address),
            port=virtual.port or 0,
            mark=virtual.mark,
            protocol=virtual.protocol,
            scheduler=virtual.scheduler,
            enabled=virtual.enabled,
            sorry_server=str(address) if address else None,
            sorry_server_in_use=sorry in pool and sorry not in ours,
            servers=tuple(
                _server(
                    virtual, label, pool, seen, decided[name, label], seen.verdicts.get((name, label), ())
                ).model_copy(update={"factors": told[name].servers.get(label, StandingReport()).factors})
                for label in virtual.servers
            ),
            alarms=told[name].alarms,
            counters=_counted(seen, service_key(virtual)),
        )


def _pool(report: PoolReport) -> Pool:
    return Pool({label: Standing(one.weight) for label, one in report.servers.items()}, report.sorry)


def _decided(cluster: Cluster, virtual: Virtual, judge: str, reports: tuple[VerdictReport, ...]) -> Decision:
    """Return what counts at the router that decides. Without one nothing does."""
    return decision(virtual, heard(cluster, reports, judge), judge, judge) if judge else Decision(None)


def _server(
    virtual: Virtual,
    label: str,
    pool: Mapping[Key, Item],
    seen: Observed,
    decided: Decision,
    reports: tuple[VerdictReport, ...],
) -> ServerLine:
    server, key = virtual.servers[label], destination_key(virtual, label)
    item = pool.get(key)
    told = {report.up for report in reports if report.up is not None and not report.observer.startswith(EXTERNAL)}
    agreeing = [one for one in reports if one.up == decided.up and one.observer == (decided.by or one.observer)]
    return ServerLine(
        name=label,
        address=str(server.address),
        port=key.port,
        weight=server.weight,
        effective_weight=item.weight if isinstance(item, Destination) else None,
        state=_state(virtual, server, decided.up),
        up=decided.up,
        since=max((one.since for one in agreeing), default="") if decided.up is not None else "",
        detail=decided.why,
        observer=decided.by,
        disagreement=len(told) > 1,
        verdicts=reports,
        counters=_counted(seen, key),
    )


def _state(virtual: Virtual, server: Server, up: bool | None) -> str:
    if not (virtual.enabled and server.enabled):
        return "disabled"
    if up is None:
        return "unchecked"
    if not up:
        return "down"
    return "draining" if server.drain else "up"


def _counted(seen: Observed, key: AnyServiceKey | DestinationKey) -> Counters | None:
    return None if seen.counters is None else seen.counters.get(key)


def _late(routers: tuple[RouterLine, ...], commit: int, head_hash: str) -> Iterator[str]:
    alive = [router for router in routers if router.alive]
    if not alive:
        yield "no router is alive"
    elif all(router.role == DRY_RUN for router in alive):
        yield "every router is in a dry run"
    for router in alive:
        if router.applied is None:
            yield f"{router.name} does not say which commit it applied"
        elif router.applied < commit:
            yield f"{router.name} is at commit {router.applied} of {commit}"
        elif head_hash and router.follows.lost_by(commit, head_hash, router.head):
            yield f"{router.name} follows commit {router.follows.number}, which this etcd does not have"
        elif router.converged is False:
            yield f"{router.name}'s kernel is not as commit {commit} wants it"


def _alarms(
    cluster: Cluster, seen: Observed, routers: tuple[RouterLine, ...], virtuals: tuple[VirtualLine, ...]
) -> Iterator[str]:
    unheld = set(carried(cluster).values()) - {holder.group for holder in seen.holders}
    for group in sorted(unheld) if seen.told_by == ETCD else ():
        yield "no router is active" + ("" if group == DEFAULT_GROUP else f" for group {group}")
    for router in routers:
        if router.configured and router.alive is False:
            yield f"router {router.name} is not alive"
        yield from (f"router {router.name}: {problem}" for problem in router.problems)
    for virtual in virtuals:
        if virtual.enabled and not any(server.effective_weight for server in virtual.servers):
            instead = ": its sorry server answers" if virtual.sorry_server_in_use else ""
            yield f"virtual server {virtual.name} has no real server in its pool{instead}"
        yield from (f"virtual server {virtual.name}: {alarm}" for alarm in virtual.alarms)
        for server in virtual.servers:
            if server.disagreement and server.state != "disabled":
                yield f"routers disagree on {virtual.name}/{server.name}: {_told(server.verdicts)}"
    yield from (f"{name} in etcd is not what was committed; see `clusterd adopt`" for name in seen.strays)


def _told(verdicts: tuple[VerdictReport, ...]) -> str:
    words = {True: "up", False: "down", None: "unknown"}
    return ", ".join(f"{words[one.up]} says {one.observer} ({one.detail})" for one in verdicts)
