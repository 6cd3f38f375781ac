"""A kernel in memory that obeys the real one's rules. For tests, and for a router that only shows what it would do."""

import contextlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from errno import ENOENT

from clusterd.dataplane.lifetime import lifetime_s
from clusterd.dataplane.refusals import refusal
from clusterd.plane import (
    Address,
    AddressKey,
    Answered,
    Claimed,
    Destination,
    DestinationKey,
    Failure,
    HostAddress,
    Item,
    Key,
    LinkChanged,
    Notice,
    Operation,
    Removed,
    Scope,
    Service,
    SyncDaemon,
    Sysctl,
    Timeout,
    Verb,
    carry_out,
    plane,
)
from clusterd.sysctls import SYSCTLS

_KNOWN = re.compile(
    r"ipv4/(ip_forward|vs/\w+|conf/[^/]+/(send_redirects|promote_secondaries|arp_ignore|arp_announce))"
    r"|ipv6/conf/all/forwarding|netfilter/nf_conntrack_max"
)
_TIMEOUTS = (Timeout("tcp", 900), Timeout("tcpfin", 120), Timeout("udp", 300))  # ip_vs_proto_tcp.c, ip_vs_proto_udp.c


class MemoryPlane:
    """A `DataPlane` without a kernel. `now` is the clock by which addresses end; `items` is all that exists."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.items: dict[Key, Item] = plane(*(Sysctl(item.name, "0") for item in SYSCTLS), *_TIMEOUTS)
        self.ends_s: dict[AddressKey, float] = {}
        self.announced: list[Address] = []
        self.writes = 0
        self._notices: list[Notice] = []
        self._heeded: frozenset[AddressKey] = frozenset()
        self._hosts: frozenset[HostAddress] = frozenset()
        self.neighbours: frozenset[HostAddress] = frozenset()  # who answers
        self.dead: frozenset[str] = frozenset()  # interfaces without carrier
        self._wake: int | None = None  # opened when somebody wants to be woken

    def read(self, scope: Scope) -> dict[Key, Item]:
        """Return what exists of ours."""
        self._sweep()
        return {key: item for key, item in self.items.items() if _ours(item, scope)}

    def reading(self, scope: Scope) -> Iterator[dict[Key, Item] | None]:
        """Read in two steps, so that something can come in between."""
        yield None
        yield self.read(scope)

    def review(self, keys: Collection[Key]) -> dict[Key, Item]:
        """Return what exists of these."""
        self._sweep()
        return {
            key: item
            for key, item in self.items.items()
            if (key.service if isinstance(key, DestinationKey) else key) in keys
        }

    def apply(self, operations: Sequence[Operation], until_s: float) -> tuple[Failure, ...]:
        """Carry the operations out in their order."""
        self._sweep()
        failures = (self._apply(operation, until_s) for operation in operations)
        return tuple(failure for failure in failures if failure)

    def renew(self, addresses: Iterable[Address], until_s: float) -> tuple[Failure, ...]:
        """Let existing addresses live until `until_s`."""
        self._sweep()
        present = [address for address in addresses if self.items.get(address.key) == address]
        failures = (self._apply(Operation(Verb.SET, address), until_s) for address in present)
        return tuple(failure for failure in failures if failure)

    def announce(self, addresses: Iterable[Address]) -> None:
        """Remember what was announced, of what is there."""
        self._sweep()
        self.announced += [address for address in addresses if address.key in self.items]

    def listen(self, keys: Iterable[AddressKey], hosts: Iterable[HostAddress] = ()) -> None:
        """Heed claims to these addresses, and what these hosts say."""
        self._heeded, self._hosts = frozenset(keys), frozenset(hosts)

    def ask(self, hosts: Iterable[HostAddress]) -> None:
        """Let the neighbours answer that are there."""
        for host in hosts:
            if host in self.neighbours & self._hosts:
                self._tell(Answered(host))

    def without_carrier(self, interfaces: Iterable[str]) -> frozenset[str]:
        """Return the interfaces that were said to have none."""
        return frozenset(interfaces) & self.dead

    def set_carrier(self, interface: str, up: bool) -> None:
        """Plug an interface's cable in, or pull it."""
        self.dead = self.dead - {interface} if up else self.dead | {interface}
        self._tell(LinkChanged(interface))

    def sources(self) -> tuple[int, ...]:
        """Return what becomes readable when there are notices."""
        if self._wake is None:
            self._wake = os.eventfd(0, os.EFD_NONBLOCK)
        return (self._wake,)

    def notices(self) -> list[Notice]:
        """Return what others did to addresses."""
        if self._wake is not None:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
        found, self._notices = self._notices, []
        return found

    def meddle(self, notice: Notice) -> None:
        """Do what somebody else would: remove an address, or claim it from another host."""
        if isinstance(notice, Removed):
            self.items.pop(notice.key, None)
            self.ends_s.pop(notice.key, None)
        elif isinstance(notice, Claimed) and notice.key not in self._heeded:
            return
        self._tell(notice)

    def _tell(self, notice: Notice) -> None:
        self._notices.append(notice)
        if self._wake is not None:
            os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Nothing else is held."""
        if self._wake is not None:
            os.close(self._wake)
            self._wake = None

    def _apply(self, operation: Operation, until_s: float) -> Failure | None:
        item, verb = operation.item, operation.verb
        self.writes += 1
        code = refusal(self.items, operation)
        if code:
            return Failure(operation, os.strerror(code))
        if isinstance(item, Sysctl) and not _KNOWN.fullmatch(item.name):
            return Failure(operation, os.strerror(ENOENT))
        if isinstance(item, Address) and verb is not Verb.DELETE:
            lifetime = lifetime_s(until_s, self._now())
            if not lifetime:
                return Failure(operation, "its time was over before it could be added")
            self.ends_s[item.key] = self._now() + lifetime
        if isinstance(item, Address) and verb is Verb.DELETE and item.key in self.items:
            self._tell(Removed(item.key))
        carry_out(self.items, operation)
        return None

    def _sweep(self) -> None:
        for key in [key for key, end_s in self.ends_s.items() if end_s <= self._now()]:
            del self.ends_s[key]
            if self.items.pop(key, None):
                self._tell(Removed(key))


def _ours(item: Item, scope: Scope) -> bool:
    match item:
        case Service(key=key) | Destination(key=DestinationKey(service=key)):
            return scope.owns(key)
        case Address():
            return item.key in scope.addresses
        case Sysctl():
            return item.name in scope.sysctls
        case SyncDaemon():
            return scope.sync
        case _:
            return True
