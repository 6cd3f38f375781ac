"""The cluster as people describe it: values that are valid once made.

These classes are the document's schema as well: field names are the document's keys, units stand in the names, and
`Cluster.model_json_schema(by_alias=True)` is the published JSON Schema. What must hold *between* objects is in
`rules`. Nothing here knows about etcd, files or the kernel.
"""

import re
import warnings
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, ip_address
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _text(value: object) -> object:
    """Refuse numbers where an address is meant: ipaddress would read 80 as 0.0.0.80."""
    if isinstance(value, int | float):
        raise ValueError("an address is written a.b.c.d")
    return value


def _parsed(value: object) -> object:
    """Return the address of either family that a text is, so that a wrong one is told once."""
    if not isinstance(value, str | IPv4Address | IPv6Address):
        raise ValueError("an address is written as text")
    try:
        return ip_address(value)
    except ValueError:
        raise ValueError("an IPv4 or IPv6 address is expected") from None


def _group(value: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if not value.is_multicast:
        raise ValueError("a multicast address is meant: 224.0.0.0/4 or ff00::/8")
    return value


_OCTETS = {str(number): number for number in range(256)}


def _host(value: object) -> object:
    """Read an address as ipaddress does, five times as fast: there may be 50,000. What is odd is left to ipaddress."""
    if type(value) is str:
        try:
            a, b, c, d = value.split(".")
            return IPv4Address(_OCTETS[a] << 24 | _OCTETS[b] << 16 | _OCTETS[c] << 8 | _OCTETS[d])
        except (ValueError, KeyError):
            return value
    return _text(value)


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=63)]
InterfaceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=15)]  # IFNAMSIZ, netdevice(7)
Host = Annotated[IPv4Address, BeforeValidator(_host)]
HostWithPrefix = Annotated[IPv4Interface, BeforeValidator(_text)]
Network = Annotated[IPv4Network, BeforeValidator(_text)]
MulticastGroup = Annotated[IPv4Address | IPv6Address, BeforeValidator(_parsed), AfterValidator(_group)]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Weight = Annotated[int, Field(ge=0, le=65535, strict=True)]
Count = Annotated[int, Field(ge=1, le=1000, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Seconds = Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Argument = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=1024)]
Text = Annotated[str, Field(max_length=255)]  # the longest send or expect string of lvs.cf

Priority = Annotated[int, Field(ge=0, le=255, strict=True)]

DEFAULT_GROUP = "default"
Forwarding = Literal["nat", "direct", "tunnel"]
Protocol = Literal["tcp", "udp"]
Scheduler = Literal["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"]


class Value(BaseModel):
    """A frozen value that knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NatRouter(Value):
    """The floating gateway: the real servers' default route, carried by the active router."""

    address: HostWithPrefix = Field(description="the gateway's address and its network's prefix")
    interface: InterfaceName = Field(description="interface on the real servers' side")


class Masquerade(Value):
    """A private network whose hosts reach others through the active router, under its address on `interface`."""

    source: Network = Field(description="network whose packets are masqueraded")
    interface: InterfaceName = Field(description="interface through which they leave")


class Group(Value):
    """A group of floating addresses with a lock of its own. The group `default` is there without being named."""

    nat_router: NatRouter | None = Field(None, description="the group's floating gateway, for nat")
    priorities: Mapping[Name, Priority] = Field(
        {}, description="the routers' priorities in this group, by name; a router's own priority where it is not named"
    )


class Fast(Value):
    """Failover by missing signs of life, before the lease ends."""

    interval_ms: Annotated[int, Field(ge=10, le=10000, strict=True)] = Field(
        50, description="milliseconds between two signs of life", json_schema_extra={"x-unit": "ms"}
    )
    misses: Annotated[int, Field(ge=2, le=100, strict=True)] = Field(
        3,
        description="missing signs after which a ready router ends the holder's lease",
        json_schema_extra={"x-unit": "signs"},
    )


