"""What holds for the whole cluster, and the routers."""

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from clusterd.model.scalars import (
    Argument,
    Flag,
    Forwarding,
    Host,
    Host6,
    HostWithPrefix4,
    HostWithPrefix6,
    InterfaceName,
    IpvsTimeout,
    MulticastGroup,
    Name,
    Network,
    Port,
    Priority,
    Seconds,
    Share,
    Sysctl,
    Value,
)


class NatRouter(Value):
    """The floating gateway: the real servers' default route, carried by the active router."""

    address: HostWithPrefix4 = Field(description="the gateway's address and its network's prefix")
    interface: InterfaceName = Field(description="interface on the real servers' side")


class NatRouter6(Value):
    """The floating gateway of real servers with IPv6: their default route, carried by the active router."""

    address: HostWithPrefix6 = Field(description="the gateway's IPv6 address and its network's prefix")
    interface: InterfaceName = Field(description="interface on the real servers' side")


class Masquerade(Value):
    """A private network whose hosts reach others through the active router, under its address on `interface`.

    Or under one address, whichever router is active: best a VIP of the same group as the network's gateway, since that
    moves along. Answers go to whoever has the address; no router looks whether it has it itself.
    """

    source: Network = Field(description="network whose packets are masqueraded")
    interface: InterfaceName = Field(description="interface through which they leave")
    address: Host | None = Field(
        None, description="address that they leave under, such as a VIP; by default the router's own on the interface"
    )


class Group(Value):
    """A group of floating addresses with a lock of its own. The group `default` is there without being named."""

    nat_router: NatRouter | None = Field(None, description="the group's floating gateway, for nat")
    nat_router6: NatRouter6 | None = Field(None, description="the group's floating gateway for IPv6, for nat")
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


class Timeouts(Value):
    """How long IPVS remembers a connection in which nothing happens; what is not said stays as the kernel has it."""

    tcp_s: IpvsTimeout | None = Field(None, description="seconds of a tcp connection; the kernel begins with 900")
    tcpfin_s: IpvsTimeout | None = Field(
        None, description="seconds of a tcp connection whose end has begun; the kernel begins with 120"
    )
    udp_s: IpvsTimeout | None = Field(None, description="seconds of udp packets; the kernel begins with 300")


class Reachability(Value):
    """What a router must reach to take part: the links of the floating addresses always, and these hosts."""

    hosts: tuple[Host, ...] = Field(
        (),
        description="neighbours that are asked by ARP or, for IPv6, neighbour discovery, such as the clients' gateway; "
        "one that answers is enough",
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
    nat_router6: NatRouter6 | None = Field(
        None, description="the floating gateway of the real servers for IPv6, for nat"
    )
    masquerade: tuple[Masquerade, ...] = Field((), description="networks whose hosts reach others through the routers")
    protect: Flag = Field(
        False,
        description="routers drop what comes to a VIP, unless it is to a port of a virtual server, a ping, an error of "
        "ICMP, or an answer to the router itself",
    )
    sysctls: Mapping[Sysctl, Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)]] = Field(
        {}, description="kernel settings of every router, beside those that clusterd sets or instead of them"
    )
    heartbeat: Heartbeat = Field(Heartbeat(), description="how soon a silent router is taken for dead")
    sync: Sync | None = Field(
        None, description="synchronisation of connections, so that established ones survive a takeover; off without it"
    )
    timeouts: Timeouts = Field(Timeouts(), description="how long IPVS remembers connections: ipvsadm(8), --set")
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
    public6: Host6 | None = Field(
        None, description="the router's own IPv6 address on the clients' side, where `public` is an IPv4 address"
    )
    private6: Host6 | None = Field(
        None, description="the router's own IPv6 address on the real servers' side, where `private` is an IPv4 address"
    )
    priority: Priority = Field(
        100, description="who claims first when several could; see cluster/preempt_after_s for a running holder"
    )
