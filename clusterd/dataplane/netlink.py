"""Netlink in batches: many messages a send, of which the kernel names those that it refuses (netlink(7)).

Encodes and decodes attributes with `struct`, since a table of 10,000 destinations is written in one go; knows nothing
of what the messages say.
"""

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from clusterd.errors import ApplyError

REQUEST, ACK, DUMP = 0x1, 0x4, 0x300
HEAD = 4  # bytes of an attribute before its payload
_NOOP, _ERROR, _DONE = 1, 2, 3
_SOL_NETLINK, _CAP_ACK = 270, 10
# The kernel answers all messages of a send before we can read, and drops what does not fit: the receive buffer's
# 212,992 bytes (net.core.rmem_default) hold 277 refusals of 768 bytes.
_SEND_MESSAGES = 100
# The kernel gives each piece of its answer to a dump so much memory, 32 kB at most, and clears that where it was built
# so (af_netlink.c, netlink_dump; CONFIG_INIT_ON_ALLOC_DEFAULT_ON), even for a piece that says only that this was all.
_RECEIVE_BYTES = 1 << 14
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


class Layout:
    """Attributes of fixed lengths, one after the other: packed and unpacked in one go.

    A field is its kind and its payload as a format of `struct`, in the host's byte order. Attribute by attribute takes
    five times as long.
    """

    def __init__(self, *fields: tuple[int, str]) -> None:
        lengths = [struct.calcsize("=" + code) for _, code in fields]
        padded = (f"I{code}{-length % 4}x" for (_, code), length in zip(fields, lengths, strict=True))
        heads = (struct.pack("=HH", 4 + length, kind) for (kind, _), length in zip(fields, lengths, strict=True))
        self._struct = struct.Struct("=" + "".join(padded))
        self._kinds = [kind for kind, _ in fields]
        self._lengths = [(HEAD + length + 3) & ~3 for length in lengths]
        self._heads = tuple(struct.unpack("=I", head)[0] for head in heads)
        self._blank = [part for head in self._heads for part in (head, None)]

    @property
    def size(self) -> int:
        """How many bytes they take."""
        return self._struct.size

    def span(self, first: int, last: int) -> slice:
        """Return where the attributes from one kind to another are."""
        begin, end = self._kinds.index(first), self._kinds.index(last) + 1
        return slice(sum(self._lengths[:begin]), sum(self._lengths[:end]))

    def pack(self, *values: object) -> bytes:
        """Return the attributes with these payloads."""
        parts = self._blank.copy()
        parts[1::2] = values
        return self._struct.pack(*parts)

    def unpack(self, data: bytes) -> tuple[Any, ...] | None:
        """Return the payloads that data begins with, None where other attributes stand there."""
        if len(data) < self._struct.size:
            return None
        parts = self._struct.unpack_from(data)
        return parts[1::2] if parts[::2] == self._heads else None


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
        self._received = bytearray(_RECEIVE_BYTES)  # kept: the memory for it costs more than what is mostly in it

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _message(self, kind: int, body: bytes, flags: int) -> bytes:
        self._sequence += 1
        return _HEADER.pack(_HEADER.size + len(body), kind, REQUEST | flags, self._sequence, 0) + body

    def ask(self, kind: int, body: bytes = b"", flags: int = DUMP, skip: int = 0) -> list[bytes]:
        """Send one request and return the payload of each answer, less the bytes at its beginning that are skipped.

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
                replies.append(payload[skip:])

    def send(self, kind: int, bodies: Sequence[bytes], flags: int = 0) -> dict[int, int]:
        """Send many and return {position: errno} of those that the kernel refused."""
        refused: dict[int, int] = {}
        for position in range(0, len(bodies), _SEND_MESSAGES):
            first_sequence = self._sequence + 1
            together = [self._message(kind, body, flags) for body in bodies[position : position + _SEND_MESSAGES]]
            self._socket.send(b"".join((*together, self._message(_NOOP, b"", ACK))))
            for sequence, code in self._answers(first_sequence):
                if code:
                    refused[position + sequence - first_sequence] = code
        return refused

    def _answers(self, first_sequence: int) -> Iterator[tuple[int, int]]:
        """Yield sequence and errno of what was refused of a send, and at the end of its last message.

        That one does nothing and is acknowledged, and the kernel works in order: what it has not refused by then is
        done. Nobody waits for the answer to one of those that do something: there is none where it ends with EINTR
        (af_netlink.c, netlink_rcv_skb), as the end of a daemon does that never ran (kthread_stop).
        """
        done = False
        while not done:
            for answer, sequence, payload in self._receive():
                if answer == _ERROR and sequence >= first_sequence:
                    yield sequence, -struct.unpack_from("=i", payload)[0]
                    done = done or sequence == self._sequence

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        try:
            length = self._socket.recv_into(self._received)
        except OSError as error:
            raise ApplyError(f"the kernel did not answer over netlink: {error}") from error
        return messages(bytes(memoryview(self._received)[:length]))
