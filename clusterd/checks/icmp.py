"""Does the host answer an echo request? RFC 792, RFC 4443."""

import struct

from clusterd.checks.dialogue import Dialogue, Place
from clusterd.health import Observation
from clusterd.model import IcmpCheck

_REQUEST, _REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
_HEADER = struct.Struct("!BBHHH")  # type, code, checksum, identifier, sequence


def talk(place: Place, check: IcmpCheck) -> Dialogue:
    """Ask, and wait for the answer to this question: a raw socket is told of everybody's."""
    family = 6 if ":" in place.address else 4
    mark = f"clusterd {place.nonce:08x}".encode()
    data = yield request(family, place.nonce, mark)
    while not answers(family, data, mark):
        data = yield b""
    return Observation(True, "answered")


def request(family: int, nonce: int, mark: bytes) -> bytes:
    """Return an echo request. Of IPv6 the kernel makes the checksum, which takes the addresses in."""
    identifier, sequence = nonce >> 16, nonce & 0xFFFF
    bare = _HEADER.pack(_REQUEST[family], 0, 0, identifier, sequence) + mark
    return _HEADER.pack(_REQUEST[family], 0, checksum(bare), identifier, sequence) + mark


def answers(family: int, data: bytes, mark: bytes) -> bool:
    """Tell whether this is the echo of `mark`. A raw socket of IPv4 gives the IP header with it: raw(7)."""
    if family == 4 and data[:1] and data[0] >> 4 == 4:
        data = data[(data[0] & 15) * 4 :]
    return len(data) >= _HEADER.size and data[0] == _REPLY[family] and data[_HEADER.size :] == mark


def checksum(data: bytes) -> int:
    """Return the Internet checksum: RFC 1071."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
