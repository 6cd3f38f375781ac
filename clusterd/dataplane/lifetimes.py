"""The addresses of this network namespace and their lifetimes in bulk, over route netlink (rtnetlink(7)).

An active router renews all its addresses about every second: with a thousand of them pyroute2 needs 0.6 s of a
processor for that, and 0.1 s to list them; these few messages need a hundredth, since all but the lifetime is prepared
once. To have pyroute2 in memory takes 12 MB.
"""

import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface

from clusterd.dataplane.netlink import ACK, Layout, Netlink, attribute, attributes
from clusterd.errors import ApplyError
from clusterd.plane import Address, HostAddress

_RTM_NEWADDR, _RTM_DELADDR, _RTM_GETADDR, _RTM_GETROUTE, _RTM_DELNEIGH = 20, 21, 22, 26, 29  # linux/rtnetlink.h
_REPLACE, _CREATE = 0x100, 0x400  # linux/netlink.h
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO = 1, 2, 6  # linux/if_addr.h
# The lock says whose an address is: looking for duplicates (RFC 4862) would make it wait for a second, or give it up.
NODAD = 0x02
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg
_CACHE = struct.Struct("=IIII")  # ifa_cacheinfo
_LENGTHS = {4: 4, 6: 16}
_GIVEN = {
    version: Layout((_IFA_LOCAL, f"{length}s"), (_IFA_ADDRESS, f"{length}s"), (_IFA_CACHEINFO, f"{_CACHE.size}s"))
    for version, length in _LENGTHS.items()
}
_LISTED = {  # how the kernel begins (devinet.c, inet_fill_ifaddr; addrconf.c, inet6_fill_ifaddr)
    4: Layout((_IFA_ADDRESS, "4s"), (_IFA_LOCAL, "4s")),
    6: Layout((_IFA_ADDRESS, "16s")),
}
_REMEMBERED = 16  # lots of addresses: one for each group that is held
_NEIGHBOUR, _NDA_DST = struct.Struct("=BxxxiHBB"), 1  # ndmsg, linux/neighbour.h
_ROUTE, _RTA_DST, _RTA_OIF, _RTA_PREFSRC = struct.Struct("=BBBBBBBBI"), 1, 4, 7  # rtmsg, linux/rtnetlink.h
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


@dataclass(frozen=True, slots=True)
class Prepared:
    """Addresses, as they stand in messages. `indexes` are those of their interfaces, 0 for one that is not there."""

    addresses: Sequence[Address]
    indexes: dict[str, int]
    listed: tuple[tuple[int, bytes, int], ...]  # the index of the interface, the address, the length of its prefix
    given: tuple[tuple[bytes, int], ...]  # a message less the lifetimes at its end, and which of those

    def at(self, places: Sequence[int]) -> "Prepared":
        """Return some of them."""
        addresses = [self.addresses[place] for place in places]
        listed = tuple(self.listed[place] for place in places)
        return Prepared(addresses, self.indexes, listed, tuple(self.given[place] for place in places))


