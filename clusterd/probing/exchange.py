"""One check in progress: a socket and a dialogue. It never waits; the engine calls it when there is news.

The socket is registered with epoll(7) once, edge-triggered, so each call reads or writes until the kernel has no more.
A stream that was answered is reset instead of closed, so that no TIME_WAIT stays on the router: 10,000 servers checked
every 2 s would keep 300,000 of them. So is one through IPVS in any case, which has few ports.
"""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable
from typing import Protocol

from clusterd.checks import Transport
from clusterd.checks.dialogue import Dialogue, Encrypt, Place, Step, Tell, quoted
from clusterd.health import Observation
from clusterd.probing.leading import lead
from clusterd.probing.tls import Tls, TlsFailed
from clusterd.probing.words import failed

MOST_BYTES = 2**20 + 2**17  # that one check takes in: the longest answer that a dialogue wants, and its headers
CHUNK_BYTES = 65536
_SHOWN_BYTES = 61  # of what came, where no more comes
_RESET = struct.pack("ii", 1, 0)  # socket(7), SO_LINGER: on, 0 seconds

Done = Callable[[Observation], None]


class Owner(Protocol):
    """What an exchange tells the engine."""

    def opened(self, exchange: "Exchange", fileno: int) -> None:
        """A socket is to be watched."""

    def closed(self, fileno: int) -> None:
        """A socket is gone."""

    def came(self, exchange: "Exchange", size: int) -> bool:
        """So many bytes came; tell whether they may be kept."""

    def finished(self, exchange: "Exchange", found: Observation | None) -> None:
        """The check is over; None where it was cancelled. Called once."""


class Exchange:
    """A dialogue with one place over one kind of socket. `done` and `begun` are for its owner to call."""

    __slots__ = (
        "_answered",
        "_connected",
        "_dialogue",
        "_head",
        "_out",
        "_owner",
        "_sock",
        "_telling",
        "_tls",
        "_transport",
        "begun",
        "came",
        "done",
        "ended",
        "place",
        "timeout_s",
        "timer",
    )

    def __init__(
        self, owner: Owner, place: Place, talk: Dialogue, transport: Transport, timeout_s: float, done: Done
    ) -> None:
        self._owner, self._dialogue, self._transport = owner, talk, transport
        self.place, self.timeout_s, self.done = place, timeout_s, done
        self.timer: asyncio.TimerHandle | None = None
        self.begun: Callable[[], None] | None = None
        self.came = 0  # bytes
        self.ended = False
        self._sock: socket.socket | None = None
        self._head = b""

    def begin(self) -> None:
        """Open a socket and connect it."""
        self._tls: Tls | None = None
        self._out, self._telling, self._answered, self._connected = b"", False, True, False
        try:
            self._sock = sock = _socket(self._transport, self.place.address)
            if self.place.through:
                lead(sock, self.place.through)
            number = sock.connect_ex((self.place.address, 0 if self._transport == "echo" else self.place.port))
            if number not in (0, errno.EINPROGRESS):
                raise OSError(number, "")
        except OSError as error:
            self.finish(failed(error, led=self.place.through is not None))
            return
        self._owner.opened(self, sock.fileno())
        if self._transport != "stream":
            self._with_errors_told(self._began)

    def ready(self) -> None:
        """Go on: the socket can be read, or written, or is broken."""
        self._with_errors_told(self._go_on)

    def late(self) -> None:
        """End: the time is over."""
        try:
            self._dialogue.throw(TimeoutError())
        except StopIteration as end:
            self.finish(end.value)
        except TimeoutError:
            words = f"no answer within {self.timeout_s:g} s"
            if self._head:
                words = f"answered {quoted(self._head)}, and no more within {self.timeout_s:g} s"
            self.finish(Observation(False, words))

    def cancel(self) -> None:
        """End without a word."""
        self.finish(None)

    def finish(self, found: Observation | None) -> None:
        """End with what was found out."""
        if self.ended:
            return
        self.ended = True
        self._dialogue.close()
        self._hang_up()
        self._owner.finished(self, found)

    def _with_errors_told(self, go_on: Callable[[], None]) -> None:
        try:
            go_on()
        except TlsFailed as error:
            self.finish(Observation(False, str(error)))
        except OSError as error:
            self.finish(failed(error))

    def _go_on(self) -> None:
        if not self._connected:
            assert self._sock is not None  # noqa: S101 - it is watched
            number = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if number:
                raise OSError(number, "")
            self._began()
        self._flush()
        self._read()

    def _began(self) -> None:
        self._connected = True
        self._advance(None)

    def _read(self) -> None:
        """Take in everything that is there."""
        while self._sock is not None and self._connected and not self._telling:
            try:
                data = self._sock.recv(CHUNK_BYTES)
            except BlockingIOError:
                return
            self.came += len(data)
            if not self._owner.came(self, len(data)):
                self.finish(Observation(False, "too much was answered to all checks at once", conclusive=False))
            elif self.came > MOST_BYTES:
                self.finish(Observation(False, f"answered more than {MOST_BYTES // 1024} KiB"))
            else:
                self._take(data)

    def _take(self, data: bytes) -> None:
        if self._tls is None:
            self._said(data)
            return
        self._tls.take(data)
        if not self._tls.established:
            done = self._tls.handshake()
            self._send(self._tls.outgoing())
            if not done:
                return
            self._answered = True
            self._advance(self._tls.certificate())
        while self._tls is not None and not self.ended and (plain := self._tls.decrypted()) is not None:
            self._said(plain)
            if not plain:
                return

    def _said(self, data: bytes) -> None:
        """Hand the dialogue what came."""
        if len(self._head) < _SHOWN_BYTES:
            self._head += data[:_SHOWN_BYTES]
        self._answered = True
        self._advance(data)

    def _advance(self, data: bytes | None) -> None:
        """Have the dialogue's next step, and take it."""
        try:
            step = self._dialogue.send(data)  # type: ignore[arg-type] # a generator begins with None
        except StopIteration as end:
            self.finish(end.value)
        else:
            self._step(step)

    def _step(self, step: Step) -> None:
        if isinstance(step, bytes):
            if step:
                self._say(step)
        elif isinstance(step, Tell):
            self._telling = True
            self._say(step.data)
        elif isinstance(step, Encrypt):
            self._tls = Tls(step)
            self._tls.handshake()
            self._send(self._tls.outgoing())
        else:
            self._hang_up()
            self._head = b""
            self.begin()

    def _say(self, data: bytes) -> None:
        self._answered = False
        if self._tls is not None:
            self._tls.encrypt(data)
            data = self._tls.outgoing()
        self._send(data)

    def _send(self, data: bytes) -> None:
        self._out += data
        self._flush()

    def _flush(self) -> None:
        """Send what is to be sent, as far as the kernel takes it."""
        while self._out and self._sock is not None:
            try:
                self._out = self._out[self._sock.send(self._out) :]
            except BlockingIOError:
                return
        if self._telling:
            self._telling = False
            self._advance(b"")

    def _hang_up(self) -> None:
        sock, self._sock = self._sock, None
        if sock is None:
            return
        if self._transport == "stream" and (self._answered or self.place.through):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._owner.closed(sock.fileno())
        sock.close()


def _socket(transport: Transport, address: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if transport == "stream":
        return socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    if transport == "datagram":
        return socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    try:  # icmp(7), ping_group_range: a socket of one's own for echo; else one that sees everything, for the privileged
        return socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, protocol)
    except PermissionError:
        return socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
