"""The cluster as people describe it: values that are valid once made.

These classes are the document's schema as well: field names are the document's keys, units stand in the names, and
`Cluster.model_json_schema(by_alias=True)` is the published JSON Schema. What must hold *between* objects is in
`rules`. Nothing here knows about etcd, files or the kernel.
"""

import re
import warnings
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _text(value: object) -> object:
    """Refuse numbers where an address is meant: ipaddress would read 80 as 0.0.0.80."""
    if isinstance(value, int | float):
        raise ValueError("an address is written a.b.c.d")
    return value


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=63)]
InterfaceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=15)]  # IFNAMSIZ, netdevice(7)
Host = Annotated[IPv4Address, BeforeValidator(_text)]
HostWithPrefix = Annotated[IPv4Interface, BeforeValidator(_text)]
Network = Annotated[IPv4Network, BeforeValidator(_text)]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Weight = Annotated[int, Field(ge=0, le=65535, strict=True)]
Count = Annotated[int, Field(ge=1, le=1000, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=255)]  # the longest send or expect string of lvs.cf

Forwarding = Literal["nat", "direct", "tunnel"]
Protocol = Literal["tcp", "udp"]
Scheduler = Literal["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"]


class Value(BaseModel):
    """A frozen value that knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)


class NatRouter(Value):
    """The floating gateway: the real servers' default route, carried by the active router (lvs.cf: nat_router)."""

    address: HostWithPrefix
    interface: InterfaceName


class Masquerade(Value):
    """A private network whose hosts reach others through the active router, under its address on `interface`."""

    source: Network
    interface: InterfaceName


class Heartbeat(Value):
    """How soon a silent router is taken for dead."""

    keepalive_s: Seconds = Field(1.0, description="seconds between refreshes of the lease")
    deadtime_s: Annotated[int, Field(ge=2, le=3600, strict=True)] = Field(
        3, description="seconds of the lease, after which a silent router has lost the lock; etcd's floor is 2"
    )
    port: Port = Field(5390, description="UDP port on which routers ask each other while etcd is away")


class Settings(Value):
    """What holds for the whole cluster."""

    forwarding: Forwarding = "nat"
    nat_router: NatRouter | None = None
    masquerade: tuple[Masquerade, ...] = ()
    heartbeat: Heartbeat = Heartbeat()
    on_store_loss: Literal["failsafe", "release", "hold"] = Field(
        "failsafe",
        description="what the active router does when etcd does not answer: failsafe stays while every other router "
        "promises not to claim; release gives the addresses up in time; hold stays whatever happens, which risks two "
        "active routers",
    )


class Router(Value):
    """An LVS router: its own fixed addresses, not the floating ones."""

    public: Host
    private: Host | None = None
    priority: Annotated[int, Field(ge=0, le=255, strict=True)] = Field(
        100, description="who claims first when several could; a running holder is never displaced"
    )


class Timing(Value):
    """How often a real server is checked, and how many results change the verdict."""

    interval_s: Seconds = Field(2.0, description="seconds from one check to the next (lvs.cf: timeout)")
    timeout_s: Seconds = Field(1.0, description="seconds that one check may take (lvs.cf: timeout)")
    fall: Count = Field(2, description="failures in a row that take a server out")
    rise: Count = Field(2, description="successes in a row that bring it back")
    reentry_s: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = Field(
        0.0, description="seconds that a failed server must be good again before it returns (lvs.cf: reentry)"
    )


class TcpCheck(Timing):
    """Good when the port accepts a connection."""

    type: Literal["tcp"]


class HttpCheck(Timing):
    """Good when a GET is answered with one of the status codes."""

    type: Literal["http"]
    path: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=2048)] = "/"
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:\[\]-]+$", max_length=255)] | None = Field(
        None, description="the Host header; the server's address by default"
    )
    status: tuple[Annotated[int, Field(ge=100, le=599, strict=True)], ...] = Field((200,), min_length=1)


class SendExpectCheck(Timing):
    """Good when what comes back begins with `expect` (lvs.cf: send, expect, use_regex)."""

    type: Literal["send_expect"]
    send: Text | None = Field(None, description=r"sent after connecting; \n \r \t \\ \' are translated when it is sent")
    expect: Text | None = Field(None, description="what must come back; * means anything, but something")
    regex: Flag = Field(False, description="expect is a regular expression, searched for in what comes back")

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        if self.regex and self.expect not in (None, "*"):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")  # [[:alpha:]] would compile, and mean something else than in POSIX
                    re.compile(str(self.expect).encode())
            except (re.error, OverflowError, RecursionError, FutureWarning) as error:
                raise ValueError(f"expect is not a regular expression: {error}") from error
        return self


Check = Annotated[TcpCheck | HttpCheck | SendExpectCheck, Field(discriminator="type")]


class Load(Value):
    """Where the load of the real servers is read from. Without one the configured weights apply."""

    source: Literal["none", "ssh", "rup", "ruptime", "agent", "http"] = "none"


class Persistence(Value):
    """Connections of one client (or of one network of clients) stay with one real server."""

    timeout_s: Annotated[int, Field(ge=1, le=2678400, strict=True)] = 300
    prefix: Annotated[int, Field(ge=1, le=32, strict=True)] = Field(
        32, description="how many bits of a client's address count (lvs.cf: pmask)"
    )


class Server(Value):
    """A real server behind one virtual server."""

    address: Host
    port: Port | None = Field(None, description="the virtual server's port by default")
    weight: Weight = 1
    enabled: Flag = True
    forwarding: Forwarding | None = Field(None, description="the virtual server's way by default")


class Virtual(Value):
    """A virtual server: one address and port that clients use, and the real servers behind it."""

    address: HostWithPrefix
    interface: InterfaceName
    port: Port
    protocol: Protocol = "tcp"
    scheduler: Scheduler = "wlc"
    forwarding: Forwarding | None = Field(None, description="the cluster's way by default")
    persistence: Persistence | None = None
    enabled: Flag = True
    quiesce: Flag = Field(
        False, description="a failed server keeps its connections at weight 0 (lvs.cf: quiesce_server)"
    )
    sorry_server: Host | None = Field(None, description="used while no real server is available")
    check: Check = TcpCheck(type="tcp")
    load: Load = Load()
    servers: Mapping[Name, Server] = {}


class Cluster(Value):
    """A whole cluster: what one document says."""

    settings: Settings = Field(Settings(), alias="cluster")
    routers: Mapping[Name, Router] = {}
    virtuals: Mapping[Name, Virtual] = {}


def forwarding(cluster: Cluster, virtual: Virtual, server: Server) -> Forwarding:
    """Return how packets reach a server: its own way, else the virtual server's, else the cluster's."""
    return server.forwarding or virtual.forwarding or cluster.settings.forwarding
