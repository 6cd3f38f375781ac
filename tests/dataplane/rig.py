"""Something to try a data plane on: the one in memory with a clock of its own, or a kernel's network namespace.

In the namespace there is an interface ``wan``; its other end is ``peer`` in a second namespace.
"""

import socket
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Protocol

from clusterd.clock import boottime_s
from clusterd.counters import Counters
from clusterd.dataplane.contract import DataPlane
from clusterd.dataplane.ipvs import counters
from clusterd.dataplane.kernel import Kernel
from clusterd.dataplane.memory import MemoryPlane
from clusterd.dataplane.neighbours import gratuitous_arp, unsolicited_advertisement
from clusterd.model import Forwarding
from clusterd.plane import (
    Address,
    AddressKey,
    Claimed,
    Destination,
    DestinationKey,
    Failure,
    HostAddress,
    Item,
    Key,
    Notice,
    Operation,
    Removed,
    Scope,
    Service,
    ServiceKey,
    Verb,
)
from clusterd.sysctls import SYSCTLS
from tests.lab.namespaces import call, enter, ip

HERE, THERE = "plane", "neighbour"
WEB = ServiceKey("tcp", IPv4Address("1.2.3.1"), 80)
FOREIGN = ServiceKey("tcp", IPv4Address("9.9.9.9"), 80)
VIP = Address("wan", IPv4Interface("1.2.3.1/24"))
SECOND = Address("wan", IPv4Interface("1.2.3.4/24"))
VIP6 = Address("wan", IPv6Interface("2001:db8::1/64"))
WEB6 = ServiceKey("tcp", IPv6Address("2001:db8::1"), 80)
SCOPE = Scope(
    frozenset({WEB.address, WEB6.address}),
    frozenset({VIP.key, SECOND.key, VIP6.key, AddressKey("away", VIP.address.ip)}),
    sync=True,
    sysctls=frozenset(each.name for each in SYSCTLS),
)


def real(number: int, weight: int = 1, way: Forwarding = "nat", service: ServiceKey = WEB) -> Destination:
    """Return a real server behind a service."""
    return Destination(DestinationKey(service, IPv4Address(0xC0A80000 + number), 80), way, weight)


class Rig(Protocol):
    """A data plane, its clock, and short words for what tests do with it."""

    plane: DataPlane

    def now_s(self) -> float: ...

    def wait(self, seconds: float) -> None: ...

    def meddle(self, notice: Removed | Claimed) -> None:
        """Do what somebody else would, of which this is the notice."""

    def plug(self, cable: bool) -> None:
        """Plug the cable of ``wan`` in, or pull it."""

    def announced(self, addresses: Iterable[Address]) -> set[HostAddress]:
        """Let these be announced, and return which of them the neighbour heard of."""

    def live(self, host: HostAddress) -> None:
        """Let a host live beside us on ``wan``, in a network in which we are, too."""


class MemoryRig:
    """A plane in memory, whose time passes when it is told to."""

    def __init__(self) -> None:
        self._now_s = 1000.0
        memory = MemoryPlane(self.now_s)
        self.plane: DataPlane = memory
        self._memory = memory
        self.meddle = memory.meddle

    def now_s(self) -> float:
        return self._now_s

    def wait(self, seconds: float) -> None:
        self._now_s += seconds

    def plug(self, cable: bool) -> None:
        self._memory.set_carrier("wan", cable)

    def announced(self, addresses: Iterable[Address]) -> set[HostAddress]:
        self._memory.announced.clear()
        self.plane.announce(addresses)
        return {address.address.ip for address in self._memory.announced}

    def live(self, host: HostAddress) -> None:
        self._memory.neighbours |= {host}


