"""The addresses of this network namespace and their lifetimes in bulk, over route netlink (rtnetlink(7)).

An active router renews all its addresses about every second: with a thousand of them pyroute2 needs 0.6 s of a
processor for that, and 0.1 s to list them; these few messages need a twentieth.
"""

import socket
import struct
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from clusterd.dataplane.netlink import Netlink, attribute, attributes
from clusterd.errors import ApplyError
from clusterd.plane import Address

_RTM_NEWADDR, _RTM_GETADDR, _RTM_DELNEIGH = 20, 22, 29  # linux/rtnetlink.h
_REPLACE, _CREATE = 0x100, 0x400  # linux/netlink.h
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO = 1, 2, 6  # linux/if_addr.h
# The lock says whose an address is: looking for duplicates (RFC 4862) would make it wait for a second, or give it up.
NODAD = 0x02
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg
_CACHE = struct.Struct("=IIII")  # ifa_cacheinfo
_NEIGHBOUR, _NDA_DST = struct.Struct("=BxxxiHBB"), 1  # ndmsg, linux/neighbour.h
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
        try:
            answers = self._netlink.ask(_RTM_GETADDR, _ADDRESS.pack(_FAMILIES[version], 0, 0, 0, 0))
        except OSError as error:
            raise ApplyError(f"the kernel does not list its addresses: {error}") from error
        for payload in answers:
            _, prefix, _, _, index = _ADDRESS.unpack_from(payload)
            found = dict(attributes(payload, _ADDRESS.size))
            yield index, ip_interface((found.get(_IFA_LOCAL, found[_IFA_ADDRESS]), prefix))

    def give(self, addresses: Sequence[Address], lifetime_s: int) -> dict[int, int]:
        """Add or renew addresses, all for so many seconds; return {position: errno} of those that were refused."""
        indexes = _indexes(addresses)
        bodies = [_body(address, indexes[address.interface], lifetime_s) for address in addresses]
        return self._netlink.send(_RTM_NEWADDR, bodies, _REPLACE | _CREATE)

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
    packed = ip.ip.packed
    # What the router sends itself, or hides others behind, comes from an address that it keeps. Of IPv4 that is the
    # network's first one; of IPv6 any but a deprecated one, whose own connections go on (RFC 4862, 5.5.4; RFC 6724, 5).
    cache = _CACHE.pack(0 if six else lifetime_s, lifetime_s, 0, 0)
    return head + attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed) + attribute(_IFA_CACHEINFO, cache)


def _indexes(addresses: Sequence[Address]) -> dict[str, int]:
    """Return the index of each interface, asked for once."""
    return {interface: _index(interface) for interface in {address.interface for address in addresses}}


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return 0
