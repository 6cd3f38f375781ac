"""Netlink in batches: many messages a send, every one acknowledged (netlink(7)).

Encodes and decodes attributes with `struct`, since a table of 10,000 destinations is written in one go; knows nothing
of what the messages say.
"""

import os
import socket
import struct
from collections.abc import Iterator, Sequence

from clusterd.errors import ApplyError

REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_SOL_NETLINK, _CAP_ACK = 270, 10
# The kernel acknowledges all messages of a send before we can read, and drops what does not fit: the receive buffer's
# 212,992 bytes (net.core.rmem_default) hold 277 acknowledgements of 768 bytes.
_SEND_MESSAGES = 100
_RECEIVE_BYTES = 1 << 20
_NESTED, _TYPE_MASK = 0x8000, 0x3FFF
_HEADER = struct.Struct("=IHHII")  # nlmsghdr
_TIMEOUT_S = 10.0


def attribute(kind: int, payload: bytes) -> bytes:
    """Return one attribute, padded to four bytes."""
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """Return an attribute that holds others."""
    return attribute(kind | _NESTED, b"".join(attributes))


def attributes(data: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield (kind, payload) of the attributes in `data` from `start` on."""
    while start + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, start)
        if length < 4:
            return
        yield kind & _TYPE_MASK, data[start + 4 : start + length]
        start += (length + 3) & ~3


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (kind, sequence, payload) of the messages in what was received."""
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, start)
        yield kind, sequence, data[start + _HEADER.size : start + length]
        start += max(_HEADER.size, (length + 3) & ~3)


class Netlink:
    """A socket to one protocol of netlink, in the network namespace in which this was made."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)  # acknowledgements do not repeat the request
        self._socket.bind((0, 0))
        self._sequence = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _message(self, kind: int, body: bytes, flags: int) -> bytes:
        self._sequence += 1
        return _HEADER.pack(_HEADER.size + len(body), kind, REQUEST | flags, self._sequence, 0) + body

    def ask(self, kind: int, body: bytes = b"", flags: int = DUMP) -> list[bytes]:
        """Send one request and return the payload of each answer.

        Raises OSError with the kernel's errno, and ApplyError where it does not answer.
        """
        self._socket.send(self._message(kind, body, flags))
        replies: list[bytes] = []
        while True:
            for answer, sequence, payload in self._receive():
                if sequence != self._sequence:
                    continue  # left over from a request that was given up
                if answer in (_ERROR, _DONE):
                    code = struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else 0
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    return replies
                replies.append(payload)

    def send(self, kind: int, bodies: Sequence[bytes], flags: int = 0) -> dict[int, int]:
        """Send many and return {position: errno} of those that the kernel refused."""
        refused: dict[int, int] = {}
        for position in range(0, len(bodies), _SEND_MESSAGES):
            first_sequence = self._sequence + 1
            together = [self._message(kind, body, ACK | flags) for body in bodies[position : position + _SEND_MESSAGES]]
            self._socket.send(b"".join(together))
            waiting = set(range(first_sequence, first_sequence + len(together)))
            while waiting:
                for answer, sequence, payload in self._receive():
                    if answer == _ERROR and sequence in waiting:
                        waiting.discard(sequence)
                        code = struct.unpack_from("=i", payload)[0]
                        if code:
                            refused[position + sequence - first_sequence] = -code
        return refused

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except OSError as error:
            raise ApplyError(f"the kernel did not answer over netlink: {error}") from error
        yield from messages(data)
