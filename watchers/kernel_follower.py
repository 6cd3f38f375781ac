"""Makes the kernel follow what is wanted: at once when that changes, and again when the kernel turns out different.

One convergence runs at a time. What is wanted meanwhile is taken up by the next one; only the floating addresses do not
wait, they come and go between the slices of a running one.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from clusterd.clock import boottime_s
from clusterd.errors import ApplyError
from clusterd.plane import Address, Item, Operation, Plane, Scope, SyncDaemonKey, Verb
from watchers.kernel_writer import Convergence, KernelWriter, addresses
from watchers.problems import Problems
from watchers.renewal import Renewal
from watchers.status import kernel_problems
from watchers.tasks import Tasks

log = logging.getLogger("clusterd.router")

LOOK_S = 30.0  # the kernel is read back so often even when nothing happens
RETRY_S = 1.0  # after the kernel refused something
LINGER_S = 3.0  # a connection is told to the others within two seconds (ip_vs_sync.c, IPVS_SYNC_FLUSH_TIME)
ANNOUNCE_S = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # after addresses came


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should exist: the plane, what of it is ours, and the commit that wants it."""

    number: int
    plane: Plane
    scope: Scope


@dataclass(slots=True)
class KernelFollower:
    """`wanted` tells what should exist, None while that is not known, and `until_s` until when addresses may be held.

    `settled` is called after every convergence.
    """

    writer: KernelWriter
    wanted: Callable[[], Wanted | None]
    until_s: Callable[[], float]
    settled: Callable[[], None]
    problems: Problems
    tasks: Tasks

    applied_number: int = 0  # the commit that the kernel was last seen to be
    converged: bool = False
    without_addresses: bool = False  # the last reading showed none of ours
    sync_since_s: float | None = None  # since when connections of others are taken in
    _scope: Scope = field(default_factory=Scope)  # what was ours stays so until it was seen to be gone
    _changed: bool = False
    _look: bool = True
    _look_again_s: float = 0.0
    _converging: bool = False
    _round: int = 0  # grows when addresses are let go: a reading from before says nothing of what is left of them
    _holding: tuple[Address, ...] = ()
    _carried_until_s: float = 0.0
    _renewing: bool = False
    _renewal: Renewal = field(default_factory=Renewal)

    @property
    def carrying(self) -> bool:
        """Whether traffic goes through this router, or did a moment ago."""
        return bool(self._holding) or boottime_s() < self._carried_until_s

    def changed(self) -> None:
        """Say that something else is wanted now. It is asked for when it can be followed."""
        self._changed = True
        self._begin()

    def look(self) -> None:
        """Read the kernel again soon, whatever is known of it."""
        self._look = self._changed = True
        self._begin()

    def tick(self) -> None:
        """Do what time asks for: read the kernel back, renew the addresses."""
        now_s = boottime_s()
        if now_s >= self._look_again_s:
            self._look_again_s = now_s + LOOK_S
            self.look()
        if self._holding and not self._renewing and self._renewal.due(self.until_s(), now_s):
            self._renewing = True
            self.tasks.spawn(self._renew())

    def take_over(self, floating: tuple[Address, ...], first: Iterable[Item] = ()) -> None:
        """Add the floating addresses and announce them, ahead of everything else, unless that was done already.

        `first` is what must be there when they come.
        """
        if floating == self._holding:
            return
        self._holding = floating
        self.tasks.spawn(self._take_over(floating, (*first, *floating)))

    def let_go(self, floating: tuple[Address, ...]) -> None:
        """Remove the floating addresses, ahead of everything else."""
        if self._holding:
            self._carried_until_s = boottime_s() + LINGER_S
            self._look_again_s = min(self._look_again_s, self._carried_until_s)
        self._holding = ()
        self._round, self.without_addresses = self._round + 1, False
        self._renewal = Renewal()
        self.tasks.spawn(self._write(Verb.DELETE, floating))

    def _begin(self) -> None:
        if not self._changed or self._converging:
            return
        wanted = self.wanted()
        if wanted:
            self._changed, self._converging = False, True
            self._scope |= wanted.scope
            self.tasks.spawn(self._converge(wanted))

    async def _converge(self, wanted: Wanted) -> None:
        look, self._look, begun = self._look, False, self._round
        result: Convergence | None = None
        try:
            result = await self.writer.converge(wanted.plane, self._scope, self.until_s, look)
            self.problems.about("kernel", *kernel_problems(result.failures, result.left))
        except ApplyError as error:
            self.problems.about("kernel", str(error))
        finally:
            self._converging = False
        for operation in result.done if result else ():
            log.info("%s", operation)
        self.converged = result is not None and result.converged
        self.without_addresses = result is not None and not addresses(result.actual) and begun == self._round
        if result:
            self._note_listening(wanted.plane, result.actual)
        if not self.converged:
            self._look_again_s = min(self._look_again_s, boottime_s() + RETRY_S)
        elif wanted.number != self.applied_number:
            log.info("commit %d is applied", wanted.number)
            self.applied_number = wanted.number
        if self.converged:
            self._scope = wanted.scope
        self._begin()
        self.settled()

    def _note_listening(self, wanted: Plane, actual: Plane) -> None:
        daemon = wanted.get(SyncDaemonKey("backup"))
        if daemon is None or actual.get(SyncDaemonKey("backup")) != daemon:
            self.sync_since_s = None
        elif self.sync_since_s is None:
            self.sync_since_s = boottime_s()

    async def _take_over(self, floating: tuple[Address, ...], items: tuple[Item, ...]) -> None:
        began_s = boottime_s()
        await self._write(Verb.ADD, items)
        for after_s in ANNOUNCE_S:
            await asyncio.sleep(began_s + after_s - boottime_s())
            if self._holding != floating:
                return
            await self.writer.announce(floating)

    async def _write(self, verb: Verb, items: Iterable[Item]) -> None:
        try:
            for failure in await self.writer.write([Operation(verb, item) for item in items], self.until_s):
                log.warning("%s", failure)
        except ApplyError as error:
            log.error("%s", error)

    async def _renew(self) -> None:
        began_s, until_s = boottime_s(), self.until_s()
        try:
            failures = await self.writer.renew(self._holding, lambda: min(until_s, self.until_s()))
            self.problems.about("renewal", *map(str, failures))
            self._renewal.done(until_s, began_s, boottime_s())
        except ApplyError as error:
            self.problems.about("renewal", str(error))
        finally:
            self._renewing = False
