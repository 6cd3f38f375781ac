"""What exists, or should exist, on one router: a plane of items, and the operations that change it.

Desired and actual state are the same type, so that their difference is a plan (`clusterd.plan`). Every item has a
`key`, by which it is found again, and is compared whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Literal

from clusterd.model import Forwarding, Protocol
from clusterd.netfilter import Netfilter, NetfilterKey

HostAddress = IPv4Address | IPv6Address


def endpoint(address: HostAddress, port: int) -> str:
    """Return an address and a port as ipvsadm(8) writes them: a.b.c.d:80 or [2001:db8::1]:80."""
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


@dataclass(frozen=True, slots=True, order=True)
class ServiceKey:
    """What IPVS knows a virtual service by (ipvsadm(8), -t and -u)."""

    protocol: Protocol
    address: HostAddress
    port: int

    def __str__(self) -> str:
        return f"{self.protocol} {endpoint(self.address, self.port)}"


@dataclass(frozen=True, slots=True)
class Service:
    """A virtual service. `persistence_s` 0 is off; `persistence_prefix` is the netmask of clients in bits.

    A service that is not persistent has the prefix 32 here, whatever its family.
    """

    key: ServiceKey
    scheduler: str
    persistence_s: int = 0
    persistence_prefix: int = 32

    def __str__(self) -> str:
        kept = f" persistent {self.persistence_s} s /{self.persistence_prefix}" if self.persistence_s else ""
        return f"service {self.key} {self.scheduler}{kept}"


@dataclass(frozen=True, slots=True, order=True)
class DestinationKey:
    """A real server's address and port behind one service."""

    service: ServiceKey
    address: HostAddress
    port: int

    def __str__(self) -> str:
        return f"{self.service} -> {endpoint(self.address, self.port)}"


@dataclass(frozen=True, slots=True)
class Destination:
    """One real server behind a service; of the other family only where a tunnel leads to it.

    A weight of 0 keeps established connections only (ipvsadm(8), -w).
    """

    key: DestinationKey
    forwarding: Forwarding
    weight: int  # 0 … 65535

    def __str__(self) -> str:
        return f"destination {self.key} {self.forwarding} weight {self.weight}"


@dataclass(frozen=True, slots=True, order=True)
class AddressKey:
    """A floating address on an interface."""

    interface: str
    address: HostAddress

    def __str__(self) -> str:
        return f"{self.address} on {self.interface}"


@dataclass(frozen=True, slots=True)
class Address:
    """A floating address with its network: a VIP or the gateway. Only the active router has it."""

    interface: str
    address: IPv4Interface | IPv6Interface

    @property
    def key(self) -> AddressKey:
        """Found again by interface and address; the prefix may change."""
        return AddressKey(self.interface, self.address.ip)

    def __str__(self) -> str:
        return f"address {self.address} on {self.interface}"


@dataclass(frozen=True, slots=True, order=True)
class SysctlKey:
    """A kernel setting by its name below net (``ipv4/ip_forward``)."""

    name: str


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A kernel setting and its value as /proc/sys prints it."""

    name: str
    value: str

    @property
    def key(self) -> SysctlKey:
        """Found again by name."""
        return SysctlKey(self.name)

    def __str__(self) -> str:
        return f"sysctl net/{self.name} = {self.value}"


SyncRole = Literal["master", "backup"]


@dataclass(frozen=True, slots=True, order=True)
class SyncDaemonKey:
    """The kernel runs one daemon of each role at a time (ip_vs_sync.c)."""

    role: SyncRole


@dataclass(frozen=True, slots=True)
class SyncDaemon:
    """A daemon that sends (master) or takes in (backup) connections (ipvsadm(8), --start-daemon)."""

    role: SyncRole
    interface: str
    id: int  # 0 … 255
    group: IPv4Address | IPv6Address
    port: int
    ttl: int
    maxlen: int  # bytes

    @property
    def key(self) -> SyncDaemonKey:
        """Found again by its role."""
        return SyncDaemonKey(self.role)

    def __str__(self) -> str:
        return f"sync daemon {self.role} id {self.id} on {self.interface} {endpoint(self.group, self.port)}"


Key = ServiceKey | DestinationKey | AddressKey | NetfilterKey | SysctlKey | SyncDaemonKey
Item = Service | Destination | Address | Netfilter | Sysctl | SyncDaemon
Plane = Mapping[Key, Item]


class Verb(StrEnum):
    """What an operation does to its item."""

    ADD = "add"
    SET = "set"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of the kernel's state. Absolute: doing it again leads to the same state."""

    verb: Verb
    item: Item

    def __str__(self) -> str:
        return f"{self.verb} {self.item}"


@dataclass(frozen=True, slots=True)
class Failure:
    """An operation that the kernel refused, and its words."""

    operation: Operation
    reason: str

    def __str__(self) -> str:
        return f"{self.operation}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Removed:
    """An address was there and is not any more, whoever removed it."""

    key: AddressKey


@dataclass(frozen=True, slots=True)
class Claimed:
    """Another host says that it has an address; `mac` is written aa:bb:cc:dd:ee:ff."""

    key: AddressKey
    mac: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A host said, by ARP or neighbour discovery, that it is there."""

    host: HostAddress


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """Something happened to an interface: its carrier may have come or gone."""

    interface: str


Notice = Removed | Claimed | Answered | LinkChanged


@dataclass(frozen=True, slots=True)
class Scope:
    """What is ours: services on these VIPs, these addresses, the sync daemons or not, these sysctls. All else stays."""

    vips: frozenset[HostAddress] = frozenset()
    addresses: frozenset[AddressKey] = frozenset()
    sync: bool = False
    sysctls: frozenset[str] = frozenset()  # names below net

    def __or__(self, other: "Scope") -> "Scope":
        addresses, names = self.addresses | other.addresses, self.sysctls | other.sysctls
        return Scope(self.vips | other.vips, addresses, self.sync or other.sync, names)


def plane(*items: Item) -> dict[Key, Item]:
    """Return the plane of these items."""
    return {item.key: item for item in items}


def applied(actual: Plane, *operations: Operation) -> dict[Key, Item]:
    """Return the plane after operations, as the kernel would have it: a service takes its destinations along."""
    after = dict(actual)
    for operation in operations:
        key = operation.item.key
        if operation.verb is not Verb.DELETE:
            after[key] = operation.item
        else:
            after.pop(key, None)
            if isinstance(key, ServiceKey):
                for gone in [k for k in after if isinstance(k, DestinationKey) and k.service == key]:
                    del after[gone]
    return after
