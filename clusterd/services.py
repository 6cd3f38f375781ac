"""What IPVS holds on a router, as items of a plane: virtual services, the real servers behind them, and its timeouts.

The words are those of ipvsadm(8); what the kernel makes of them is in linux/ip_vs.h and ip_vs_ctl.c. Keys keep
what they are compared and found by in a form that Python is quick with: a plan looks 30,000 of them up.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from clusterd.model import Checksum, Forwarding, Protocol, TunnelType

HostAddress = IPv4Address | IPv6Address


def endpoint(address: HostAddress, port: int) -> str:
    """Return an address and a port as ipvsadm(8) writes them: a.b.c.d:80 or [2001:db8::1]:80."""
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


@dataclass(frozen=True, slots=True, order=True)
class ServiceKey:
    """What IPVS knows a virtual service by (ipvsadm(8), -t, -u and --sctp-service). Port 0 is every port."""

    protocol: Protocol
    address: HostAddress
    port: int
    _identity: Hashable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_identity", (self.protocol, self.address.packed, self.port))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ServiceKey) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def version(self) -> int:
        """Return the family of its packets: 4 or 6."""
        return self.address.version

    def __str__(self) -> str:
        return f"{self.protocol} {endpoint(self.address, self.port)}"


@dataclass(frozen=True, slots=True, order=True)
class MarkKey:
    """What IPVS knows a virtual service by that takes the packets with a firewall mark (ipvsadm(8), -f and -6)."""

    mark: int  # 1 … 4294967295
    version: int = 4  # the family of its packets: 4 or 6; each has marks of its own

    @property
    def _identity(self) -> Hashable:
        return self.mark, self.version

    def __str__(self) -> str:
        return f"mark {self.mark}" + (" of IPv6" if self.version == 6 else "")


AnyServiceKey = ServiceKey | MarkKey


@dataclass(frozen=True, slots=True)
class Service:
    """A virtual service. `persistence_s` 0 is off; `persistence_prefix` is the netmask of clients in bits.

    A service that is not persistent has the prefix 32 here, whatever its family. `flags` are the scheduler's, by the
    names that ipvsadm(8) has for them (-b); what the scheduler does not have is flag-1, flag-2 or flag-3.
    """

    key: AnyServiceKey
    scheduler: str
    persistence_s: int = 0
    persistence_prefix: int = 32
    flags: frozenset[str] = frozenset()
    one_packet: bool = False
    engine: str = ""  # what keeps clients together besides their address; the kernel has sip

    def __str__(self) -> str:
        flags = "".join(f" {flag}" for flag in sorted(self.flags))
        kept = f" persistent {self.persistence_s} s /{self.persistence_prefix}" if self.persistence_s else ""
        engine = f" engine {self.engine}" if self.engine else ""
        return f"service {self.key} {self.scheduler}{flags}{kept}{engine}{' one-packet' if self.one_packet else ''}"


@dataclass(frozen=True, slots=True)
class Tunnel:
    """How packets are wrapped on their way to a real server. Only gue has a port."""

    type: TunnelType = "ipip"
    port: int = 0
    checksum: Checksum = "none"

    def __str__(self) -> str:
        port = f" port {self.port}" if self.port else ""
        return f"{self.type}{port}" + ("" if self.checksum == "none" else f" {self.checksum}")


IPIP = Tunnel()


@dataclass(frozen=True, slots=True, order=True)
class DestinationKey:
    """A real server's address and port behind one service. Port 0 is the port that the client asked for."""

    service: AnyServiceKey
    address: HostAddress
    port: int
    _identity: Hashable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_identity", (self.service._identity, self.address.packed, self.port))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DestinationKey) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def mixed(self) -> bool:
        """Whether it is of another family than its service."""
        return self.address.version != self.service.version

    def __str__(self) -> str:
        return f"{self.service} -> {endpoint(self.address, self.port)}"


@dataclass(frozen=True, slots=True)
class Destination:
    """One real server behind a service; of the other family only where a tunnel leads to it.

    A weight of 0 keeps established connections only (ipvsadm(8), -w). With `upper` connections it gets no more until
    it has fewer than `lower`, or than three quarters of `upper` where `lower` is 0; an `upper` of 0 is no limit
    (ipvsadm(8), -x and -y; ip_vs.h, ip_vs_dest_conn_overhead). One to which no tunnel leads has IPIP here.
    """

    key: DestinationKey
    forwarding: Forwarding
    weight: int  # 0 … 65535
    tunnel: Tunnel = IPIP
    upper: int = 0
    lower: int = 0

    def __str__(self) -> str:
        wrapped = "" if self.tunnel == IPIP else f" {self.tunnel}"
        limits = f" connections {self.lower} to {self.upper}" if self.upper or self.lower else ""
        return f"destination {self.key} {self.forwarding}{wrapped} weight {self.weight}{limits}"


TimeoutName = Literal["tcp", "tcpfin", "udp"]


@dataclass(frozen=True, slots=True, order=True)
class TimeoutKey:
    """One of the kernel's timeouts of connections."""

    name: TimeoutName


@dataclass(frozen=True, slots=True)
class Timeout:
    """After how long a connection in which nothing happens is forgotten (ipvsadm(8), --set)."""

    name: TimeoutName
    timeout_s: int

    @property
    def key(self) -> TimeoutKey:
        """Found again by name."""
        return TimeoutKey(self.name)

    def __str__(self) -> str:
        return f"timeout {self.name} {self.timeout_s} s"
