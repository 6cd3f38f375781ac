"""The whole cluster at one look: what is wanted, what routers report, and what does not fit. Pure.

The same value is made from etcd by the command, and by a router from what it knows itself while etcd is away.
"""

from collections.abc import Iterator, Mapping

from clusterd.counters import Counters
from clusterd.desired import desired, destination_key, service_key, sorry_key
from clusterd.groups import groups
from clusterd.model import Cluster, Server, Virtual
from clusterd.overview.alarms import alarms, late
from clusterd.overview.values import ETCD, Holder, Observed, Overview, RouterLine, ServerLine, VirtualLine
from clusterd.plane import AnyServiceKey, Destination, DestinationKey, Item, Key
from clusterd.reports import ALL, PoolReport, RouterReport, StandingReport, VerdictReport
from clusterd.verdicts import EXTERNAL, Decision, decision, heard
from clusterd.weights import Pool, Standing

__all__ = [
    "ETCD",
    "Holder",
    "Observed",
    "Overview",
    "RouterLine",
    "ServerLine",
    "VirtualLine",
    "overview",
    "with_counters",
]

_PLAIN = PoolReport()
_TOLD = {"head", "applied", "follows", "converged", "ready", "not_ready", "problems", "drift", "drift_at"}


def overview(name: str, commit: int, cluster: Cluster, seen: Observed) -> Overview:
    """Return the cluster `name` as it is, with commit number `commit`."""
    routers = tuple(_routers(cluster, seen))
    virtuals = tuple(_virtuals(cluster, seen))
    behind = tuple(late(routers, commit, seen.head_hash))
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
        alarms=tuple(dict.fromkeys(alarms(cluster, seen, routers, virtuals))),
        warnings=tuple(dict.fromkeys(each for name in sorted(seen.routers) for each in seen.routers[name].warnings)),
        late=behind,
        converged=not behind,
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
