"""What the cluster is at one look, as values: what is known beside the configuration, and the lines that are told."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clusterd.counters import Counters
from clusterd.desired import ServerId
from clusterd.plane import Key
from clusterd.reports import (
    FactorReport,
    Followed,
    Pause,
    PoolReport,
    Report,
    RouterReport,
    Switchover,
    VerdictReport,
)

ETCD = "etcd"


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