class Heartbeat(Value):
    """How soon a silent router is taken for dead."""

    keepalive_s: Seconds = Field(1.0, description="seconds between refreshes of the lease")
    deadtime_s: Annotated[int, Field(ge=2, le=3600, strict=True)] = Field(
        3, description="seconds of the lease, after which a silent router has lost the lock; etcd's floor is 2"
    )
    port: Port = Field(5390, description="UDP port on which routers ask each other while etcd is away")
    fast: Fast | None = Field(
        None,
        description="failover by missing signs of life; a holder that reaches neither etcd nor a router, but clients, "
        "answers beside the new one until its lease ends",
    )


class Sync(Value):
    """Synchronisation of connections: the active router tells the others, in the kernel, which ones it has."""

    interface: InterfaceName = Field(description="interface that it goes over, on every router")
    id: Annotated[int, Field(ge=0, le=255, strict=True)] = Field(
        0, description="tells clusters on one network apart; one with 0 heeds what any other sends"
    )
    group: MulticastGroup = Field(
        IPv4Address("224.0.0.81"), description="multicast group that it is sent to, IPv4 or IPv6"
    )
    port: Port = Field(8848, description="UDP port that it is sent to")
    ttl: Annotated[int, Field(ge=1, le=255, strict=True)] = Field(
        1, description="how many networks it may cross: 1 stays in its own", json_schema_extra={"x-unit": "hops"}
    )
    maxlen: Annotated[int, Field(ge=1024, le=65487, strict=True)] | None = Field(
        None,
        description="longest message; what an Ethernet frame of 1500 bytes holds by default",
        json_schema_extra={"x-unit": "bytes"},
    )
    window_s: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = Field(
        10.0, description="seconds that a router listens before it counts as knowing the connections"
    )


class Reachability(Value):
    """What a router must reach to take part: the links of the floating addresses always, and these hosts."""

    hosts: tuple[Host, ...] = Field(
        (), description="neighbours that are asked by ARP, such as the clients' gateway; one that answers is enough"
    )
    interval_s: Seconds = Field(1.0, description="seconds from one question to the next")
    timeout_s: Seconds = Field(3.0, description="seconds without an answer after which a host counts as gone")


class Brakes(Value):
    """How much one commit may take out of service unless it is forced; a single object that is not the last may go."""

    servers: Share = Field(0.5, description="share (0 to 1) of the real servers in service: 0.5 is half of them")
    virtuals: Share = Field(0.5, description="share (0 to 1) of the virtual servers in service: 0.5 is half of them")


class Notify(Value):
    """Programs that a router runs when it becomes active, or stops being so; no shell is involved.

    In arguments %r is the router, %g the group of addresses, %t the lock's fencing token (0: it is gone) and %% a %.
    """

    active_cmd: tuple[Argument, ...] = Field(
        (), max_length=64, description="program (its full path) and arguments, run when a router became active"
    )
    inactive_cmd: tuple[Argument, ...] = Field(
        (), max_length=64, description="program (its full path) and arguments, run when a router stopped being active"
    )
    timeout_s: Annotated[float, Field(gt=0, le=300, allow_inf_nan=False)] = Field(
        10.0, description="seconds after which a program is killed, with all that it started"
    )
    user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]*$", max_length=32)] = Field(
        "nobody", description="user of the router's host as whom they run, never root"
    )

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        for name in ("active_cmd", "inactive_cmd"):
            command = getattr(self, name)
            if command and not command[0].startswith("/"):
                raise ValueError(
                    f"{name} begins with a program's full path, such as /usr/local/bin/told, not {command[0]}"
                )
        if self.user == "root":
            raise ValueError("user must not be root: name one that may do no more than what these programs need")
        return self


