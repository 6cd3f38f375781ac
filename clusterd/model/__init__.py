"""The cluster as people describe it: values that are valid once made.

These classes are the document's schema as well: field names are the document's keys, units stand in the names, and
`Cluster.model_json_schema(by_alias=True)` is the published JSON Schema. What must hold *between* objects is in
`rules`. Nothing here knows about etcd, files or the kernel.
"""

from collections.abc import Mapping

from pydantic import Field

from clusterd.model.checks import Check, HttpCheck, SendExpectCheck, TcpCheck, Timing
from clusterd.model.scalars import (
    DEFAULT_GROUP,
    Argument,
    Count,
    Flag,
    Forwarding,
    Host,
    Host6,
    HostWithPrefix,
    HostWithPrefix4,
    HostWithPrefix6,
    InterfaceName,
    MulticastGroup,
    Name,
    Network,
    Port,
    Priority,
    Protocol,
    Scheduler,
    Seconds,
    Share,
    Text,
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
)
from clusterd.model.virtuals import Load, Persistence, Server, Virtual

__all__ = [
    "DEFAULT_GROUP",
    "Argument",
    "Brakes",
    "Check",
    "Cluster",
    "Count",
    "Fast",
    "Flag",
    "Forwarding",
    "Group",
    "Heartbeat",
    "Host",
    "Host6",
    "HostWithPrefix",
    "HostWithPrefix4",
    "HostWithPrefix6",
    "HttpCheck",
    "InterfaceName",
    "Load",
    "Masquerade",
    "MulticastGroup",
    "Name",
    "NatRouter",
    "NatRouter6",
    "Network",
    "Notify",
    "Persistence",
    "Port",
    "Priority",
    "Protocol",
    "Reachability",
    "Router",
    "Scheduler",
    "Seconds",
    "SendExpectCheck",
    "Server",
    "Settings",
    "Share",
    "Sync",
    "TcpCheck",
    "Text",
    "Timing",
    "Value",
    "Virtual",
    "Weight",
    "forwarding",
]


class Cluster(Value):
    """A whole cluster: what one document says."""

    settings: Settings = Field(Settings(), alias="cluster", description="what holds for the whole cluster")
    routers: Mapping[Name, Router] = Field({}, description="the LVS routers, by name")
    virtuals: Mapping[Name, Virtual] = Field({}, description="the virtual servers, by name")


def forwarding(cluster: Cluster, virtual: Virtual, server: Server) -> Forwarding:
    """Return how packets reach a server: its own way, else the virtual server's, else the cluster's."""
    return server.forwarding or virtual.forwarding or cluster.settings.forwarding
