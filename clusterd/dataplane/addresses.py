"""Floating addresses on interfaces, with lifetimes (ip-address(8): valid_lft, preferred_lft), and their announcing."""

import os
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from errno import EADDRNOTAVAIL, ESRCH

from clusterd.clock import boottime_s
from clusterd.dataplane.lifetime import lifetime_s
from clusterd.dataplane.lifetimes import Lifetimes, Prepared, prepared
from clusterd.dataplane.neighbours import announcements, question
from clusterd.plane import Address, AddressKey, Failure, HostAddress, Item, Key, Operation, Scope, Verb

_LATE_S = 0.05  # what the election's margin leaves beside the kernel's sweep
_NOT_THERE = (EADDRNOTAVAIL, ESRCH)
_GONE = "its time was over before it could be added"


class Addresses:
    """The addresses of the network namespace in which this was made."""

    def __init__(self) -> None:
        self._lifetimes = Lifetimes()

    def close(self) -> None:
        """Close the socket; addresses stay for their lifetime."""
        self._lifetimes.close()

    def read(self, scope: Scope) -> dict[Key, Item]:
        """Return the addresses of the scope that exist."""
        found: dict[Key, Item] = {}
        names = {self._index(interface): interface for interface in {key.interface for key in scope.addresses}}
        for version in sorted({key.address.version for key in scope.addresses}):
            for index, address in self._lifetimes.present(version):
                key = AddressKey(names.get(index, ""), address.ip)
                if key in scope.addresses:
                    found[key] = Address(key.interface, address)
        return found

    def apply(self, operations: Sequence[Operation], until_s: float) -> list[Failure]:
        """Add addresses, all at once, or remove some."""
        ours = [(each, each.item) for each in operations if isinstance(each.item, Address)]
        going = [pair for pair in ours if pair[0].verb is Verb.DELETE]
        failures = [failure for failure in (self._delete(*pair) for pair in going) if failure]
        coming = [pair for pair in ours if pair[0].verb is not Verb.DELETE]
        given = [address for _, address in coming]
        failures += self._give(prepared(given), until_s, lambda place: coming[place][0])
        self._lifetimes.forget_neighbours(given)
        return failures

    def renew(self, addresses: Iterable[Address], until_s: float) -> list[Failure]:
        """Let existing addresses live until `until_s`."""
        there = self._lifetimes.among(self._lifetimes.prepared(tuple(addresses)))  # a tuple stays the one it is
        return self._give(there, until_s, lambda place: Operation(Verb.SET, there.addresses[place]))

    def announce(self, addresses: Iterable[Address]) -> None:
        """Tell everybody of those that the kernel has."""
        wanted = {address.key: address for address in addresses}
        present = self.read(Scope(addresses=frozenset(wanted)))
        tell(address for key, address in wanted.items() if key in present)

    def _give(self, coming: Prepared, until_s: float, operation: Callable[[int], Operation]) -> list[Failure]:
        """Give addresses a time. `operation` tells which one does that for the address at a place."""
        if not coming.addresses:
            return []
        refused = dict[int, int]()
        lifetime = lifetime_s(until_s, boottime_s())  # the clock is read as late as possible, and again afterwards
        while lifetime:
            refused = self._lifetimes.give(coming, lifetime)
            if boottime_s() + lifetime <= until_s + _LATE_S:
                return [Failure(operation(place), os.strerror(code)) for place, code in sorted(refused.items())]
            lifetime = lifetime_s(until_s, boottime_s())  # we stood still in between: too much was given
            if not lifetime:
                for place, address in enumerate(coming.addresses):
                    self._delete(operation(place), address)
        why = {place: os.strerror(code) for place, code in refused.items()}
        return [Failure(operation(place), why.get(place, _GONE)) for place in range(len(coming.addresses))]

    def _delete(self, operation: Operation, address: Address) -> Failure | None:
        """Remove the address, whatever its prefix is by now."""
        if not self._index(address.interface):
            return None
        code = self._lifetimes.take(address)
        if code in _NOT_THERE:
            found = self.read(Scope(addresses=frozenset({address.key}))).values()
            codes = [self._lifetimes.take(other) for other in found if isinstance(other, Address)]
            code = next((each for each in codes if each not in _NOT_THERE), 0)
        return Failure(operation, os.strerror(code)) if code else None

    def ask(self, hosts: Iterable[HostAddress]) -> None:
        """Ask each host that is a neighbour whether it is there; one that no route leads to is not asked."""
        for host in hosts:
            way = self._lifetimes.route(host)
            if way:
                index, own = way
                with suppress(OSError), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as link:
                    link.bind((socket.if_indextoname(index), 0))
                    link.send(question(link.getsockname()[4], own, host))

    def _index(self, interface: str) -> int:
        try:
            return socket.if_nametoindex(interface)
        except OSError:
            return 0


def tell(addresses: Iterable[Address]) -> None:
    """Tell everybody that each address is ours.

    Over one socket for each interface: the kernel takes its time to close one (af_packet.c, packet_release), and with
    thousands of addresses their lifetimes would end meanwhile.
    """
    by_interface: dict[str, list[HostAddress]] = {}
    for address in addresses:
        by_interface.setdefault(address.interface, []).append(address.address.ip)
    for interface, ours in by_interface.items():
        # no such interface, or its link is down: there is nobody to tell
        with suppress(OSError), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as link:
            link.bind((interface, 0))
            mac = link.getsockname()[4]
            for frame in (frame for each in ours for frame in announcements(mac, each)):
                link.send(frame)
