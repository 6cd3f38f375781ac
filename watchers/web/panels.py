"""Which fields each page has, in which order. Pure."""

from functools import cache

from watchers.web.fields import Field, Group, Path, entries, fields, kinds

CLUSTER: Path = ("cluster",)
ROUTER: Path = ("routers", "*")
VIRTUAL: Path = ("virtuals", "*")
SERVER: Path = (*VIRTUAL, "servers", "*")
_CHECK: Path = (*VIRTUAL, "check")
_PLAIN = "tcp"  # the check that has only what all of them have
CHECK_TYPES = tuple(each.variant for each in kinds() if each.path == _CHECK)


def _pick(around: Path, *keys: str, inside: Path = ()) -> tuple[Field, ...]:
    return fields(inside, entries((*around, *inside)), keys)


def _optional(title: str, around: Path, inside: Path) -> Group:
    return Group(title, _pick(around, inside=inside), inside, optional=True)


@cache
def settings() -> tuple[Group, ...]:
    """Return the fields of the panel Global settings, which are those of ``cluster``."""
    return (
        Group("Forwarding", _pick(CLUSTER, "forwarding", "masquerade", "protect")),
        _optional("Floating gateway (IPv4)", CLUSTER, ("nat_router",)),
        _optional("Floating gateway (IPv6)", CLUSTER, ("nat_router6",)),
        Group("Timeouts of IPVS", _pick(CLUSTER, inside=("timeouts",))),
        Group("Brakes of a commit", _pick(CLUSTER, inside=("brakes",))),
        Group("Programs run at takeovers", _pick(CLUSTER, inside=("notify",))),
        Group("Kernel settings", _pick(CLUSTER, "sysctls")),
    )


@cache
def redundancy() -> tuple[Group, ...]:
    """Return the fields of the panel Redundancy, which are those of ``cluster`` too."""
    heartbeat = _pick(CLUSTER, "keepalive_s", "deadtime_s", "port", inside=("heartbeat",))
    return (
        Group("Heartbeat", (*heartbeat, *_pick(CLUSTER, "on_store_loss", "preempt_after_s"))),
        _optional("Fast failover", CLUSTER, ("heartbeat", "fast")),
        _optional("Synchronisation of connections", CLUSTER, ("sync",)),
        Group("Reachability", _pick(CLUSTER, inside=("reachability",))),
        Group("Groups of floating addresses", _pick(CLUSTER, "groups")),
    )


@cache
def router() -> tuple[Group, ...]:
    """Return the fields of one router."""
    return (Group("Addresses of its own", _pick(ROUTER)),)


@cache
def virtual() -> tuple[Group, ...]:
    """Return the fields of one virtual server, but for its check and its real servers."""
    place = _pick(VIRTUAL, "enabled", "address", "interface", "port", "protocol", "group")
    choice = _pick(VIRTUAL, "scheduler", "flags", "forwarding", "one_packet")
    failing = _pick(VIRTUAL, "sorry_server", "quiesce", "fail_open", "quorum", "hysteresis", "drain_deadline_s")
    return (
        Group("Where clients connect", place),
        Group("How a real server is chosen", choice),
        Group("When real servers fail", (*failing, *_pick(VIRTUAL, "verdicts", "down_quorum"))),
        _optional("Persistence", VIRTUAL, ("persistence",)),
        _optional("Slow start", VIRTUAL, ("slow_start",)),
        Group("Load of the real servers", _pick(VIRTUAL, inside=("load",))),
        Group("Firewall mark", _pick(VIRTUAL, "mark", "ports", "family")),
        _optional("Tunnel", VIRTUAL, ("tunnel",)),
    )


@cache
def server() -> tuple[Group, ...]:
    """Return the fields of one real server."""
    keys = ("address", "port", "weight", "enabled", "drain", "forwarding", "upper_threshold", "lower_threshold")
    return (Group("Real server", _pick(SERVER, *keys)), _optional("Tunnel", SERVER, ("tunnel",)))


@cache
def check(kind: str) -> tuple[Group, ...]:
    """Return the fields of the checks of this type."""
    known, timing = entries(_CHECK, kind), [key for key in entries(_CHECK, _PLAIN) if key != "type"]
    own = [key for key in known if key not in (*timing, "type")]
    asked = fields((), known, own) if own else ()
    return (
        *([Group(f"What {kind} asks", asked, whole=True)] if asked else []),
        Group("When, and how often", fields((), known, timing), whole=not asked),
    )
