"""Virtual servers and the real servers behind them."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from clusterd.model.checks import Check, TcpCheck
from clusterd.model.load import Load, SlowStart
from clusterd.model.scalars import (
    DEFAULT_GROUP,
    AnyPort,
    Checksum,
    Count,
    Engine,
    Family,
    Flag,
    Forwarding,
    Host,
    HostWithPrefix,
    InterfaceName,
    Mark,
    Name,
    Port,
    Ports,
    Protocol,
    Scheduler,
    SchedulerFlag,
    Seconds,
    Share,
    Threshold,
    TunnelType,
    Value,
    Weight,
)

Total = Annotated[int, Field(ge=1, le=1000000, strict=True)]


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
    engine: Engine | None = Field(
        None, description="what else connections must have in common: sip is the Call-ID of SIP over udp"
    )


class Tunnel(Value):
    """How packets are wrapped on their way to real servers that a tunnel leads to: ipvsadm(8), --tun-type."""

    type: TunnelType = Field("ipip", description="IP in IP, generic UDP encapsulation (gue), or GRE")
    port: Port | None = Field(None, description="UDP port at which the real servers take gue")
    checksum: Checksum = Field("none", description="checksum of gue or gre; remcsum (remote offload) is gue's alone")

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if (self.type == "gue") != (self.port is not None):
            raise ValueError("gue needs a port, and no other tunnel has one")
        if self.type == "ipip" and self.checksum != "none":
            raise ValueError("ipip has no checksum: leave it out, or use gue or gre")
        if self.type == "gre" and self.checksum == "remcsum":
            raise ValueError("remcsum is gue's alone; gre has none or csum")
        return self


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
    tunnel: Tunnel | None = Field(None, description="how they are wrapped; as the virtual server says by default")
    upper_threshold: Threshold = Field(
        0,
        description="connections from which on it gets no new ones; 0 is no limit: ipvsadm(8), -x",
        json_schema_extra={"x-unit": "connections"},
    )
    lower_threshold: Threshold = Field(
        0,
        description="connections below which it gets new ones again; 0 is three quarters of upper_threshold",
        json_schema_extra={"x-unit": "connections"},
    )


def _once(flags: tuple[SchedulerFlag, ...]) -> tuple[SchedulerFlag, ...]:
    if len(set(flags)) < len(flags):
        raise ValueError("each flag stands here once")
    return flags


class Virtual(Value):
    """A virtual server: what clients use, and the real servers behind it.

    Clients use an address and a port, or whatever packets carry a firewall mark. `ports` makes several ports of the
    address one service: the routers mark their packets.
    """

    address: HostWithPrefix | None = Field(
        None,
        description="the VIP and its network's prefix; where none is given 32, and 128 for IPv6; "
        "needed unless there is a mark alone",
    )
    interface: InterfaceName | None = Field(None, description="interface that carries the VIP; needed with an address")
    group: Name = Field(DEFAULT_GROUP, description="the group of floating addresses that the VIP moves with")
    port: AnyPort | None = Field(
        None, description="port that clients connect to; 0 is every port that is no other virtual server's"
    )
    mark: Mark | None = Field(
        None, description="firewall mark of its packets, instead of a port; without ports, others' rules set it"
    )
    ports: Ports = Field(
        (), description='ports (80) and ranges of ports ("8000-8010") whose packets the routers give the mark'
    )
    family: Family | None = Field(
        None, description="family of the packets with the mark where there is no address; ipv4 by default"
    )
    protocol: Protocol = Field("tcp", description="protocol of the clients' connections")
    scheduler: Scheduler = Field("wlc", description="how a real server is chosen for a connection: ipvsadm(8), -s")
    flags: Annotated[tuple[SchedulerFlag, ...], AfterValidator(_once)] = Field(
        (), description="of the scheduler sh or mh: ipvsadm(8), -b"
    )
    one_packet: Flag = Field(
        False, description="every packet of udp is scheduled by itself, and leaves no connection: ipvsadm(8), -o"
    )
    forwarding: Forwarding | None = Field(
        None, description="how packets reach its real servers; as the cluster says by default"
    )
    tunnel: Tunnel | None = Field(None, description="how they are wrapped where a tunnel leads there; ipip by default")
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
    slow_start: SlowStart | None = Field(
        None, description="how a real server that came back gets its weight; at once by default"
    )
    drain_deadline_s: Seconds | None = Field(
        None,
        description="seconds after which a drained server leaves the pool, sooner when it has no connection; "
        "it stays at weight 0 by default",
    )
    quorum: Total = Field(
        1,
        description="sum of the configured weights that must be up, else the sorry server answers",
        json_schema_extra={"x-unit": "weight"},
    )
    hysteresis: Annotated[int, Field(ge=0, le=1000000, strict=True)] = Field(
        0,
        description="how far below the quorum the sum must fall, and above it rise, before that changes",
        json_schema_extra={"x-unit": "weight"},
    )
    fail_open: Share = Field(
        0.5, description="share of its real servers that stay in the pool whatever checks say; 0 takes all out"
    )
    verdicts: Literal["active", "any", "quorum"] = Field(
        "active",
        description="whose verdicts count: the active router's, up if any router says so, or down if enough say so",
    )
    down_quorum: Count = Field(
        2,
        description="with verdicts: quorum, how many routers must see a server down (all, where there are fewer)",
        json_schema_extra={"x-unit": "routers"},
    )
    servers: Mapping[Name, Server] = Field({}, description="its real servers, by name")


def family(virtual: Virtual) -> int:
    """Return the family of a virtual server's packets: 4 or 6."""
    if virtual.address is not None:
        return virtual.address.version
    return 6 if virtual.family == "ipv6" else 4


def place(virtual: Virtual) -> tuple[object, ...]:
    """Return all of a virtual server that has to do with others.

    It is where clients find it, with which group, and which ways checks through the data path take: they have marks.
    """
    where = virtual.address, virtual.interface, virtual.group, virtual.enabled
    what = virtual.protocol, virtual.port, virtual.ports, virtual.mark, family(virtual)
    if not virtual.check.data_path:
        return (*where, *what)
    ways = ((each.address, each.forwarding, each.tunnel, each.enabled) for each in virtual.servers.values())
    return (*where, *what, virtual.forwarding, virtual.tunnel, *ways)


def port_ranges(virtual: Virtual) -> tuple[tuple[int, int], ...]:
    """Return `ports` as (first, last), in the order in which they are written."""
    said = (str(each).partition("-") for each in virtual.ports)
    return tuple((int(first), int(last or first)) for first, _, last in said)


def checked_port(virtual: Virtual, server: Server) -> int:
    """Return the port at which a real server is checked, 0 where nothing says it."""
    ports = port_ranges(virtual)
    return virtual.check.port or server.port or virtual.port or (ports[0][0] if ports else 0)
