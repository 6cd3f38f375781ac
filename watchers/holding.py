"""The floating addresses that this router holds for one group: added, announced, renewed with the lease, let go."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from clusterd.clock import boottime_s
from clusterd.errors import ApplyError
from clusterd.plane import Address, Item, Operation, Verb
from watchers.kernel_writer import KernelWriter
from watchers.logs import tagged
from watchers.problems import Problems
from watchers.renewal import Renewal
from watchers.tasks import Tasks

log = logging.getLogger("clusterd.router")

REFRESH_S = 60.0  # held addresses are announced so often although nothing happens
ANNOUNCE_S = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # after addresses came


@dataclass(frozen=True, slots=True)
class Taken:
    """A group's addresses are in the kernel and were announced, at these moments."""

    group: str
    added_s: float
    announced_s: float


@dataclass(slots=True)
class Holding:
    """What is held for `group`, and until when it may be. `taken` is told when new addresses were announced."""

    group: str
    writer: KernelWriter
    until_s: Callable[[], float]
    taken: Callable[[Taken], None]
    problems: Problems
    tasks: Tasks
    addresses: tuple[Address, ...] = ()
    let_go_in: int = 0  # the round in which they were let go last
    _renewing: bool = False
    _renewal: Renewal = field(default_factory=Renewal)

    def take_over(self, floating: tuple[Address, ...], first: tuple[Item, ...]) -> None:
        """Add these addresses, what must be there first before them, and announce them, unless that was done."""
        if floating != self.addresses:
            self.addresses = floating
            self.tasks.spawn(self._take_over(floating, (*first, *floating)))

    def let_go(self, floating: tuple[Address, ...], round_: int) -> None:
        """Remove these addresses; from this round on a reading of the kernel says whether they are gone."""
        self.addresses, self.let_go_in, self._renewal = (), round_, Renewal()
        self.tasks.spawn(self._write(Verb.DELETE, floating))

    def tick(self, now_s: float) -> None:
        """Renew the lifetimes when that is due."""
        if self.addresses and not self._renewing and self._renewal.due(self.until_s(), now_s):
            self._renewing = True
            self.tasks.spawn(self.renew())

    async def _take_over(self, floating: tuple[Address, ...], items: tuple[Item, ...]) -> None:
        began_s = boottime_s()
        await self._write(Verb.ADD, items)
        added_s = boottime_s()
        for after_s in ANNOUNCE_S:
            await asyncio.sleep(began_s + after_s - boottime_s())
            if self.addresses is not floating:
                return
            await self.writer.announce(floating)
            if not after_s:
                self.taken(Taken(self.group, added_s, boottime_s()))
        while floating:
            await asyncio.sleep(REFRESH_S)
            if self.addresses is not floating:
                return
            await self.writer.announce(floating)

    async def put_back(self, gone: tuple[Address, ...]) -> None:
        """Add some of the addresses again, and announce them."""
        await self._write(Verb.ADD, gone)
        await self.writer.announce(gone)

    async def _write(self, verb: Verb, items: tuple[Item, ...]) -> None:
        operations = [Operation(verb, item) for item in items]
        try:
            for failure in await self.writer.write(operations, self.until_s):
                log.warning("%s", failure, extra=tagged("kernel", group=self.group))
        except ApplyError as error:
            log.error("%s", error, extra=tagged("kernel", group=self.group))

    async def renew(self) -> None:
        """Renew the lifetimes now, whether that is due or not."""
        began_s, until_s = boottime_s(), self.until_s()
        where = "renewal" if self.group == "default" else f"renewal of group {self.group}"
        try:
            failures = await self.writer.renew(self.addresses, lambda: min(until_s, self.until_s()))
            self.problems.about(where, *map(str, failures))
            self._renewal.done(until_s, began_s, boottime_s())
        except ApplyError as error:
            self.problems.about(where, str(error))
        finally:
            self._renewing = False