class Settings(Value):
    """What holds for the whole cluster."""

    forwarding: Forwarding = Field(
        "nat", description="how packets reach the real servers unless one of them says otherwise"
    )
    nat_router: NatRouter | None = Field(None, description="the floating gateway of the real servers, for nat")
    masquerade: tuple[Masquerade, ...] = Field((), description="networks whose hosts reach others through the routers")
    heartbeat: Heartbeat = Field(Heartbeat(), description="how soon a silent router is taken for dead")
    sync: Sync | None = Field(
        None, description="synchronisation of connections, so that established ones survive a takeover; off without it"
    )
    reachability: Reachability = Field(
        Reachability(), description="what a router must reach to claim, and to stay active while another is ready"
    )
    on_store_loss: Literal["failsafe", "release", "hold"] = Field(
        "failsafe",
        description="what the active router does when etcd does not answer: failsafe stays while every other router "
        "promises not to claim; release gives the addresses up in time; hold stays whatever happens, which risks two "
        "active routers",
    )
    groups: Mapping[Name, Group] = Field(
        {}, description="groups of floating addresses beside `default`, so that several routers can work at once"
    )
    preempt_after_s: Seconds | None = Field(
        None,
        description="seconds after which a ready router of better priority asks the holder to hand over; "
        "without it a running holder stays",
    )
    brakes: Brakes = Field(Brakes(), description="how much one commit may take out of service unless it is forced")
    notify: Notify = Field(
        Notify(), description="programs that are run when a router becomes active, or stops being so"
    )


class Router(Value):
    """An LVS router: its own fixed addresses, not the floating ones."""

    public: Host = Field(description="the router's own address on the clients' side")
    private: Host | None = Field(None, description="the router's own address on the real servers' side")
    priority: Priority = Field(
        100, description="who claims first when several could; see cluster/preempt_after_s for a running holder"
    )


class Timing(Value):
    """How often a real server is checked, and how many results change the verdict."""

    interval_s: Seconds = Field(2.0, description="seconds from one check to the next")
    timeout_s: Seconds = Field(1.0, description="seconds that one check may take")
    fall: Count = Field(
        2, description="failures in a row that take a server out", json_schema_extra={"x-unit": "checks"}
    )
    rise: Count = Field(2, description="successes in a row that bring it back", json_schema_extra={"x-unit": "checks"})
    reentry_s: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = Field(
        0.0, description="seconds that a failed server must be good again before it returns"
    )


class TcpCheck(Timing):
    """Good when the port accepts a connection."""

    type: Literal["tcp"] = Field(description="connects, and no more")


class HttpCheck(Timing):
    """Good when a GET is answered with one of the status codes."""

    type: Literal["http"] = Field(description="asks for a page")
    path: Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=2048)] = Field(
        "/", description="what is asked for: path and query"
    )
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:\[\]-]+$", max_length=255)] | None = Field(
        None, description="the Host header; the server's address by default"
    )
    status: tuple[Annotated[int, Field(ge=100, le=599, strict=True)], ...] = Field(
        (200,), min_length=1, description="status codes that are good"
    )


class SendExpectCheck(Timing):
    """Good when what comes back begins with `expect`."""

    type: Literal["send_expect"] = Field(description="holds a short conversation")
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

    source: Literal["none", "ssh", "rup", "ruptime", "agent", "http"] = Field(
        "none", description="how it is read; none keeps the configured weights"
    )


class Persistence(Value):
    """Connections of one client (or of one network of clients) stay with one real server."""

    timeout_s: Annotated[int, Field(ge=1, le=2678400, strict=True)] = Field(
        300, description="seconds that a client stays with its server after its last connection"
    )
    prefix: Annotated[int, Field(ge=1, le=32, strict=True)] = Field(
        32, description="how many bits of a client's address count", json_schema_extra={"x-unit": "bits"}
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

    address: HostWithPrefix = Field(description="the VIP and its network's prefix; 32 where none is given")
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


class Cluster(Value):
    """A whole cluster: what one document says."""

    settings: Settings = Field(Settings(), alias="cluster", description="what holds for the whole cluster")
    routers: Mapping[Name, Router] = Field({}, description="the LVS routers, by name")
    virtuals: Mapping[Name, Virtual] = Field({}, description="the virtual servers, by name")


def forwarding(cluster: Cluster, virtual: Virtual, server: Server) -> Forwarding:
    """Return how packets reach a server: its own way, else the virtual server's, else the cluster's."""
    return server.forwarding or virtual.forwarding or cluster.settings.forwarding
