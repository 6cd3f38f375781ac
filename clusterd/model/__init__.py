"""The cluster as people describe it: values that are valid once made.

These classes are the document's schema as well: field names are the document's keys, units stand in the names, and
`Cluster.model_json_schema(by_alias=True)` is the published JSON Schema. What must hold *between* objects is in
`rules`. Nothing here knows about etcd, files or the kernel.
"""

from collections.abc import Mapping
from itertools import compress
from operator import is_not

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
    "changed_keys",
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


def others(before: Cluster, after: Cluster) -> frozenset[str]:
    """Return the names of the virtual servers that are not the very same in both: changed, new or gone.

    It takes a glance at each: a cluster that was made of another one shares with it what was left alone.
    """
    return changed_keys(before.virtuals, after.virtuals)


def changed_keys(before: Mapping[str, object], after: Mapping[str, object]) -> frozenset[str]:
    """Return the keys under which two mappings do not have the very same object.

    There can be thousands, and each commit leads here a few times: nothing of this is a loop of Python's.
    """
    fresh = compress(after, map(is_not, map(before.get, after), after.values()))
    return frozenset(fresh).union(before.keys() - after.keys())
