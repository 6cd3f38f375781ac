"""The addresses of this network namespace and their lifetimes in bulk, over route netlink (rtnetlink(7)).

An active router renews all its addresses about every second: with a thousand of them pyroute2 needs 0.6 s of a
processor for that, and 0.1 s to list them; these few messages need a twentieth.
"""

import socket
import struct
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Interface, IPv6Interface, ip_interface

from clusterd.dataplane.genetlink import ACK, DUMP, REQUEST, attribute, attributes
from clusterd.errors import ApplyError
from clusterd.plane import Address

_RTM_NEWADDR, _RTM_GETADDR = 20, 22  # linux/rtnetlink.h
_REPLACE, _CREATE = 0x100, 0x400  # linux/netlink.h
_ERROR, _DONE = 2, 3
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO = 1, 2, 6  # linux/if_addr.h
# The lock says whose an address is: looking for duplicates (RFC 4862) would make it wait for a second, or give it up.
NODAD = 0x02
_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg
_CACHE = struct.Struct("=IIII")  # ifa_cacheinfo
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_AT_ONCE = 100
_RECEIVE_BYTES, _TIMEOUT_S = 1 << 20, 10.0


class Lifetimes:
    """A socket for them. Raises ApplyError where the kernel does not answer."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """Close the socket; addresses stay for their lifetime."""
        self._socket.close()

    def present(self, version: int) -> Iterator[tuple[int, IPv4Interface | IPv6Interface]]:
        """Yield all addresses of a family, each with the index of its interface."""
        self._send([(_RTM_GETADDR, DUMP, _ADDRESS.pack(_FAMILIES[version], 0, 0, 0, 0))])
        for kind, _, payload in self._answers():
            if kind == _DONE:
                return
            if kind == _RTM_NEWADDR:
                _, prefix, _, _, index = _ADDRESS.unpack_from(payload)
                found = dict(attributes(payload, _ADDRESS.size))
                yield index, ip_interface((found.get(_IFA_LOCAL, found[_IFA_ADDRESS]), prefix))

    def give(self, addresses: Sequence[Address], lifetime_s: int) -> dict[int, int]:
        """Add or renew addresses, all for so many seconds; return {position: errno} of those that were refused."""
        refused: dict[int, int] = {}
        indexes = {address.interface: _index(address.interface) for address in addresses}
        for start in range(0, len(addresses), _AT_ONCE):
            some = addresses[start : start + _AT_ONCE]
            first = self._sequence + 1
            flags = ACK | _REPLACE | _CREATE
            self._send([(_RTM_NEWADDR, flags, _body(each, indexes[each.interface], lifetime_s)) for each in some])
            waiting = set(range(first, first + len(some)))
            for kind, sequence, payload in self._answers():
                if kind == _ERROR and sequence in waiting:
                    waiting.discard(sequence)
                    code = -struct.unpack_from("=i", payload)[0]
                    if code:
                        refused[start + sequence - first] = code
                if not waiting:
                    break
        return refused

    def _send(self, messages: Sequence[tuple[int, int, bytes]]) -> None:
        data = b""
        for kind, flags, body in messages:
            self._sequence += 1
            data += _HEADER.pack(_HEADER.size + len(body), kind, REQUEST | flags, self._sequence, 0) + body
        self._socket.send(data)

    def _answers(self) -> Iterator[tuple[int, int, bytes]]:
        while True:
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except OSError as error:
                raise ApplyError(f"the kernel did not answer over netlink: {error}") from error
            start = 0
            while start < len(data):
                length, kind, _, sequence, _ = _HEADER.unpack_from(data, start)
                if sequence > self._sequence - _AT_ONCE:
                    yield kind, sequence, data[start + _HEADER.size : start + length]
                start += (length + 3) & ~3


def _body(address: Address, index: int, lifetime_s: int) -> bytes:
    ip = address.address
    flags = NODAD if ip.version == 6 else 0
    head = _ADDRESS.pack(_FAMILIES[ip.version], ip.network.prefixlen, flags, 0, index)
    packed = ip.ip.packed
    cache = _CACHE.pack(lifetime_s, lifetime_s, 0, 0)
    return head + attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed) + attribute(_IFA_CACHEINFO, cache)


def _index(interface: str) -> int:
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return 0
