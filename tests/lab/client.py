"""What the client sees: every request, every gap, who answers for an address, and which router holds it.

Each watcher is a process of its own that writes one line per event to a file; here it is started, stopped and its file
is read into values. All times are time.monotonic(), which is one clock for all nodes and for the test.

    requests   ok   ok   ok   --   --   --   --   ok   ok        one every 20 ms; -- failed
    starts     |    |    |                        |    |
                         '------ longest gap -----'
"""

import itertools
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.lab.guest import ROOT
from tests.lab.namespaces import Process, call
from tests.lab.topology import ROUTERS, VIP, Network

PERIOD_S = 0.02


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `end_s` and `server` are None when it failed or took longer than the poller waits."""

    start_s: float
    end_s: float | None
    server: str | None


@dataclass(frozen=True, slots=True)
class Polls:
    """The requests of one poller, in the order of their starts."""

    requests: tuple[Request, ...]

    def between(self, start_s: float, end_s: float) -> "Polls":
        """Only the requests started in this time."""
        return Polls(tuple(r for r in self.requests if start_s <= r.start_s <= end_s))

    @property
    def failures(self) -> int:
        return sum(r.end_s is None for r in self.requests)

    @property
    def by_server(self) -> Counter[str]:
        """How many requests each server answered."""
        return Counter(r.server for r in self.requests if r.server is not None)

    @property
    def longest_gap_s(self) -> float:
        """The longest time in which no request was started that succeeded; what fails at the ends counts too."""
        if not self.requests:
            return 0.0
        good = [r.start_s for r in self.requests if r.end_s is not None]
        return _longest([self.requests[0].start_s, *good, self.requests[-1].start_s])

    @property
    def longest_wait_s(self) -> float:
        """The longest time between two answers, whenever they were asked for."""
        return _longest(sorted(r.end_s for r in self.requests if r.end_s is not None))


def _longest(times_s: Sequence[float]) -> float:
    return max((later - earlier for earlier, later in itertools.pairwise(times_s)), default=0.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """Somebody said that the address is theirs, in reply to probe number `probe`, or unasked when that is 0."""

    probe: int
    time_s: float
    mac: str


@dataclass(frozen=True, slots=True)
class ArpLog:
    """Who answered for an address."""

    probes: int
    answers: tuple[Answer, ...]
    announcements: tuple[Answer, ...]

    def dual_answers(self) -> tuple[tuple[int, frozenset[str]], ...]:
        """The probes that more than one hardware address answered: two machines hold the address."""
        macs: dict[int, set[str]] = {}
        for answer in self.answers:
            macs.setdefault(answer.probe, set()).add(answer.mac)
        return tuple((number, frozenset(found)) for number, found in macs.items() if len(found) > 1)

    def holders(self) -> tuple[tuple[float, str], ...]:
        """When an answer first came from another hardware address than the one before: A, or A B after one takeover."""
        ordered = sorted(self.answers, key=lambda answer: (answer.probe, answer.time_s))
        runs = itertools.groupby(ordered, key=lambda answer: answer.mac)
        return tuple((next(group).time_s, mac) for mac, group in runs)

    def alternations(self, within_s: float = 1.0) -> int:
        """How often an address went A, B, A in so short a time: two machines answering in turns."""
        triples = zip(self.holders(), self.holders()[1:], self.holders()[2:], strict=False)
        return sum(a[1] == c[1] and c[0] - b[0] <= within_s for a, b, c in triples)


class Watcher:
    """One of the programs in this directory, running on a node until `lines` is called."""

    def __init__(self, network: Network, node: str, module: str, *arguments: str) -> None:
        self._process: Process = network.spawn(
            *(node, sys.executable, "-m", f"tests.lab.{module}", *arguments),
            name=f"{module}-{node}-{time.monotonic_ns()}",
            cwd=ROOT,
        )
        self._marked = 0
        self._wait_for_a_line()

    def _wait_for_a_line(self, timeout_s: float = 20) -> None:
        end_s = time.monotonic() + timeout_s
        while not self._process.log.stat().st_size:
            if not self._process.running or time.monotonic() > end_s:
                raise RuntimeError(f"{self._process.name} says nothing")
            time.sleep(0.01)

    def mark(self) -> None:
        """Let `since` begin here."""
        self._marked = len(self._process.output())

    def since(self) -> list[list[str]]:
        """Return the lines that came since the mark as words, and let it run on."""
        text = self._process.output()[self._marked :]
        return [line.split() for line in text.splitlines()[:-1]]  # the last one may not be whole yet

    def lines(self) -> list[list[str]]:
        """Stop it and return its lines as words. Raises RuntimeError when it had ended by itself."""
        if not self._process.running:
            raise RuntimeError(f"{self._process.name} ended early: {self._process.output()[-2000:]}")
        self._process.kill()
        return [line.split() for line in self._process.output().splitlines() if line]


class Poller:
    """Asks http://1.2.3.1/ from the client every 20 ms from now on."""

    def __init__(
        self, network: Network, address: str = VIP, *, period_s: float = PERIOD_S, limit_s: float = 1.0
    ) -> None:
        self._watcher = Watcher(network, "client", "poller", address, str(period_s), str(limit_s))

    def stop(self) -> Polls:
        """End it and return all requests that have ended."""
        found = []
        for start_s, end_s, server in self._watcher.lines():
            done = server != "-"
            found.append(Request(float(start_s), float(end_s) if done else None, server if done else None))
        return Polls(tuple(sorted(found, key=lambda request: request.start_s)))


class ArpWatcher:
    """Asks from the client every 20 ms who has an address, by ARP or for IPv6 by neighbour solicitation.

    The client's own kernel is not told.
    """

    def __init__(self, network: Network, address: str = VIP, *, period_s: float = PERIOD_S) -> None:
        program = "nd_probe" if ":" in address else "arp_probe"
        self._watcher = Watcher(network, "client", program, "eth0", address, str(period_s))

    def stop(self) -> ArpLog:
        """End it and return all answers."""
        probes = 0
        seen: dict[str, list[Answer]] = {"answer": [], "announce": []}
        for kind, number, time_s, *rest in self._watcher.lines():
            if kind == "probe":
                probes += 1
            else:
                seen[kind].append(Answer(int(number), float(time_s), rest[0]))
        return ArpLog(probes, tuple(seen["answer"]), tuple(seen["announce"]))


class HolderWatcher:
    """Notes when a router gains or loses an address, as its kernel reports it."""

    def __init__(self, network: Network, address: str = VIP, nodes: Sequence[str] = ROUTERS) -> None:
        self._watcher = Watcher(network, "sw", "holder", address, *nodes)

    def stop(self) -> tuple[tuple[float, str, bool], ...]:
        """End it and return (time, node, has it now), beginning with how it was."""
        return tuple((float(time_s), node, has == "1") for time_s, node, has in self._watcher.lines())


def fetch(network: Network, count: int = 1, address: str = VIP, *, node: str = "client", port: int = 80) -> list[str]:
    """Return the pages of `count` requests made one after the other. Raises OSError when one fails."""

    def work() -> list[str]:
        return [_page(address, port) for _ in range(count)]

    return call(node, work)


def _page(address: str, port: int, timeout_s: float = 5) -> str:
    with socket.create_connection((address, port), timeout_s) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise OSError(f"{address}:{port} answered {head[:80]!r}")
    return body.decode().strip()
