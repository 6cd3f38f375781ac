"""Time, chance and a network for the simulation of an election: everything follows from one seed.

every message   now ──delay──> arrives          cut: a datagram is lost, a TCP segment is lost or comes when the
                                                cable is in again, so a request may be done long after its sender
                                                gave it up
"""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

Act = Callable[[], None]


class Violation(AssertionError):
    """Something happened that must never happen."""


@dataclass(slots=True)
class Weather:
    """What the network does to messages."""

    slow: float = 0.0  # share that takes up to 0.4 s
    stuck: float = 0.0  # share that takes up to 4 s
    lost: float = 0.0  # share of datagrams
    doubled: float = 0.0  # share of datagrams


@dataclass
class World:
    """A clock, a queue of what is going to happen, and links between places, each direction by itself."""

    rng: Random
    now_s: float = 1000.0
    weather: Weather = field(default_factory=Weather)
    cuts: set[tuple[str, str]] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    _queue: list[tuple[float, int, Act]] = field(default_factory=list)
    _number: "itertools.count[int]" = field(default_factory=itertools.count)
    _waiting: list[tuple[tuple[str, str], Act]] = field(default_factory=list)

    def after(self, delay_s: float, act: Act) -> None:
        """Let something happen later."""
        heapq.heappush(self._queue, (self.now_s + delay_s, next(self._number), act))

    def run(self, until_s: float) -> None:
        """Let time pass."""
        queue = self._queue
        while queue and queue[0][0] <= until_s:
            self.now_s, _, act = heapq.heappop(queue)
            act()
        self.now_s = until_s

    def note(self, text: str) -> None:
        """Remember what happened, for whoever looks into a seed that failed."""
        self.log.append(f"{self.now_s:9.3f} {text}")

    def chance(self, share: float) -> bool:
        """Say yes as often as this."""
        return share > 0 and self.rng.random() < share

    def delay_s(self) -> float:
        """How long a message takes."""
        if self.chance(self.weather.stuck):
            return self.rng.uniform(0.4, 4.0)
        return self.rng.uniform(0.02, 0.4) if self.chance(self.weather.slow) else self.rng.uniform(0.0005, 0.02)

    def tcp(self, source: str, target: str, act: Act) -> None:
        """Bring a request or an answer there, unless the link is cut for good."""
        if (source, target) not in self.cuts:
            self.after(self.delay_s(), act)
        elif self.chance(0.3):
            self._waiting.append(((source, target), act))

    def udp(self, source: str, target: str, act: Act) -> None:
        """Bring a datagram there: never, once or twice."""
        if (source, target) in self.cuts or self.chance(self.weather.lost):
            return
        self.after(self.delay_s(), act)
        if self.chance(self.weather.doubled):
            self.after(self.delay_s(), act)

    def cut(self, link: tuple[str, str]) -> None:
        """Break one direction of a link."""
        self.cuts.add(link)

    def mend(self, link: tuple[str, str]) -> None:
        """Repair it: what was repeated all the time arrives now."""
        self.cuts.discard(link)
        for waiting in [each for each in self._waiting if each[0] == link]:
            self._waiting.remove(waiting)
            self.after(self.delay_s(), waiting[1])
