"""The channel between routers: ask all others not to claim, and answer when asked. UDP on every address they have."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from clusterd.clock import boottime_s
from clusterd.election import Answer, Asked, AskPeers, Promised
from watchers.envelope import LARGEST_BYTES, Question, Reply, seal, unseal

log = logging.getLogger("clusterd.peers")
_KEPT_ROUNDS = 20


@dataclass(slots=True)
class _Round:
    """One question to all others, and who has promised so far."""

    missing: set[str]
    sent_s: float
    for_s: float


@dataclass(slots=True)
class _Asker:
    """Where a question came from, for its answer."""

    address: tuple[str, int]
    question: str


@dataclass(slots=True)
class Peers(asyncio.DatagramProtocol):
    """This router's end of the channel. `heard` takes what the election has to know."""

    me: str
    heard: Callable[[Promised | Asked], None]
    secret: bytes = b""
    addresses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    port: int = 0
    _transport: asyncio.DatagramTransport | None = None
    _rounds: dict[str, _Round] = field(default_factory=dict)
    _askers: dict[str, _Asker] = field(default_factory=dict)
    _last_number: dict[str, int] = field(default_factory=dict)

    async def configure(self, secret: bytes, addresses: Mapping[str, Sequence[str]], port: int) -> None:
        """Take over the key, the other routers' addresses by name, and the port. Raises OSError where it is taken."""
        self.secret, self.addresses = secret, addresses
        if port == self.port:
            return
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("0.0.0.0", port))  # noqa: S104 - every interface is a path to the others
        self.close()
        self._transport, self.port = transport, port

    def close(self) -> None:
        """Close the socket."""
        if self._transport:
            self._transport.close()
            self._transport, self.port = None, 0

    def ask(self, action: AskPeers) -> None:
        """Ask all others; `heard` gets a Promised once every one has promised. Without others that is at once."""
        sent_s = boottime_s()
        if not action.peers:
            self.heard(Promised(sent_s, action.for_s))
            return
        name = secrets.token_hex(8)
        self._rounds[name] = _Round(set(action.peers), sent_s, action.for_s)
        for old in list(self._rounds)[:-_KEPT_ROUNDS]:
            del self._rounds[old]
        question = Question(self.me, name, time.time_ns(), action.for_s)
        for peer in action.peers:
            for address in self.addresses.get(peer, ()):
                self._send(question, (address, self.port))

    def answer(self, action: Answer) -> None:
        """Answer a question on the path that it came by."""
        asker = self._askers.get(action.peer)
        if asker and asker.question == action.question:
            self._send(Reply(self.me, action.question, action.agreed), asker.address)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a datagram; what is not sealed with our key is not heard."""
        message = unseal(data[:LARGEST_BYTES], self.secret)
        match message:
            case Question() if message.sender in self.addresses:
                self._question(message, addr)
            case Reply() if message.agreed and message.name in self._rounds:
                waiting = self._rounds[message.name]
                waiting.missing.discard(message.sender)
                if not waiting.missing:
                    del self._rounds[message.name]
                    self.heard(Promised(waiting.sent_s, waiting.for_s))
            case None:
                log.warning("a datagram from %s is not from a router of this cluster", addr[0])

    def error_received(self, exc: Exception) -> None:
        """A peer is not there: its silence says so as well."""
        log.debug("peer channel: %s", exc)

    def _question(self, question: Question, addr: tuple[str, int]) -> None:
        if question.number < self._last_number.get(question.sender, 0):
            return
        self._last_number[question.sender] = question.number  # equal: the same question by another path
        self._askers[question.sender] = _Asker(addr, question.name)
        self.heard(Asked(question.sender, question.name, question.for_s))

    def _send(self, message: Question | Reply, address: tuple[str, int]) -> None:
        if self._transport and self.secret:
            self._transport.sendto(seal(message, self.secret), address)
