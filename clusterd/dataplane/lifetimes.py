"""The addresses of this network namespace and their lifetimes in bulk, over route netlink (rtnetlink(7)).

An active router renews all its addresses about every second: with a thousand of them pyroute2 needs 0.6 s of a
processor for that, and 0.1 s to list them; these few messages need a twentieth. To have it in memory takes 12 MB.
"""

import socket
import struct
import sys
from collections.abc import Iterator, Sequence
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
_LAYOUTS = {
    version: Layout((_IFA_LOCAL, f"{length}s"), (_IFA_ADDRESS, f"{length}s"), (_IFA_CACHEINFO, f"{_CACHE.size}s"))
    for version, length in ((4, 4), (6, 16))
}
_NEIGHBOUR, _NDA_DST = struct.Struct("=BxxxiHBB"), 1  # ndmsg, linux/neighbour.h
_ROUTE, _RTA_DST, _RTA_OIF, _RTA_PREFSRC = struct.Struct("=BBBBBBBBI"), 1, 4, 7  # rtmsg, linux/rtnetlink.h
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class Lifetimes:
    """A socket for them. Raises ApplyError where the kernel does not answer."""

    def __init__(self) -> None:
        self._netlink = Netlink(socket.NETLINK_ROUTE)

    def close(self) -> None:
        """Close the socket; addresses stay for their lifetime."""
        self._netlink.close()

    def present(self, version: int) -> Iterator[tuple[int, IPv4Interface | IPv6Interface]]:
        """Yield all addresses of a family, each with the index of its interface."""
        for index, packed, prefix in self._listed(version):
            yield index, ip_interface((packed, prefix))

    def among(self, addresses: Sequence[Address]) -> list[Address]:
        """Return those of the addresses that the kernel has."""
        indexes = _indexes(addresses)
        there = {each for version in {a.address.version for a in addresses} for each in self._listed(version)}
        return [a for a in addresses if (indexes[a.interface], a.address.packed, a.address.network.prefixlen) in there]

    def _listed(self, version: int) -> Iterator[tuple[int, bytes, int]]:
        """Yield all addresses of a family: the index of the interface, the address, the length of its prefix."""
        try:
            answers = self._netlink.ask(_RTM_GETADDR, _ADDRESS.pack(_FAMILIES[version], 0, 0, 0, 0))
        except OSError as error:
            raise ApplyError(f"the kernel does not list its addresses: {error}") from error
        for payload in answers:
            _, prefix, _, _, index = _ADDRESS.unpack_from(payload)
            found = dict(attributes(payload, _ADDRESS.size))
            yield index, found.get(_IFA_LOCAL, found[_IFA_ADDRESS]), prefix

    def give(self, addresses: Sequence[Address], lifetime_s: int) -> dict[int, int]:
        """Add or renew addresses, all for so many seconds; return {position: errno} of those that were refused."""
        indexes = _indexes(addresses)
        bodies = [_body(address, indexes[address.interface], lifetime_s) for address in addresses]
        return self._netlink.send(_RTM_NEWADDR, bodies, _REPLACE | _CREATE)

    def take(self, address: Address) -> int:
        """Remove an address of exactly this prefix; return the errno of what the kernel refused, 0 for nothing."""
        body = _body(address, _index(address.interface), 0)
        return self._netlink.send(_RTM_DELADDR, [body]).get(0, 0)

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
        indexes = _indexes(addresses)
        bodies = [
            _NEIGHBOUR.pack(_FAMILIES[address.address.version], indexes[address.interface], 0, 0, 0)
            + attribute(_NDA_DST, address.address.ip.packed)
            for address in addresses
        ]
        self._netlink.send(_RTM_DELNEIGH, bodies)


def _body(address: Address, index: int, lifetime_s: int) -> bytes:
    ip = address.address
    six = ip.version == 6
    flags = NODAD if six else 0
    head = _ADDRESS.pack(_FAMILIES[ip.version], ip.network.prefixlen, flags, 0, index)
    packed = ip.packed
    # What the router sends itself, or hides others behind, comes from an address that it keeps. Of IPv4 that is the
    # network's first one; of IPv6 any but a deprecated one, whose own connections go on (RFC 4862, 5.5.4; RFC 6724, 5).
    cache = _CACHE.pack(0 if six else lifetime_s, lifetime_s, 0, 0)
    return head + _LAYOUTS[ip.version].pack(packed, packed, cache)


def _indexes(addresses: Sequence[Address]) -> dict[str, int]:
    """Return the index of each interface, asked for once."""
    return {interface: _index(interface) for interface in {address.interface for address in addresses}}


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return 0
