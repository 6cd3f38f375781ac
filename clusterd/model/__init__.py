"""The cluster as people describe it: values that are valid once made.

These classes are the document's schema as well: field names are the document's keys, units stand in the names, and
`Cluster.model_json_schema(by_alias=True)` is the published JSON Schema. What must hold *between* objects is in
`rules`. Nothing here knows about etcd, files or the kernel.
"""

from collections.abc import Mapping
from weakref import ref

from pydantic import Field

from clusterd.model.checks import (
    Check,
    DnsCheck,
    ExecCheck,
    GrpcCheck,
    IcmpCheck,
    MysqlCheck,
    PostgresCheck,
    RedisCheck,
    SendExpectCheck,
    SmtpCheck,
    SshCheck,
    TcpCheck,
    TlsCheck,
    UdpCheck,
)
from clusterd.model.load import Load, SlowStart
from clusterd.model.pages import HttpCheck, HttpsCheck, Page, accepted
from clusterd.model.scalars import (
    DEFAULT_GROUP,
    AnyPort,
    Argument,
    Checksum,
    Count,
    Engine,
    Family,
    Flag,
    Forwarding,
    Host,
    Host6,
    HostWithPrefix,
    HostWithPrefix4,
    HostWithPrefix6,
    InterfaceName,
    IpvsTimeout,
    Mark,
    MulticastGroup,
    Name,
    Network,
    Port,
    PortRange,
    Ports,
    Priority,
    Protocol,
    Scheduler,
    SchedulerFlag,
    Seconds,
    Share,
    Text,
    Threshold,
    TunnelType,
    Value,
    Weight,
)
from clusterd.model.settings import (
    Brakes,
    Fast,
    Group,
    Heartbeat,
    Masquerade,
    NatRouter,
    NatRouter6,
    Notify,
    Reachability,
    Router,
    Settings,
    Sync,
    Timeouts,
)
from clusterd.model.timing import Encrypted, Timing
from clusterd.model.virtuals import Persistence, Server, Tunnel, Virtual, checked_port, family, place, port_ranges
from clusterd.sharing import changed_keys

__all__ = [
    "DEFAULT_GROUP",
    "AnyPort",
    "Argument",
    "Brakes",
    "Check",
    "Checksum",
    "Cluster",
    "Count",
    "DnsCheck",
    "Encrypted",
    "Engine",
    "ExecCheck",
    "Family",
    "Fast",
    "Flag",
    "Forwarding",
    "Group",
    "GrpcCheck",
    "Heartbeat",
    "Host",
    "Host6",
    "HostWithPrefix",
    "HostWithPrefix4",
    "HostWithPrefix6",
    "HttpCheck",
    "HttpsCheck",
    "IcmpCheck",
    "InterfaceName",
    "IpvsTimeout",
    "Load",
    "Mark",
    "Masquerade",
    "MulticastGroup",
    "MysqlCheck",
    "Name",
    "NatRouter",
    "NatRouter6",
    "Network",
    "Notify",
    "Page",
    "Persistence",
    "Port",
    "PortRange",
    "Ports",
    "PostgresCheck",
    "Priority",
    "Protocol",
    "Reachability",
    "RedisCheck",
    "Router",
    "Scheduler",
    "SchedulerFlag",
    "Seconds",
    "SendExpectCheck",
    "Server",
    "Settings",
    "Share",
    "SlowStart",
    "SmtpCheck",
    "SshCheck",
    "Sync",
    "TcpCheck",
    "Text",
    "Threshold",
    "Timeouts",
    "Timing",
    "TlsCheck",
    "Tunnel",
    "TunnelType",
    "UdpCheck",
    "Value",
    "Virtual",
    "Weight",
    "accepted",
    "checked_port",
    "family",
    "forwarding",
    "others",
    "place",
    "port_ranges",
]


class Cluster(Value):
    """A whole cluster: what one document says."""

    settings: Settings = Field(Settings(), alias="cluster", description="what holds for the whole cluster")
    routers: Mapping[Name, Router] = Field({}, description="the LVS routers, by name")
    virtuals: Mapping[Name, Virtual] = Field({}, description="the virtual servers, by name")


def forwarding(cluster: Cluster, virtual: Virtual, server: Server) -> Forwarding:
    """Return how packets reach a server: its own way, else the virtual server's, else the cluster's."""
    return server.forwarding or virtual.forwarding or cluster.settings.forwarding


_last_others = (ref(_NOBODY := Cluster()), ref(_NOBODY), frozenset[str]())  # of which two clusters, and the answer


def others(before: Cluster, after: Cluster) -> frozenset[str]:
    """Return the names of the virtual servers that are not the very same in both: changed, new or gone.

    It takes a glance at each: a cluster that was made of another one shares with it what was left alone. Everybody who
    follows a commit asks this of the same two, so the last answer is kept.
    """
    global _last_others  # replaced as a whole, whichever thread does it
    known_before, known_after, names = _last_others
    if known_before() is not before or known_after() is not after:
        names = changed_keys(before.virtuals, after.virtuals)
        _last_others = ref(before), ref(after), names
    return names
