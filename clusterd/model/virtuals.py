"""Virtual servers and the real servers behind them."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from clusterd.model.checks import Check, TcpCheck
from clusterd.model.scalars import (
    DEFAULT_GROUP,
    Flag,
    Forwarding,
    Host,
    HostWithPrefix,
    InterfaceName,
    Name,
    Port,
    Protocol,
    Scheduler,
    Value,
    Weight,
)


class Load(Value):
    """Where the load of the real servers is read from. Without one the configured weights apply."""

    source: Literal["none", "ssh", "rup", "ruptime", "agent", "http"] = Field(
        "none", description="how it is read; none keeps the configured weights"
    )


class Persistence(Value):
    """Connections of one client (or of one network of clients) stay with one real server."""

    timeout_s: Annotated[int, Field(ge=1, le=2678400, strict=True)] = Field(
        300, description="seconds that a client stays with its server after its last connection"
    )
    prefix: Annotated[int, Field(ge=1, le=128, strict=True)] | None = Field(
        None,
        description="how many bits of a client's address count, at most 32 where the VIP is an IPv4 address; "
        "all of them without it",
        json_schema_extra={"x-unit": "bits"},
    )


class Server(Value):
    """A real server behind one virtual server."""

    address: Host = Field(description="the real server's address")
    port: Port | None = Field(None, description="port of the real server; the virtual server's by default")
    weight: Weight = Field(
        1, description="its share of new connections, relative to the others; 0 keeps only those that it has"
    )
    enabled: Flag = Field(True, description="whether it is checked and used")
    drain: Flag = Field(
        False, description="weight 0 whatever `weight` says: established connections go on, new ones go elsewhere"
    )
    forwarding: Forwarding | None = Field(
        None, description="how packets reach it; as the virtual server says by default"
    )


class Virtual(Value):
    """A virtual server: one address and port that clients use, and the real servers behind it."""

    address: HostWithPrefix = Field(
        description="the VIP and its network's prefix; where none is given 32, and 128 for IPv6"
    )
    interface: InterfaceName = Field(description="interface that carries the VIP")
    group: Name = Field(DEFAULT_GROUP, description="the group of floating addresses that the VIP moves with")
    port: Port = Field(description="port that clients connect to")
    protocol: Protocol = Field("tcp", description="protocol of the clients' connections")
    scheduler: Scheduler = Field("wlc", description="how a real server is chosen for a connection: ipvsadm(8), -s")
    forwarding: Forwarding | None = Field(
        None, description="how packets reach its real servers; as the cluster says by default"
    )
    persistence: Persistence | None = Field(
        None, description="keeps a client with one real server; without it every connection is scheduled by itself"
    )
    enabled: Flag = Field(True, description="whether it is served and its address carried")
    quiesce: Flag = Field(False, description="a failed server keeps its connections at weight 0")
    sorry_server: Host | None = Field(
        None, description="address of the server that is used while no real server is available"
    )
    check: Check = Field(TcpCheck(type="tcp"), description="how its real servers are checked")
    load: Load = Field(Load(), description="where the load of its real servers is read from")
    servers: Mapping[Name, Server] = Field({}, description="its real servers, by name")
