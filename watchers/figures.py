"""A router's figures at one moment, taken from where each of them is kept. It copies and decides nothing.

This is done in the router's own task, between two events, so that they fit together; what takes time (names, text, the
network) is done with the copy, in another thread.
"""

from dataclasses import dataclass

from clusterd import __version__
from clusterd.clock import boottime_s
from clusterd.metrics import Commits, Counted, Figures, Kernel, Lease, Takeovers
from clusterd.model import Cluster
from clusterd.store.counted import CountedStore
from watchers.applied_times import AppliedTimes
from watchers.elections import Elections
from watchers.events import Events
from watchers.kernel_follower import KernelFollower
from watchers.kernel_writer import KernelWriter
from watchers.prober_link import ProberLink
from watchers.problems import Problems
from watchers.status import Status
from watchers.weighing import Weighing


@dataclass(frozen=True, slots=True)
class Sources:
    """The parts of a router that know something."""

    store: CountedStore
    elections: Elections
    kernel: KernelFollower
    writer: KernelWriter
    weighing: Weighing
    prober: ProberLink
    applied: AppliedTimes
    events: Events
    problems: Problems


@dataclass(frozen=True, slots=True)
class Self:
    """What the router says of itself. `heard_s` is when etcd answered last."""

    cluster_name: str
    name: str
    following: Cluster
    status: Status
    heard_s: float


def figures(of: Sources, me: Self) -> Figures:
    """Return the figures of now."""
    now_s, kept = boottime_s(), of.weighing.kept()
    return Figures(
        cluster_name=me.cluster_name,
        router=me.name,
        version=__version__,
        cluster=me.following,
        ready=me.status.ready,
        paused=of.elections.own.paused,
        problems=of.problems.counts(),
        events=dict(of.events.recorded),
        commits=_commits(of.applied, me.status),
        active={group: state.acting for group, state in of.elections.states.items()},
        lease=_lease(of.elections, now_s),
        takeovers=Takeovers(dict(of.elections.takeovers.causes), of.elections.takeovers.durations.copy()),
        kernel=Kernel(of.writer.operations, of.writer.failed, of.kernel.repairs),
        checked=of.prober.tallies.all(),
        calls=of.store.calls(),
        silence_s=now_s - me.heard_s,
        verdicts=dict(of.prober.verdicts),
        pools=dict(of.weighing.pools),
        kept=kept[0],
        could_not_depool=kept[1],
        counted=_counted(of.writer, now_s),
    )


def _commits(applied: AppliedTimes, status: Status) -> Commits:
    stages = {stage: took.copy() for stage, took in applied.stages.items()}
    return Commits(status.head, status.applied, status.converged, applied.took.copy(), stages)


def _lease(elections: Elections, now_s: float) -> Lease:
    own = elections.own
    return Lease(own.lease_until_s - now_s, elections.margin.lowest_s(now_s), own.ttl_s)


def _counted(writer: KernelWriter, now_s: float) -> Counted:
    at_s, counters = writer.counted or (None, {})
    return Counted(counters, None if at_s is None else now_s - at_s)
