"""What others do to floating addresses, as it happens: taken away in this kernel (rtnetlink(7)), claimed on the wire.

All sockets have a filter in the kernel (socket(7), SO_ATTACH_FILTER), so that a busy network or the renewal of many
lifetimes does not wake us.
"""

import ctypes
import fcntl
import socket
import struct
from collections.abc import Iterable, Sequence
from errno import ENOBUFS
from functools import cache
from ipaddress import ip_address
from typing import Any

from clusterd.dataplane.neighbours import (
    ADVERTISEMENT,
    ADVERTISEMENT_AT,
    FROM_THE_LINK,
    ICMPV6_AT,
    SENDER_AT,
    TARGET_END_AT,
    said_by_advertisement,
    said_by_arp,
)
from clusterd.dataplane.netlink import attributes, messages
from clusterd.plane import AddressKey, Answered, Claimed, HostAddress, LinkChanged, Notice, Removed

_ARP_OF_ALL, _IPV6_OF_ALL = socket.htons(0x0806), socket.htons(0x86DD)  # of every interface (packet(7))
_GROUPS = 0x1 | 0x10 | 0x100  # linux/rtnetlink.h: links, IPv4 and IPv6 addresses
_RTM_NEWLINK, _RTM_DELLINK = 16, 17
_RTM_DELADDR, _IFA_ADDRESS, _IFA_LOCAL = 21, 1, 2
_LINK = struct.Struct("=BxHiII")  # ifinfomsg
_SIOCGIFFLAGS, _FLAGS = 0x8913, struct.Struct("16sH22x")  # ifreq
_UP, _RUNNING = 0x1, 0x40
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg
_SO_ATTACH_FILTER = 26
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _EQUAL, _RETURN = 0x20, 0x28, 0x30, 0x15, 0x06  # linux/filter.h
_MOST_ADDRESSES = 2000  # what fits into a filter of 4096 steps
_ADVERTISEMENTS = ((_LOAD_HALF, ICMPV6_AT, FROM_THE_LINK), (_LOAD_BYTE, ADVERTISEMENT_AT, ADVERTISEMENT))
_WHOLE, _MOST_BYTES = 0xFFFFFFFF, 65536
MOST_AT_ONCE = 500  # messages; whoever listens has other things to do


class Listener:
    """Hears of the network namespace in which this was made. `sources` become readable when there is something."""

    def __init__(self) -> None:
        self._kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        _filter(
            self._kernel, _LOAD_HALF, 4, [socket.htons(kind) for kind in (_RTM_DELADDR, _RTM_NEWLINK, _RTM_DELLINK)]
        )
        self._kernel.bind((0, _GROUPS))
        self._wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, _ARP_OF_ALL)
        self._wire6 = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, _IPV6_OF_ALL)
        self._heeded: frozenset[AddressKey] = frozenset()
        self._hosts: frozenset[HostAddress] = frozenset()
        self.listen(())
        self.sources = (self._kernel.fileno(), self._wire.fileno(), self._wire6.fileno())

    def close(self) -> None:
        """Close the sockets."""
        self._kernel.close()
        self._wire.close()
        self._wire6.close()

    def listen(self, keys: Iterable[AddressKey], hosts: Iterable[HostAddress] = ()) -> None:
        """Heed claims to these addresses and what these hosts say from now on, and no others."""
        self._heeded, self._hosts = frozenset(keys), frozenset(hosts)
        said = {key.address for key in self._heeded} | self._hosts
        senders = sorted(int(address) for address in said if address.version == 4)
        _filter(self._wire, _LOAD_WORD, SENDER_AT, senders)
        targets = sorted({int(address) & 0xFFFFFFFF for address in said if address.version == 6})
        _filter(self._wire6, _LOAD_WORD, TARGET_END_AT, targets, _ADVERTISEMENTS)

    def notices(self) -> list[Notice]:
        """Return what came since the last call, without waiting; not much more than `MOST_AT_ONCE` from a source."""
        arp = ((said_by_arp(data), where[0]) for data, where in _received(self._wire))
        discovery = ((said_by_advertisement(data, where[4]), where[0]) for data, where in _received(self._wire6))
        return [*self._changed(), *self._said(arp), *self._said(discovery)]

    def without_carrier(self, interfaces: Iterable[str]) -> frozenset[str]:
        """Return those of the interfaces that are not there, not up, or have no cable (netdevice(7), IFF_RUNNING)."""
        return frozenset(interface for interface in interfaces if not self._runs(interface))

    def _runs(self, interface: str) -> bool:
        try:
            answer = fcntl.ioctl(self._wire, _SIOCGIFFLAGS, _FLAGS.pack(interface.encode(), 0))
        except OSError:
            return False
        flags: int = _FLAGS.unpack(answer)[1]
        return flags & (_UP | _RUNNING) == _UP | _RUNNING

    def _changed(self) -> Iterable[Notice]:
        name = cache(_name)  # the kernel is asked once for each: an interface does not change its name under us
        for data, _ in _received(self._kernel):
            for kind, _, payload in messages(data):
                if kind == _RTM_DELADDR:
                    *_, index = _ADDRESS.unpack_from(payload)
                    found = dict(attributes(payload, _ADDRESS.size))
                    address = ip_address(found.get(_IFA_LOCAL, found[_IFA_ADDRESS]))
                    yield Removed(AddressKey(name(index), address))
                elif kind in (_RTM_NEWLINK, _RTM_DELLINK):
                    yield LinkChanged(name(_LINK.unpack_from(payload)[2]))

    def _said(self, heard: Iterable[tuple[tuple[HostAddress, bytes] | None, str]]) -> Iterable[Notice]:
        for said, interface in heard:
            if said is None:
                continue
            host, mac = said
            key = AddressKey(interface, host)
            if host in self._hosts:
                yield Answered(host)
            if key in self._heeded and mac != _own_mac(interface):
                yield Claimed(key, mac.hex(":"))


def _received(source: socket.socket) -> Iterable[tuple[bytes, tuple[Any, ...]]]:
    for _ in range(MOST_AT_ONCE):
        try:
            yield source.recvfrom(_MOST_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != ENOBUFS:  # more came than we took: the next look at the kernel finds what is missing
                return


def _name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return ""


def _own_mac(interface: str) -> bytes:
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as link:
            link.bind((interface, 0))
            mac: bytes = link.getsockname()[4]
            return mac
    except OSError:
        return b""


def _filter(
    listener: socket.socket, load: int, offset: int, values: Sequence[int], first: Sequence[tuple[int, int, int]] = ()
) -> None:
    """Let only messages through that have one of the values at an offset, and what `first` says of other places.

    More values than a filter holds let every message through that `first` does.
    """
    steps = []
    for load_first, at, value in first:
        steps += [(load_first, 0, 0, at), (_EQUAL, 1, 0, value), (_RETURN, 0, 0, 0)]
    if len(values) > _MOST_ADDRESSES:
        _attach(listener, [*steps, (_RETURN, 0, 0, _WHOLE)])
        return
    steps += [(load, 0, 0, offset)]
    for value in values:
        steps += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _WHOLE)]
    _attach(listener, [*steps, (_RETURN, 0, 0, 0)])


def _attach(listener: socket.socket, steps: Sequence[tuple[int, int, int, int]]) -> None:
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(steps), ctypes.addressof(program)))