class Lifetimes:
    """A socket for them. Raises ApplyError where the kernel does not answer."""

    def __init__(self) -> None:
        self._netlink = Netlink(socket.NETLINK_ROUTE)
        self._prepared: dict[int, Prepared] = {}

    def close(self) -> None:
        """Close the socket; addresses stay for their lifetime."""
        self._netlink.close()

    def present(self, version: int) -> Iterator[tuple[int, IPv4Interface | IPv6Interface]]:
        """Yield all addresses of a family, each with the index of its interface."""
        for index, packed, prefix in self._listed(version):
            yield index, ip_interface((packed, prefix))

    def prepared(self, addresses: tuple[Address, ...]) -> Prepared:
        """Return the addresses as they stand in messages; for the same tuple as before that takes no time."""
        known = self._prepared.get(id(addresses))  # that tuple is kept: nothing else has its identity
        if known is None or known.indexes != _indexes(known.indexes):
            if len(self._prepared) >= _REMEMBERED:
                self._prepared.clear()
            known = self._prepared[id(addresses)] = prepared(addresses)
        return known

    def among(self, wanted: Prepared) -> Prepared:
        """Return those of the addresses that the kernel has."""
        versions = {version for _, version in wanted.given}
        there = {each for version in versions for each in self._listed(version)}
        if there.issuperset(wanted.listed):
            return wanted
        return wanted.at([place for place, each in enumerate(wanted.listed) if each in there])

    def _listed(self, version: int) -> Iterator[tuple[int, bytes, int]]:
        """Yield all addresses of a family: the index of the interface, the address, the length of its prefix."""
        try:
            answers = self._netlink.ask(_RTM_GETADDR, _ADDRESS.pack(_FAMILIES[version], 0, 0, 0, 0))
        except OSError as error:
            raise ApplyError(f"the kernel does not list its addresses: {error}") from error
        layout = _LISTED[version]
        for payload in answers:
            _, prefix, _, _, index = _ADDRESS.unpack_from(payload)
            first = layout.unpack(payload[_ADDRESS.size :])
            yield index, first[-1] if first else _local(payload), prefix

    def give(self, addresses: Prepared, lifetime_s: int) -> dict[int, int]:
        """Add or renew addresses, all for so many seconds; return {position: errno} of those that were refused."""
        return self._netlink.send(_RTM_NEWADDR, _bodies(addresses, lifetime_s), _REPLACE | _CREATE)

    def take(self, address: Address) -> int:
        """Remove an address of exactly this prefix; return the errno of what the kernel refused, 0 for nothing."""
        return self._netlink.send(_RTM_DELADDR, _bodies(prepared([address]), 0)).get(0, 0)

    def route(self, host: HostAddress) -> tuple[int, HostAddress] | None:
        """Return by which interface, and from which address of ours, packets to a host go; None where none do."""
        packed = host.packed
        body = _ROUTE.pack(_FAMILIES[host.version], 8 * len(packed), *(0,) * 7) + attribute(_RTA_DST, packed)
        try:
            (answer,) = self._netlink.ask(_RTM_GETROUTE, body, ACK)
        except OSError:
            return None
        found = dict(attributes(answer, _ROUTE.size))
        if _RTA_OIF not in found or _RTA_PREFSRC not in found:
            return None
        return int.from_bytes(found[_RTA_OIF], sys.byteorder), ip_address(found[_RTA_PREFSRC])

    def forget_neighbours(self, addresses: Sequence[Address]) -> None:
        """Forget which neighbour had these addresses; that nobody knows is no error.

        Whoever lets an address go passes on what still comes for it. To a neighbour that had it long ago that would go
        in circles, since that one does the same; where none is known it waits for the next one to tell (arp(7)).
        """
        indexes = _indexes({address.interface for address in addresses})
        bodies = [
            _NEIGHBOUR.pack(_FAMILIES[address.address.version], indexes[address.interface], 0, 0, 0)
            + attribute(_NDA_DST, address.address.ip.packed)
            for address in addresses
        ]
        self._netlink.send(_RTM_DELNEIGH, bodies)


def prepared(addresses: Sequence[Address]) -> Prepared:
    """Return the addresses as they stand in messages."""
    indexes = _indexes({address.interface for address in addresses})
    listed, given = list[tuple[int, bytes, int]](), list[tuple[bytes, int]]()
    for address in addresses:
        ip, index = address.address, indexes[address.interface]
        packed, prefix = ip.packed, ip.network.prefixlen
        head = _ADDRESS.pack(_FAMILIES[ip.version], prefix, NODAD if ip.version == 6 else 0, 0, index)
        body = head + _GIVEN[ip.version].pack(packed, packed, bytes(_CACHE.size))
        listed.append((index, packed, prefix))
        given.append((body[: -_CACHE.size], ip.version))
    return Prepared(addresses, indexes, tuple(listed), tuple(given))


def _bodies(addresses: Prepared, lifetime_s: int) -> list[bytes]:
    # What the router sends itself, or hides others behind, comes from an address that it keeps. Of IPv4 that is the
    # network's first one; of IPv6 any but a deprecated one, whose own connections go on (RFC 4862, 5.5.4; RFC 6724, 5).
    preferred = {4: lifetime_s, 6: 0}
    ends = {version: _CACHE.pack(preferred_s, lifetime_s, 0, 0) for version, preferred_s in preferred.items()}
    return [start + ends[version] for start, version in addresses.given]


def _local(payload: bytes) -> bytes:
    """Return the address of a message in which something else comes first."""
    found = dict(attributes(payload, _ADDRESS.size))
    return found.get(_IFA_LOCAL, found[_IFA_ADDRESS])


def _indexes(interfaces: Iterable[str]) -> dict[str, int]:
    """Return the index of each interface, 0 for one that is not there."""
    return {interface: _index(interface) for interface in interfaces}


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return 0
