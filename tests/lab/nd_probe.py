"""Asks by neighbour solicitation who has an IPv6 address: `python -m tests.lab.nd_probe DEVICE ADDRESS PERIOD_S`.

It writes what arp_probe.py writes, and its probes come from the same hardware addresses of nobody. They have a source
address of nobody too, since an answer to a probe without one (duplicate address detection) goes to all nodes, and the
client's own kernel would learn from it. Whoever answers puts that address into its own neighbour table, and sends the
answer to the hardware address that this very probe came from (RFC 4861, 7.2.3 and 7.2.4).
"""

import ctypes
import socket
import struct
import sys

from tests.lab.arp_probe import WATCHER, asker, numbered, opened, watch

ETHER_IPV6 = 0x86DD
ICMPV6, SOLICITATION, ADVERTISEMENT = 58, 135, 136
NOBODY = socket.inet_pton(socket.AF_INET6, "fe80::ff:fe00:ff")
ALL_NODES = b"\x33\x33\0\0\0\1"
_HEADER = struct.Struct("!IHBB16s16s")
_MESSAGE = struct.Struct("!BBH4x16s")
_PROTOCOL_AT, _MESSAGE_AT = 14 + 6, 14 + _HEADER.size
_SOURCE_LINK_ADDRESS = b"\1\1"
_SO_ATTACH_FILTER = 26
_ONLY_ADVERTISEMENTS = (  # linux/filter.h: load a byte, go on where it is equal, return
    (0x30, 0, 0, _PROTOCOL_AT),
    (0x15, 0, 3, ICMPV6),
    (0x30, 0, 0, _MESSAGE_AT),
    (0x15, 0, 1, ADVERTISEMENT),
    (0x06, 0, 0, 0xFFFF),
    (0x06, 0, 0, 0),
)


def probe(number: int, address: bytes) -> bytes:
    """One frame that asks for the address."""
    own = asker(number)
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + address[13:]
    options = _SOURCE_LINK_ADDRESS + own
    length = _MESSAGE.size + len(options)
    pseudo = NOBODY + group + struct.pack("!II", length, ICMPV6)
    checksum = _checksum(pseudo + _MESSAGE.pack(SOLICITATION, 0, 0, address) + options)
    header = _HEADER.pack(6 << 28, length, ICMPV6, 255, NOBODY, group)
    ethernet = b"\x33\x33" + group[12:] + own + struct.pack("!H", ETHER_IPV6)
    return ethernet + header + _MESSAGE.pack(SOLICITATION, 0, checksum, address) + options


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def read(frame: bytes, address: bytes, asked: int) -> tuple[str, int, str] | None:
    """Return kind, number of the probe and MAC, when the frame says who has the address; `asked` is the last probe."""
    if len(frame) < _MESSAGE_AT + _MESSAGE.size or frame[_PROTOCOL_AT] != ICMPV6:
        return None
    kind, _code, _checksum, target = _MESSAGE.unpack_from(frame, _MESSAGE_AT)
    if kind != ADVERTISEMENT or target != address:
        return None
    to, mac = frame[:6], frame[6:12].hex(":")
    if to.startswith(WATCHER):
        return "answer", numbered(to, asked), mac
    return ("announce", 0, mac) if to == ALL_NODES else None


def main() -> None:
    """Ask by neighbour solicitation."""
    device, address, period_s = sys.argv[1:]
    wire = opened(device, ETHER_IPV6)
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in _ONLY_ADVERTISEMENTS))
    attached = struct.pack("HP", len(_ONLY_ADVERTISEMENTS), ctypes.addressof(program))
    wire.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, attached)
    watch(wire, socket.inet_pton(socket.AF_INET6, address), float(period_s), probe, read)


if __name__ == "__main__":
    main()
