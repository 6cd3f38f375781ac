"""What exists, or should exist, on one router: a plane of items, and the operations that change it.

Desired and actual state are the same type, so that their difference is a plan (`clusterd.plan`). Every item has a
`key`, by which it is found again, and is compared whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Literal

from clusterd.netfilter import Netfilter, NetfilterKey
from clusterd.services import (
    AnyServiceKey,
    Destination,
    DestinationKey,
    HostAddress,
    MarkKey,
    Service,
    ServiceKey,
    Timeout,
    TimeoutKey,
    Tunnel,
    endpoint,
)

__all__ = [
    "Address",
    "AddressKey",
    "Answered",
    "AnyServiceKey",
    "Claimed",
    "Destination",
    "DestinationKey",
    "Failure",
    "HostAddress",
    "Item",
    "Key",
    "LinkChanged",
    "MarkKey",
    "Netfilter",
    "NetfilterKey",
    "Notice",
    "Operation",
    "Plane",
    "Removed",
    "Scope",
    "Service",
    "ServiceKey",
    "SyncDaemon",
    "SyncDaemonKey",
    "SyncRole",
    "Sysctl",
    "SysctlKey",
    "Timeout",
    "TimeoutKey",
    "Tunnel",
    "Verb",
    "applied",
    "carry_out",
    "endpoint",
    "plane",
]


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


Key = AnyServiceKey | DestinationKey | TimeoutKey | AddressKey | NetfilterKey | SysctlKey | SyncDaemonKey
Item = Service | Destination | Timeout | Address | Netfilter | Sysctl | SyncDaemon
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
    """What is ours: services on these VIPs and of these marks, these addresses and sysctls, the sync daemons or not."""

    vips: frozenset[HostAddress] = frozenset()
    addresses: frozenset[AddressKey] = frozenset()
    sync: bool = False
    sysctls: frozenset[str] = frozenset()  # names below net
    marks: frozenset[MarkKey] = frozenset()

    def __or__(self, other: "Scope") -> "Scope":
        if self is other:
            return self
        addresses, names = self.addresses | other.addresses, self.sysctls | other.sysctls
        sync, marks = self.sync or other.sync, self.marks | other.marks
        return Scope(self.vips | other.vips, addresses, sync, names, marks)

    def owns(self, key: AnyServiceKey) -> bool:
        """Return whether a service is ours. All others stay as they are."""
        return key in self.marks if isinstance(key, MarkKey) else key.address in self.vips


def plane(*items: Item) -> dict[Key, Item]:
    """Return the plane of these items."""
    return {item.key: item for item in items}


def applied(actual: Plane, *operations: Operation) -> dict[Key, Item]:
    """Return the plane after operations, as the kernel would have it: a service takes its destinations along."""
    after = dict(actual)
    for operation in operations:
        carry_out(after, operation)
    return after


def carry_out(actual: dict[Key, Item], operation: Operation) -> None:
    """Make a plane what it is after an operation."""
    key = operation.item.key
    if operation.verb is not Verb.DELETE:
        actual[key] = operation.item
    elif actual.pop(key, None) and isinstance(key, ServiceKey | MarkKey):
        for gone in [k for k in actual if isinstance(k, DestinationKey) and k.service == key]:
            del actual[gone]
