"""The channel between routers: ask all others not to claim, and answer when asked. UDP on every address they have.

asked    0.0     0.2     0.4     0.6     what each peer has promised holds from its newest answered question on,
r2       yes     lost    yes             so the promise of all is as old as the oldest of these, here 0.2;
r3       yes     yes     lost            a lost datagram costs only its own part
"""

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
_KEPT_QUESTIONS = 20
_MOST_PATHS = 4
_MOST_STRANGERS = 100
_NEVER = float("-inf")


@dataclass(slots=True)
class _Asker:
    """The newest question of a peer: the paths that it came by, and what we answered, once we have."""

    number: int
    question: str
    paths: list[tuple[str, int]]
    answer: Reply | None = None


@dataclass(slots=True)
class Peers(asyncio.DatagramProtocol):
    """This router's end of the channel. `heard` takes what the election has to know."""

    me: str
    heard: Callable[[Promised | Asked], None]
    host: str = "0.0.0.0"  # noqa: S104 - every interface is a path to the others
    secret: bytes = b""
    addresses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    port: int = 0
    _transport: asyncio.DatagramTransport | None = None
    _sent_s: dict[str, float] = field(default_factory=dict)  # when each question was sent, by its name
    _promised: dict[str, float] = field(default_factory=dict)  # when each peer's newest answered question was sent
    _asked: AskPeers = field(default_factory=lambda: AskPeers((), 0.0))
    _askers: dict[str, _Asker] = field(default_factory=dict)
    _strangers: set[str] = field(default_factory=set)

    async def configure(self, secret: bytes, addresses: Mapping[str, Sequence[str]], port: int) -> None:
        """Take over the key, the other routers' addresses by name, and the port. Raises OSError where it is taken."""
        self.secret, self.addresses = secret, addresses
        if port == self.port:
            return
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, port))
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
        if action != self._asked:
            self._asked, self._sent_s, self._promised = action, {}, {}
        name = secrets.token_hex(8)
        self._sent_s[name] = sent_s
        for old in list(self._sent_s)[:-_KEPT_QUESTIONS]:
            del self._sent_s[old]
        question = Question(self.me, name, time.time_ns(), action.for_s)
        for peer in action.peers:
            for address in self.addresses.get(peer, ()):
                self._send(question, (address, self.port))

    def answer(self, action: Answer) -> None:
        """Answer a question on every path that it came by."""
        asker = self._askers.get(action.peer)
        if asker and asker.question == action.question:
            asker.answer = Reply(self.me, action.question, action.agreed)
            for path in asker.paths:
                self._send(asker.answer, path)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take a datagram; what is not sealed with our key is not heard."""
        message = unseal(data[:LARGEST_BYTES], self.secret)
        match message:
            case Question() if message.sender in self.addresses:
                self._question(message, addr)
            case Reply() if message.agreed and message.name in self._sent_s and message.sender in self._asked.peers:
                self._promise(message.sender, self._sent_s[message.name])
            case None:
                if addr[0] not in self._strangers and len(self._strangers) < _MOST_STRANGERS:
                    self._strangers.add(addr[0])  # told once each, so that nobody can fill the log
                    log.warning("a datagram from %s is not from a router of this cluster", addr[0])

    def error_received(self, exc: Exception) -> None:
        """A peer is not there: its silence says so as well."""
        log.debug("peer channel: %s", exc)

    def _question(self, question: Question, addr: tuple[str, int]) -> None:
        """Hear each question once. A copy by another path is answered there too, and changes nothing."""
        asker = self._askers.get(question.sender)
        if asker is None or question.number > asker.number:
            self._askers[question.sender] = _Asker(question.number, question.name, [addr])
            self.heard(Asked(question.sender, question.name, question.for_s))
        elif question.name == asker.question and addr not in asker.paths and len(asker.paths) < _MOST_PATHS:
            asker.paths.append(addr)
            if asker.answer:
                self._send(asker.answer, addr)

    def _promise(self, peer: str, sent_s: float) -> None:
        before = self._oldest()
        self._promised[peer] = max(sent_s, self._promised.get(peer, _NEVER))
        if self._oldest() > before:
            self.heard(Promised(self._oldest(), self._asked.for_s))

    def _oldest(self) -> float:
        return min(self._promised.get(peer, _NEVER) for peer in self._asked.peers)

    def _send(self, message: Question | Reply, address: tuple[str, int]) -> None:
        if self._transport and self.secret:
            self._transport.sendto(seal(message, self.secret), address)
