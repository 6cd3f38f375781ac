"""Writes when nodes gain and lose an address: `python -m tests.lab.holder ADDRESS NODE...`, as the kernel reports it.

    TIME_S NODE 1|0        the first line of a node says whether it has the address already

It listens to each node's rtnetlink from outside, so it survives what happens to the node's processes.
"""

import contextlib
import selectors
import socket
import struct
import sys
import time
from collections.abc import Iterator

from tests.lab.namespaces import call

_GROUPS = 0x10 | 0x100  # linux/rtnetlink.h: IPv4 and IPv6 addresses
_NEWADDR, _DELADDR = 20, 21
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_IFADDRMSG_BYTES = 8


def listen() -> socket.socket:
    """A socket on which the current namespace reports changes of its addresses."""
    monitor = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    monitor.bind((0, _GROUPS))
    return monitor


def family(address: str) -> socket.AddressFamily:
    """Return the family of an address that is written down."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def held(address: str) -> bool:
    """Say whether the current namespace has the address: only then a socket can be bound to it."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.bind((address, 0))
        return True
    return False


def changes(data: bytes, address: bytes) -> Iterator[bool]:
    """Yield, for each message about the address, whether it is there now."""
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        body = data[_HEADER.size + _IFADDRMSG_BYTES : length]
        if kind in (_NEWADDR, _DELADDR) and _address(body) == address:
            yield kind == _NEWADDR
        data = data[max(length, _HEADER.size) :]


def _address(attributes: bytes) -> bytes | None:
    found: dict[int, bytes] = {}
    while len(attributes) >= 4:
        length, kind = struct.unpack_from("=HH", attributes)
        found[kind] = attributes[4:length]
        attributes = attributes[max(4, (length + 3) & ~3) :]
    return found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS))  # IPv6 names the local one only where a peer has the other


def main() -> None:
    """Watch until killed."""
    address, nodes = sys.argv[1], sys.argv[2:]
    packed = socket.inet_pton(family(address), address)
    selector = selectors.DefaultSelector()
    has: dict[str, bool] = {}

    def say(node: str, now: bool) -> None:
        if has.get(node) is not now:  # an address renewed before its lifetime is over is reported too
            has[node] = now
            print(f"{time.monotonic():.4f} {node} {int(now)}", flush=True)

    for node in nodes:
        selector.register(call(node, listen), selectors.EVENT_READ, node)
        say(node, call(node, held, address))
    while True:
        for key, _ in selector.select():
            if isinstance(key.fileobj, socket.socket):
                for now in changes(key.fileobj.recv(65536), packed):
                    say(key.data, now)


if __name__ == "__main__":
    main()
