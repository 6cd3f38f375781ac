"""From figures to samples, metric by metric.

Virtual servers and real servers have about ten series each, so there may be 100,000 of them: the first ones are told,
in the order of the document and all virtual servers before the real ones, until `most` series are reached. The others
are left out as a whole, and how many these are is told.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from clusterd.counters import Counters
from clusterd.desired import destination_key, service_key
from clusterd.metrics import catalogue as each
from clusterd.metrics.catalogue import Ipvs, Metric
from clusterd.metrics.figures import NEVER, RESULTS, Figures
from clusterd.metrics.histogram import Histogram
from clusterd.model import Server, Virtual
from clusterd.weights import Standing

Value = float | Histogram
_Row = tuple[Metric, tuple[str, ...], float]
_NOBODY = Standing(None)


@dataclass(slots=True)
class Family:
    """One metric, and its values by those of its labels, the common ones first."""

    metric: Metric
    samples: list[tuple[tuple[str, ...], Value]] = field(default_factory=list)


def families(figures: Figures, most: int) -> tuple[Family, ...]:
    """Return every metric in the order of the catalogue, those without a value included."""
    found = {metric: Family(metric) for metric in each.ALL}
    common = (figures.cluster_name, figures.router)
    rows: Iterable[tuple[Metric, tuple[str, ...], Value]]
    for rows in (_router(figures), _commits(figures), _roles(figures), _work(figures), _objects(figures, most)):
        for metric, labels, value in rows:
            found[metric].samples.append(((*common, *labels), value))
    return tuple(found.values())


def _router(figures: Figures) -> Iterator[_Row]:
    yield each.INFO, (figures.version,), 1
    yield each.READY, (), figures.ready
    yield each.PAUSED, (), figures.paused
    yield from _by(each.PROBLEMS, figures.problems)
    yield from _by(each.EVENTS, figures.events)
    yield from _by(each.CERTIFICATE, figures.certificates)


def _commits(figures: Figures) -> Iterator[tuple[Metric, tuple[str, ...], Value]]:
    commits = figures.commits
    yield each.SEEN, (), commits.seen
    yield each.APPLIED, (), commits.applied
    yield each.CONVERGED, (), commits.converged
    yield each.CONVERGENCE, (), commits.took
    for stage, took in commits.stages.items():
        yield each.STAGE, (stage,), took


def _roles(figures: Figures) -> Iterator[tuple[Metric, tuple[str, ...], Value]]:
    lease = figures.lease
    yield from _by(each.ACTIVE, figures.active)
    yield each.TTL, (), lease.ttl_s
    if lease.left_s > NEVER:
        yield each.MARGIN, (), lease.left_s
    if lease.lowest_s is not None:
        yield each.LOWEST_MARGIN, (), lease.lowest_s
    yield from _by(each.TAKEOVERS, figures.takeovers.causes)
    yield each.TAKEOVER, (), figures.takeovers.took


def _work(figures: Figures) -> Iterator[tuple[Metric, tuple[str, ...], Value]]:
    kernel, checked = figures.kernel, figures.checked
    yield each.DRIFT, (), kernel.repairs
    yield each.OPERATIONS, (), kernel.operations
    yield each.FAILED, (), kernel.failed
    used = {(virtual.check.type, result): 0 for virtual in figures.cluster.virtuals.values() for result in RESULTS}
    for labels, count in (used | dict(checked.results)).items():
        yield each.CHECKS, labels, count
    yield each.LATENESS, (), checked.lateness
    yield each.PROBERS, (), checked.starts
    for name, call in figures.calls.items():
        if call.took is not None:
            yield each.CALLS, (name,), call.took
        for error, count in call.errors.items():
            yield each.ERRORS, (name, error), count
    yield each.SILENCE, (), figures.silence_s


def _by(metric: Metric, values: Mapping[str, float]) -> Iterator[_Row]:
    for label, value in values.items():
        yield metric, (label,), value


# --- virtual servers and real servers -----------------------------------------------------------------------------


def _objects(figures: Figures, most: int) -> Iterator[_Row]:
    virtuals = figures.cluster.virtuals
    servers = [(name, label) for name, virtual in virtuals.items() for label in virtual.servers]
    told_virtuals = told_servers = used = 0
    for name, virtual in virtuals.items():
        rows = list(_virtual(figures, name, virtual))
        if (used := used + len(rows)) > most:
            break
        told_virtuals += 1
        yield from rows
    for name, label in servers:
        rows = list(_server(figures, name, label)) if used <= most else []
        if (used := used + len(rows)) > most:
            break
        told_servers += 1
        yield from rows
    yield each.LEFT_OUT, ("virtual",), len(virtuals) - told_virtuals
    yield each.LEFT_OUT, ("server",), len(servers) - told_servers
    if figures.counted.age_s is not None:
        yield each.AGE, (), figures.counted.age_s


def _virtual(figures: Figures, name: str, virtual: Virtual) -> Iterator[_Row]:
    enabled = [label for label, server in virtual.servers.items() if _checked(virtual, server)]
    verdicts = [figures.verdicts.get((name, label)) for label in enabled]
    pool = figures.pools.get(name)
    yield each.SERVERS, (name,), len(enabled)
    yield each.SERVERS_UP, (name,), sum(verdict is not None and verdict.up for verdict in verdicts)
    yield each.KEPT, (name,), figures.kept.get(name, 0)
    yield each.COULD_NOT_DEPOOL, (name,), figures.could_not_depool.get(name, 0)
    yield each.SORRY, (name,), pool is not None and pool.sorry
    yield from _counted(each.OF_VIRTUALS, (name,), figures.counted.counters.get(service_key(virtual)))


def _server(figures: Figures, name: str, label: str) -> Iterator[_Row]:
    virtual, pool, who = figures.cluster.virtuals[name], figures.pools.get(name), (name, label)
    verdict = figures.verdicts.get(who) if _checked(virtual, virtual.servers[label]) else None
    if verdict is not None:
        yield each.UP, who, verdict.up
    standing = pool.standings.get(label, _NOBODY) if pool else _NOBODY
    yield each.WEIGHT, who, standing.weight or 0
    yield from _counted(each.OF_SERVERS, who, figures.counted.counters.get(destination_key(virtual, label)))


def _checked(virtual: Virtual, server: Server) -> bool:
    return virtual.enabled and server.enabled


def _counted(metrics: Ipvs, labels: tuple[str, ...], counters: Counters | None) -> Iterator[_Row]:
    if counters is None:
        return
    yield metrics.connections, labels, counters.connections
    if counters.active is not None:
        yield metrics.active, labels, counters.active
    if counters.inactive is not None:
        yield metrics.inactive, labels, counters.inactive
    yield metrics.packets, (*labels, "in"), counters.packets_in
    yield metrics.packets, (*labels, "out"), counters.packets_out
    yield metrics.bytes, (*labels, "in"), counters.bytes_in
    yield metrics.bytes, (*labels, "out"), counters.bytes_out