class InNamespace:
    """A kernel that lives in one thread, as in the router service; the thread is inside the namespace."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, initializer=enter, initargs=(HERE,))
        self._kernel = self._thread.submit(Kernel).result()

    def read(self, scope: Scope) -> dict[Key, Item]:
        return self._thread.submit(self._kernel.read, scope).result()

    def reading(self, scope: Scope) -> Iterator[dict[Key, Item] | None]:
        steps = self._thread.submit(self._kernel.reading, scope).result()
        found = None
        while found is None:
            found = self._thread.submit(lambda: next(steps)).result()
            yield found

    def review(self, keys: Collection[Key]) -> dict[Key, Item]:
        return self._thread.submit(self._kernel.review, keys).result()

    def apply(self, operations: Sequence[Operation], until_s: float) -> tuple[Failure, ...]:
        return self._thread.submit(self._kernel.apply, operations, until_s).result()

    def renew(self, addresses: Iterable[Address], until_s: float) -> tuple[Failure, ...]:
        return self._thread.submit(self._kernel.renew, addresses, until_s).result()

    def announce(self, addresses: Iterable[Address]) -> None:
        self._thread.submit(self._kernel.announce, addresses).result()

    def counters(self, scope: Scope) -> Mapping[Key, Counters]:
        return self._thread.submit(counters, scope).result()

    def listen(self, keys: Iterable[AddressKey], hosts: Iterable[HostAddress] = ()) -> None:
        self._thread.submit(self._kernel.listen, keys, hosts).result()

    def ask(self, hosts: Iterable[HostAddress]) -> None:
        self._thread.submit(self._kernel.ask, hosts).result()

    def without_carrier(self, interfaces: Iterable[str]) -> frozenset[str]:
        return self._thread.submit(self._kernel.without_carrier, interfaces).result()

    def sources(self) -> tuple[int, ...]:
        return self._kernel.sources()

    def notices(self) -> list[Notice]:
        return self._thread.submit(self._kernel.notices).result()

    def close(self) -> None:
        self._thread.submit(self._kernel.close).result()
        self._thread.shutdown()


class KernelRig:
    """A kernel's own namespace and its neighbour."""

    def __init__(self) -> None:
        ip([f"netns add {HERE}", f"netns add {THERE}"])
        ip([f"link add wan type veth peer name peer netns {THERE}", "link set wan up", "link set lo up"], HERE)
        ip(["link set peer up"], THERE)
        self.plane: DataPlane = InNamespace()
        while self.plane.without_carrier(["wan"]):  # a link comes up when the kernel gets to it, and that is noticed
            time.sleep(0.001)
        self.plane.notices()

    def counters(self) -> Mapping[Key, Counters]:
        assert isinstance(self.plane, InNamespace)
        return self.plane.counters(SCOPE)

    def now_s(self) -> float:
        return boottime_s()

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def plug(self, cable: bool) -> None:
        ip([f"link set peer {'up' if cable else 'down'}"], THERE)

    def announced(self, addresses: Iterable[Address]) -> set[HostAddress]:
        with call(THERE, _listening) as wire:
            self.plane.announce(addresses)
            heard: set[HostAddress] = set()
            for _ in range(100):
                try:
                    frame = wire.recv(2048)
                except TimeoutError:
                    break
                if frame[12:14] == b"\x08\x06" and frame[28:32] == frame[38:42]:
                    heard.add(IPv4Address(frame[28:32]))
        return heard

    def live(self, host: HostAddress) -> None:
        prefix, nodad = ("24", "") if host.version == 4 else ("64", "nodad")
        ip([f"addr add {host}/{prefix} dev peer {nodad}"], THERE)
        ip([f"addr add {host + 1}/{prefix} dev wan {nodad}"], HERE)

    def meddle(self, notice: Removed | Claimed) -> None:
        address = notice.key.address
        if isinstance(notice, Removed):
            prefix = 24 if address.version == 4 else 64
            ip([f"addr del {address}/{prefix} dev {notice.key.interface}"], HERE)
        else:
            mac = bytes.fromhex(notice.mac.replace(":", ""))
            if isinstance(address, IPv6Address):
                call(THERE, _send, unsolicited_advertisement(mac, address))
            else:
                call(THERE, _send, gratuitous_arp(mac, address, 2))

    def close(self) -> None:
        self.plane.close()
        ip([f"netns del {HERE}", f"netns del {THERE}"])


def _listening() -> socket.socket:
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    wire.bind(("peer", 0))
    wire.settimeout(0.3)
    return wire


def _send(frame: bytes) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind(("peer", 0))
        wire.send(frame)


def do(rig: Rig, verb: Verb, *items: Item, for_s: float = 60) -> tuple[Failure, ...]:
    """Apply one verb to items."""
    return rig.plane.apply([Operation(verb, item) for item in items], rig.now_s() + for_s)


def there(rig: Rig, *kinds: type[Item]) -> set[Item]:
    """Return what a reading shows, of these kinds."""
    wanted = kinds or (Service, Destination, Address)
    return {item for item in rig.plane.read(SCOPE).values() if isinstance(item, wanted)}
