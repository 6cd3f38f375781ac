"""Runs checks, thousands at a time, in one thread: one epoll(7) set of its own inside the event loop.

asyncio's own way, a task and a watcher for each check, costs more than twice the CPU.

What it takes is bounded, whatever the servers do:

- as many sockets as `most_open`; further checks wait for their turn, and their time counts from there,
- MOST_BYTES of an answer to one check, and MOST_HELD_BYTES of all answers to checks in progress. Once there is more,
  checks that have had more than their share end without a finding.
"""

import asyncio
import itertools
import select
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from clusterd.checks import dialogue, transport
from clusterd.checks.dialogue import Place, Through
from clusterd.health import Observation
from clusterd.model import Check, ExecCheck
from clusterd.probing.exchange import Done, Exchange
from clusterd.probing.programs import Programs

MOST_OPEN = 16384
MOST_HELD_BYTES = 64 * 2**20
SHARE_BYTES = 4096  # of an answer that a check may always have
HELD_UP_S = 0.5  # a timeout noticed that much too late says more about this process than about the server
BATCH = 256  # sockets looked at before the loop has its turn again


class Attempt(Protocol):
    """A check that waits for its turn, or is in progress, or has ended."""

    def cancel(self) -> None:
        """End it without a word. Harmless when it has ended."""


class Engine:
    """Begins checks and tells what each found out. To be made and used in one running loop."""

    def __init__(self, most_open: int = MOST_OPEN) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._most_open = most_open
        self._watched: dict[int, Exchange] = {}  # by descriptor
        self._waiting: deque[Exchange] = deque()
        self._open: set[Exchange] = set()
        self._beginning = False
        self._held_bytes = 0
        self._nonces = itertools.count(int(self._loop.time() * 1000))
        self._programs = Programs()
        self._loop.add_reader(self._epoll.fileno(), self.poll)

    @property
    def open(self) -> int:
        """Return how many checks have a socket now."""
        return len(self._open)

    @property
    def held_bytes(self) -> int:
        """Return how much has come to the checks in progress."""
        return self._held_bytes

    def check(
        self,
        address: str,
        port: int,
        check: Check,
        done: Done,
        through: Through | None = None,
        begun: Callable[[], None] | None = None,
    ) -> Attempt:
        """Check one real server once, and call `done` with what was found out: now or later, and only once.

        `begun` is called when it has waited for its turn.
        """
        place = Place(address, port, next(self._nonces) & 0xFFFFFFFF, time.time(), through)
        if isinstance(check, ExecCheck):
            return self._programs.check(place, check, done, begun)
        exchange = Exchange(self, place, dialogue(place, check), transport(check), check.timeout_s, done)
        exchange.begun = begun
        self._waiting.append(exchange)
        self._begin()
        return exchange

    def close(self) -> None:
        """End all checks, and give everything back."""
        self._waiting.clear()
        for exchange in list(self._open):
            exchange.cancel()
        self._programs.close()
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    async def ended(self) -> None:
        """Return when the programs that `close` killed are gone."""
        await self._programs.ended()

    def poll(self) -> None:
        """Go on with what has news."""
        for fileno, _ in self._epoll.poll(0, BATCH):
            exchange = self._watched.get(fileno)
            if exchange is not None:
                self._safely(exchange, exchange.ready)

    def opened(self, exchange: Exchange, fileno: int) -> None:
        """Watch a socket."""
        self._watched[fileno] = exchange
        self._epoll.register(fileno, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)

    def closed(self, fileno: int) -> None:
        """Forget a socket; the kernel forgets it by itself."""
        self._watched.pop(fileno, None)

    def came(self, exchange: Exchange, size: int) -> bool:
        """Count what came, and tell whether the exchange may have it."""
        self._held_bytes += size
        return self._held_bytes <= MOST_HELD_BYTES or exchange.came <= SHARE_BYTES

    def finished(self, exchange: Exchange, found: Observation | None) -> None:
        """Give back what an exchange had, and tell what it found out, unless it was cancelled."""
        if exchange.timer is not None:
            exchange.timer.cancel()
        self._held_bytes -= exchange.came
        self._open.discard(exchange)
        if found is not None:
            exchange.done(found)
        self._begin()

    def _begin(self) -> None:
        """Begin what waits, as far as there is room. Never inside itself: 10,000 may fail as soon as they begin."""
        if self._beginning:
            return
        self._beginning = True
        while self._waiting and len(self._open) < self._most_open:
            exchange = self._waiting.popleft()
            if not exchange.ended:
                self._open.add(exchange)
                deadline_s = self._loop.time() + exchange.timeout_s
                if exchange.begun is not None:
                    exchange.begun()
                exchange.timer = self._loop.call_at(deadline_s, self._late, exchange, deadline_s)
                self._safely(exchange, exchange.begin)
        self._beginning = False

    def _late(self, exchange: Exchange, deadline_s: float) -> None:
        late_s = self._loop.time() - deadline_s
        self.poll()  # what came in time, and only was not looked at, counts
        if exchange.ended:
            return
        if late_s > HELD_UP_S:
            exchange.finish(Observation(False, "the check was held up", conclusive=False))
        else:
            self._safely(exchange, exchange.late)

    def _safely(self, exchange: Exchange, go_on: Callable[[], None]) -> None:
        try:
            go_on()
        except Exception as error:  # noqa: BLE001 - a mistake in one kind of check must not end the checking
            exchange.finish(Observation(False, f"the check itself failed: {error!r}", conclusive=False))
