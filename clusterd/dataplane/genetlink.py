"""Generic netlink in batches: many messages a send, every one acknowledged (netlink(7), linux/genetlink.h).

Encodes and decodes attributes with `struct`, since a table of 10,000 destinations is written in one go; knows nothing
of IPVS.
"""

import os
import socket
import struct
from collections.abc import Iterator, Sequence

from clusterd.errors import ApplyError

REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_GENL_ID_CTRL, _CTRL_GETFAMILY, _CTRL_ATTR_FAMILY_ID, _CTRL_ATTR_FAMILY_NAME = 16, 3, 1, 2
_NETLINK_GENERIC, _SOL_NETLINK, _CAP_ACK = 16, 270, 10
# The kernel acknowledges all messages of a send before we can read, and drops what does not fit: the receive buffer's
# 212,992 bytes (net.core.rmem_default) hold 277 acknowledgements of 768 bytes.
_SEND_MESSAGES = 100
_RECEIVE_BYTES = 1 << 20
_NESTED, _TYPE_MASK = 0x8000, 0x3FFF
_HEADER = struct.Struct("=IHHII")
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


class GenericNetlink:
    """A socket to one family of generic netlink. Raises ApplyError where the kernel does not have the family."""

    def __init__(self, family: str, version: int = 1) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC)
        self._socket.settimeout(_TIMEOUT_S)
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)  # acknowledgements do not repeat the request
        self._socket.bind((0, 0))
        self._sequence = 0
        self._version = version
        self._family = _GENL_ID_CTRL
        try:
            self._family = self._family_id(family)
        except OSError as error:
            self._socket.close()
            raise ApplyError(f"the kernel has no {family}: {error.strerror}; modprobe ip_vs loads it") from error

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _family_id(self, family: str) -> int:
        name = attribute(_CTRL_ATTR_FAMILY_NAME, family.encode() + b"\0")
        for reply in self.ask(_CTRL_GETFAMILY, name, ACK):
            for kind, payload in attributes(reply):
                if kind == _CTRL_ATTR_FAMILY_ID:
                    return int(struct.unpack("=H", payload)[0])
        raise OSError(0, "no answer")

    def _message(self, command: int, body: bytes, flags: int) -> bytes:
        self._sequence += 1
        header = _HEADER.pack(20 + len(body), self._family, REQUEST | flags, self._sequence, 0)
        return header + struct.pack("=BBH", command, self._version, 0) + body

    def ask(self, command: int, body: bytes = b"", flags: int = DUMP) -> list[bytes]:
        """Send one request and return the attributes of each answer. Raises OSError with the kernel's errno."""
        self._socket.send(self._message(command, body, flags))
        replies: list[bytes] = []
        while True:
            for kind, sequence, payload in self._receive():
                if sequence != self._sequence:
                    continue  # left over from a request that was given up
                if kind in (_ERROR, _DONE):
                    code = struct.unpack_from("=i", payload)[0] if len(payload) >= 4 else 0
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    return replies
                replies.append(payload[4:])

    def send(self, messages: Sequence[tuple[int, bytes]]) -> dict[int, int]:
        """Send many (command, body) and return {position: errno} of those that the kernel refused."""
        refused: dict[int, int] = {}
        encoded = [self._message(command, body, ACK) for command, body in messages]
        for position in range(0, len(encoded), _SEND_MESSAGES):
            together = encoded[position : position + _SEND_MESSAGES]
            first_sequence = self._sequence - len(encoded) + position + 1
            self._socket.send(b"".join(together))
            waiting = set(range(first_sequence, first_sequence + len(together)))
            while waiting:
                for kind, sequence, payload in self._receive():
                    if kind == _ERROR and sequence in waiting:
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
        start = 0
        while start < len(data):
            length, kind, _, sequence, _ = _HEADER.unpack_from(data, start)
            yield kind, sequence, data[start + 16 : start + length]
            start += (length + 3) & ~3
