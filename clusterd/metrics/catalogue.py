"""Every metric of a router: its name, kind and labels, and what it means; docs/metrics.md is made from this."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "histogram"]
COMMON_LABELS = ("cluster", "router")  # every metric of clusterd has them


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. `labels` are those beside the common ones; a unit is the end of the name, before `_total`."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """What is counted or measured, where the name says so."""
        found = [each for each in ("seconds", "bytes") if each in self.name.split("_")]
        return found[0] if found else ""


# --- the router ---------------------------------------------------------------------------------------------------

INFO = Metric("clusterd_router_info", "gauge", "always 1; which version runs here", ("version",))
READY = Metric("clusterd_ready", "gauge", "1 where this router can take over at once, as `clusterd status` says")
PAUSED = Metric("clusterd_paused", "gauge", "1 while this router, or all of them, are in a pause")
PROBLEMS = Metric(
    "clusterd_problems",
    "gauge",
    "how many problems there are now, by what they are about: `clusterd status` tells them",
    ("about",),
)
EVENTS = Metric("clusterd_events_total", "counter", "events that this router recorded (`clusterd events`)", ("kind",))
CERTIFICATE = Metric(
    "clusterd_certificate_expiry_timestamp_seconds",
    "gauge",
    "when a certificate of this router's settings ends, seconds since 1970, by the setting that names its file",
    ("setting",),
)

# --- commits ------------------------------------------------------------------------------------------------------

SEEN = Metric("clusterd_commit_seen_number", "gauge", "the last commit that this router saw in etcd")
APPLIED = Metric("clusterd_commit_applied_number", "gauge", "the commit that its kernel was last seen to be")
CONVERGED = Metric("clusterd_converged", "gauge", "1 while the kernel is what it should be")
CONVERGENCE = Metric(
    "clusterd_convergence_seconds",
    "histogram",
    "from a commit's time (by the clock of the host that made it) until this kernel was as it wants; of commits that "
    "came while the service ran, and were not overtaken by the next",
)
STAGE = Metric(
    "clusterd_convergence_stage_seconds",
    "histogram",
    "the same in three parts that follow each other: until this router had `seen` it, until it had `planned` what to "
    "do, and until that was `applied` and read back",
    ("stage",),
)

# --- who is active ------------------------------------------------------------------------------------------------

ACTIVE = Metric("clusterd_active", "gauge", "1 where this router is the active one of a group of addresses", ("group",))
MARGIN = Metric(
    "clusterd_lease_margin_seconds",
    "gauge",
    "how long this router may act without another refresh: its lease, less 0.3 s; below 0: it has ended",
)
LOWEST_MARGIN = Metric(
    "clusterd_lease_margin_lowest_seconds",
    "gauge",
    "the least that was left when a refresh was answered, in the last one to two minutes",
)
TTL = Metric("clusterd_lease_ttl_seconds", "gauge", "how long the lease lasts (`heartbeat/deadtime_s`)")
TAKEOVERS = Metric(
    "clusterd_takeovers_total", "counter", "how often this router became active, by why the lock was free", ("cause",)
)
TAKEOVER = Metric(
    "clusterd_takeover_seconds",
    "histogram",
    "from the lock seen free until the addresses were announced by this router",
)

# --- the kernel ---------------------------------------------------------------------------------------------------

DRIFT = Metric(
    "clusterd_drift_repairs_total", "counter", "operations by which was repaired what others changed in the kernel"
)
OPERATIONS = Metric("clusterd_kernel_operations_total", "counter", "operations that the kernel was asked for")
FAILED = Metric("clusterd_kernel_operations_failed_total", "counter", "those of them that it refused")

# --- checks of the real servers -----------------------------------------------------------------------------------

CHECKS = Metric(
    "clusterd_checks_total",
    "counter",
    "checks that this router's prober made, by their result: `passed`, `failed`, or `inconclusive` where the check "
    "itself could not be made",
    ("type", "result"),
)
LATENESS = Metric("clusterd_check_lateness_seconds", "histogram", "how much later than planned checks began")
PROBERS = Metric(
    "clusterd_prober_starts_total", "counter", "how often a prober process was started: 1 when all is well"
)

# --- etcd ---------------------------------------------------------------------------------------------------------

CALLS = Metric(
    "clusterd_store_call_seconds", "histogram", "how long calls to etcd took, failed ones included", ("call",)
)
ERRORS = Metric(
    "clusterd_store_errors_total",
    "counter",
    "calls to etcd that failed: it was `unavailable`, it `refused`, or the answer was lost (`uncertain`)",
    ("call", "error"),
)
SILENCE = Metric("clusterd_store_silence_seconds", "gauge", "how long ago etcd last answered for the lease")

# --- virtual servers and real servers -----------------------------------------------------------------------------

VIRTUAL, SERVER = ("virtual",), ("virtual", "server")
SERVERS = Metric("clusterd_virtual_servers", "gauge", "enabled real servers", VIRTUAL)
SERVERS_UP = Metric("clusterd_virtual_servers_up", "gauge", "those that this router's own checks see up", VIRTUAL)
KEPT = Metric(
    "clusterd_virtual_servers_kept",
    "gauge",
    "those that stay in the pool although they are down (`fail_open`)",
    VIRTUAL,
)
COULD_NOT_DEPOOL = Metric(
    "clusterd_could_not_depool_total",
    "counter",
    "how often a real server was down and stayed in the pool (`fail_open`)",
    VIRTUAL,
)
SORRY = Metric("clusterd_virtual_sorry", "gauge", "1 while the sorry server answers", VIRTUAL)
UP = Metric(
    "clusterd_server_up", "gauge", "1 where this router's own checks see it up; missing until it was checked", SERVER
)
WEIGHT = Metric(
    "clusterd_server_weight",
    "gauge",
    "the weight that it should have in this kernel; 0 where it gets no new connections",
    SERVER,
)
AGE = Metric(
    "clusterd_ipvs_counters_age_seconds",
    "gauge",
    "how long ago the counters of IPVS were read: every 10 s, or for 1 % of the time where that takes long",
)
LEFT_OUT = Metric(
    "clusterd_objects_left_out",
    "gauge",
    "virtual and real servers without series, because of `metrics_series`",
    ("kind",),
)


@dataclass(frozen=True, slots=True)
class Ipvs:
    """What IPVS counts, of virtual servers or of real servers."""

    connections: Metric
    active: Metric
    inactive: Metric
    packets: Metric
    bytes: Metric

    @property
    def all(self) -> tuple[Metric, ...]:
        """All of them."""
        return (self.connections, self.active, self.inactive, self.packets, self.bytes)


def _ipvs(what: str, labels: tuple[str, ...]) -> Ipvs:
    both = (*labels, "direction")
    return Ipvs(
        Metric(f"clusterd_{what}_connections_total", "counter", "connections that this kernel has scheduled", labels),
        Metric(f"clusterd_{what}_active_connections", "gauge", "connections that IPVS counts as active", labels),
        Metric(f"clusterd_{what}_inactive_connections", "gauge", "those that it counts as inactive", labels),
        Metric(f"clusterd_{what}_packets_total", "counter", "packets, `in` from clients or `out` to them", both),
        Metric(f"clusterd_{what}_bytes_total", "counter", "bytes, `in` or `out`", both),
    )  # fmt: skip


OF_VIRTUALS, OF_SERVERS = _ipvs("virtual", VIRTUAL), _ipvs("server", SERVER)

SECTIONS: dict[str, tuple[Metric, ...]] = {
    "The router": (INFO, READY, PAUSED, PROBLEMS, EVENTS, CERTIFICATE),
    "Commits": (SEEN, APPLIED, CONVERGED, CONVERGENCE, STAGE),
    "Who is active": (ACTIVE, MARGIN, LOWEST_MARGIN, TTL, TAKEOVERS, TAKEOVER),
    "The kernel": (DRIFT, OPERATIONS, FAILED),
    "Checks of real servers": (CHECKS, LATENESS, PROBERS),
    "etcd": (CALLS, ERRORS, SILENCE),
    "Virtual servers": (SERVERS, SERVERS_UP, KEPT, COULD_NOT_DEPOOL, SORRY, *OF_VIRTUALS.all),
    "Real servers": (UP, WEIGHT, *OF_SERVERS.all),
    "The figures themselves": (AGE, LEFT_OUT),
}
ALL = tuple(metric for metrics in SECTIONS.values() for metric in metrics)
PROCESS = (  # what the client library tells of the process
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
)
