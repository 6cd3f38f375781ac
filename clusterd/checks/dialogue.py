"""A check as a dialogue: what to say next, given what came back. Pure; `clusterd.probing` has the sockets and clocks.

A dialogue is a generator. It yields steps, is sent what came of each, and returns what it found out:

    yield b"PING\r\n"     say this, and wait for what comes next: some bytes, b"" when the other side has hung up
    yield b""             only wait
    yield Tell(b"QUIT")   say this, and go on as soon as the kernel has it
    yield Encrypt(...)    begin TLS: the other side's certificate (DER, RFC 5280), b"" where it has none
    yield AGAIN           hang up and connect anew: b"" when connected

A dialogue begins when the connection stands. It never waits for ever and never holds too much, because whoever runs it
closes it in time, and it bounds what it keeps itself. `TimeoutError` is thrown in when the time is over: only one for
which silence is an answer catches it.
"""

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum

from clusterd.health import Observation

LIMIT_BYTES = 65536  # no dialogue keeps more of an answer
QUOTED_BYTES = 60  # how much of an answer a detail shows


@dataclass(frozen=True, slots=True)
class Place:
    """Where a check goes, and when. `nonce` (32 bits) differs from check to check, for questions with numbers.

    With `through` the address is the VIP, and IPVS takes the packets to one real server.
    """

    address: str
    port: int
    nonce: int = 0
    now_s: float = 0.0  # UTC
    through: "Through | None" = None


@dataclass(frozen=True, slots=True)
class Through:
    """How a check gets through IPVS to one real server: by the mark of its packets. `server` is its own address."""

    mark: int
    server: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Say this without waiting for an answer."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Encrypt:
    """Speak TLS from here on. `verify` is against `ca_file` (PEM), else against the system's authorities."""

    server_name: str | None = None
    verify: bool = True
    ca_file: str | None = None
    protocols: tuple[str, ...] = ()  # offered by ALPN, RFC 7301


class Again(Enum):
    """Connect anew."""

    AGAIN = "again"


AGAIN = Again.AGAIN
Step = bytes | Tell | Encrypt | Again
Dialogue = Generator[Step, bytes, Observation]


class Ended(Exception):
    """The answer ended, or went on, where a dialogue cannot go on: its text is the detail of a failure."""


class Inbox:
    """What has come and was not taken yet. `most` bytes may come in all."""

    def __init__(self, most: int = LIMIT_BYTES) -> None:
        self._most = most
        self._came = 0
        self.held = bytearray()

    def more(self, say: bytes = b"") -> Generator[Step, bytes, None]:
        """Say something, and take in what comes next. Raises Ended where nothing comes any more, or too much."""
        data = yield say
        if not data:
            raise Ended(closed_early(self.held))
        self._came += len(data)
        if self._came > self._most:
            raise Ended(f"answered more than {self._most // 1024} KiB")
        self.held += data

    def line(self, say: bytes = b"") -> Generator[Step, bytes, bytes]:
        """Return the next line without its end. Raises Ended."""
        if say:
            yield from self.more(say)
        while (end := self.held.find(b"\n")) < 0:
            yield from self.more()
        taken = bytes(self.held[:end])
        del self.held[: end + 1]
        return taken.removesuffix(b"\r")

    def exactly(self, size: int) -> Generator[Step, bytes, bytes]:
        """Return the next `size` bytes. Raises Ended."""
        while len(self.held) < size:
            yield from self.more()
        taken = bytes(self.held[:size])
        del self.held[:size]
        return taken


def closed_early(received: bytes | bytearray) -> str:
    """Return the words for a connection that ended before the answer was complete."""
    if received:
        return f"closed the connection after {quoted(received)}"
    return "closed the connection without an answer"


def quoted(received: bytes | bytearray) -> str:
    """Return the beginning of an answer for people: in quotes, in one line, printable whatever it holds."""
    text = received[:QUOTED_BYTES].decode("latin-1").encode("unicode_escape").decode("ascii")
    return f'"{text}…"' if len(received) > QUOTED_BYTES else f'"{text}"'
