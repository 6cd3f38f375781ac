"""The channel between routers: questions, answers and signs of life. UDP on every address that they have."""

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from errno import EADDRNOTAVAIL, EAFNOSUPPORT

from clusterd.clock import boottime_s
from clusterd.election import Alive, Answer, Asked, AskPeers, Promised, SayAlive
from watchers.asking import Asking, Path
from watchers.envelope import LARGEST_BYTES, Message, Question, Reply, Sign, seal, unseal
from watchers.logs import tagged

log = logging.getLogger("clusterd.peers")
_MOST_STRANGERS = 100
_NO_IPV6 = (EAFNOSUPPORT, EADDRNOTAVAIL)  # not built in, or switched off (net.ipv6.conf.all.disable_ipv6)


@dataclass(slots=True)
class Peers(asyncio.DatagramProtocol):
    """This router's end of the channel. `heard` takes a group and what its election has to know."""

    me: str
    heard: Callable[[str, Promised | Asked | Alive], None]
    hosts: Sequence[str] = ("0.0.0.0", "::")  # noqa: S104 - every interface is a path to the others
    secret: bytes = b""
    addresses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    port: int = 0
    _transports: dict[int, asyncio.DatagramTransport] = field(default_factory=dict)  # by family
    _groups: dict[str, Asking] = field(default_factory=dict)
    _began: tuple[int, float] = field(default_factory=lambda: (time.time_ns(), boottime_s()))
    _strangers: set[str] = field(default_factory=set)

    async def configure(self, secret: bytes, addresses: Mapping[str, Sequence[str]], port: int) -> None:
        """Take over the key, the other routers' addresses by name, and the port. Raises OSError where it is taken."""
        self.secret, self.addresses = secret, addresses
        if port == self.port:
            return
        loop, opened = asyncio.get_running_loop(), dict[int, asyncio.DatagramTransport]()
        for sock in _bound(self.hosts, port):
            opened[sock.family], _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)
        self.close()
        self._transports, self.port = opened, port

    def close(self) -> None:
        """Close the sockets."""
        for transport in self._transports.values():
            transport.close()
        self._transports, self.port = {}, 0

    def ask(self, group: str, action: AskPeers) -> None:
        """Ask all others; `heard` gets a Promised once every one has promised. Without others that is at once."""
        sent_s = boottime_s()
        if not action.peers:
            self.heard(group, Promised(sent_s, action.for_s))
            return
        name = secrets.token_hex(8)
        self._asking(group).ask(action, name, sent_s)
        self._tell(action.peers, Question(self.me, group, name, self._number(sent_s), action.for_s))

    def answer(self, group: str, action: Answer) -> None:
        """Answer a question on every path that it came by."""
        reply = Reply(self.me, group, action.question, action.agreed)
        for path in self._asking(group).answer(action.peer, reply):
            self._send(reply, path)

    def say(self, group: str, action: SayAlive) -> None:
        """Show all others that we live. The clock of the numbers begins again with the machine, and so do tokens."""
        self._tell(self.addresses, Sign(self.me, group, action.token, int(boottime_s() * 1e9)))

    def datagram_received(self, data: bytes, addr: Path) -> None:
        """Take a datagram; what is not sealed with our key is not heard."""
        message = unseal(data[:LARGEST_BYTES], self.secret)
        if message is None:
            if addr[0] not in self._strangers and len(self._strangers) < _MOST_STRANGERS:
                self._strangers.add(addr[0])  # told once each, so that nobody can fill the log
                about = tagged("stranger", address=addr[0])
                log.warning("a datagram from %s is not from a router of this cluster", addr[0], extra=about)
        elif message.sender in self.addresses:
            self._take(message, addr)

    def error_received(self, exc: Exception) -> None:
        """A peer is not there: its silence says so as well."""
        log.debug("peer channel: %s", exc, extra=tagged("peers"))

    def _take(self, message: Message, addr: Path) -> None:
        asking = self._asking(message.group)
        match message:
            case Question():
                new, reply = asking.asked(message, addr)
                if new:
                    self.heard(message.group, Asked(message.sender, message.name, message.for_s))
                elif reply:
                    self._send(reply, addr)
            case Reply():
                promised = asking.replied(message)
                if promised:
                    self.heard(message.group, promised)
            case Sign():
                if asking.lives(message):
                    self.heard(message.group, Alive(message.token))

    def _asking(self, group: str) -> Asking:
        return self._groups.setdefault(group, Asking())

    def _number(self, now_s: float) -> int:
        """Return a number that grows with time, also when the wall clock is put back, and after a restart."""
        wall_ns, began_s = self._began
        return wall_ns + int((now_s - began_s) * 1e9)

    def _tell(self, peers: Iterable[str], message: Message) -> None:
        for peer in peers:
            for address in self.addresses.get(peer, ()):
                self._send(message, (address, self.port))

    def _send(self, message: Message, address: Path) -> None:
        transport = self._transports.get(_family(address[0]))
        if transport and self.secret:
            transport.sendto(seal(message, self.secret), address)


def _family(host: str) -> int:
    return int(socket.AF_INET6 if ":" in host else socket.AF_INET)


def _bound(hosts: Iterable[str], port: int) -> list[socket.socket]:
    """Return a socket for each host, of its family alone; none where this machine lacks IPv6. Raises OSError."""
    with ExitStack() as stack:
        made = []
        for host in hosts:
            try:
                sock = stack.enter_context(socket.socket(_family(host), socket.SOCK_DGRAM))
                if sock.family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setblocking(False)
                sock.bind((host, port))
            except OSError as error:
                if ":" in host and error.errno in _NO_IPV6:
                    continue
                raise
            made.append(sock)
        stack.pop_all()
    return made
