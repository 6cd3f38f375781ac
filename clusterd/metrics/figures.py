"""What a router knows at one moment, as far as it is told in numbers: copies, so nothing here changes later."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clusterd.counters import Counters
from clusterd.health import Verdict
from clusterd.metrics.histogram import Histogram
from clusterd.model import Cluster
from clusterd.plane import Key
from clusterd.weights import Pool

NEVER = float("-inf")
STAGES = ("seen", "planned", "applied")
RESULTS = ("passed", "failed", "inconclusive")


@dataclass(frozen=True, slots=True)
class Commits:
    """How far this router has come, and how long that took: as a whole, and by stage."""

    seen: int
    applied: int
    converged: bool
    took: Histogram
    stages: Mapping[str, Histogram]


@dataclass(frozen=True, slots=True)
class Lease:
    """Seconds: left now (`NEVER` before the first), least left of late (None before the first refresh), granted."""

    left_s: float
    lowest_s: float | None
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Takeovers:
    """How often this router took over, by cause, and how long that took."""

    causes: Mapping[str, int]
    took: Histogram


@dataclass(frozen=True, slots=True)
class Kernel:
    """Operations that were asked for, that were refused, and by which drift was repaired."""

    operations: int
    failed: int
    repairs: int


@dataclass(frozen=True, slots=True)
class Checked:
    """Checks by type and result, how late they began, and how many probers were started."""

    results: Mapping[tuple[str, str], int]
    lateness: Histogram
    starts: int


@dataclass(frozen=True, slots=True)
class Call:
    """One kind of call to etcd: how long it took (None: it has no end of its own), and how often which error came."""

    took: Histogram | None
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Counted:
    """What IPVS counted when it was last read, and how long ago that is (None: it was not read yet)."""

    counters: Mapping[Key, Counters]
    age_s: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """One router at one moment. `kept` and `could_not_depool` are by virtual server, without those that have none."""

    cluster_name: str
    router: str
    version: str
    cluster: Cluster
    ready: bool
    paused: bool
    problems: Mapping[str, int]
    events: Mapping[str, int]
    commits: Commits
    active: Mapping[str, bool]  # by group
    lease: Lease
    takeovers: Takeovers
    kernel: Kernel
    checked: Checked
    calls: Mapping[str, Call]
    silence_s: float
    verdicts: Mapping[tuple[str, str], Verdict]
    pools: Mapping[str, Pool]
    kept: Mapping[str, int]
    could_not_depool: Mapping[str, int]
    counted: Counted
    certificates: Mapping[str, float] = field(default_factory=dict)  # when they end (seconds since 1970), by setting
