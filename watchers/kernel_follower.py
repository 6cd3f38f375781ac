"""Makes the kernel follow what is wanted: at once when that changes, and again when the kernel turns out different.

One convergence runs at a time. What is wanted meanwhile is taken up by the next one; only the floating addresses do not
wait, they come and go between the slices of a running one.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from clusterd.clock import boottime_s
from clusterd.errors import ApplyError
from clusterd.plane import (
    Address,
    AddressKey,
    Claimed,
    HostAddress,
    Item,
    Operation,
    Plane,
    Removed,
    Scope,
    SyncDaemonKey,
)
from clusterd.wishes import News
from watchers.guard import Guard
from watchers.holding import Holding, Taken
from watchers.kernel_writer import Convergence, Deadlines, KernelWriter
from watchers.logs import tagged
from watchers.problems import Problems
from watchers.status import kernel_problems
from watchers.tasks import Tasks

log = logging.getLogger("clusterd.router")

LOOK_S = 8.0  # the kernel is read back so often even when nothing happens
RETRY_S = 1.0  # after the kernel refused something
MOST_TOLD = 10  # operations in one event
MOST_LOGGED = 1000  # of one convergence: a line each takes time from the lease
LINGER_S = 3.0  # a connection is told to the others within two seconds (ip_vs_sync.c, IPVS_SYNC_FLUSH_TIME)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should exist: the plane, what of it is ours, each floating address's group, and the commit that wants it.

    `news` says what is other in it than before.
    """

    number: int
    plane: Plane
    scope: Scope
    groups: Mapping[AddressKey, str]
    news: News | None = None


@dataclass(slots=True)
class KernelFollower:
    """`wanted` tells what should exist, None while that is not known, and `until_s` until when a group may be held.

    `settled` is called after every convergence, `taken` after a group's addresses were announced, and `record` with
    the kind of what others did to the kernel and a sentence.
    """

    writer: KernelWriter
    wanted: Callable[[], Awaitable[Wanted | None]]
    until_s: Callable[[str], float]
    settled: Callable[[], None]
    taken: Callable[[Taken], None]
    record: Callable[[str, str], None]
    problems: Problems
    tasks: Tasks

    applied_number: int = 0  # the commit that the kernel was last seen to be
    converged: bool = False
    planned: tuple[int, float] = (0, 0.0)  # the last commit for which there was a plan, and since when
    sync_since_s: float | None = None  # since when connections of others are taken in
    _scope: Scope = field(default_factory=Scope)  # what was ours stays so until it was seen to be gone
    _changed: bool = False
    _look: bool = True
    _look_again_s: float = 0.0
    _converging: bool = False
    _round: int = 0  # grows when addresses are let go: a reading from before says nothing of what is left of them
    _seen: tuple[int, frozenset[AddressKey]] = (-1, frozenset())  # the last reading's round and floating addresses
    _groups: Mapping[AddressKey, str] = field(default_factory=dict)
    _holdings: dict[str, Holding] = field(default_factory=dict)
    _carried_until_s: float = 0.0
    _wish: Wanted | None = None  # what was wanted last: to look again costs less than to think again
    _reached: Plane | None = None  # what the kernel was last seen to be as wanted
    _hosts: tuple[HostAddress, ...] = ()
    _repairs: int = 0
    _guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        self._guard = Guard(self._held, self._put_back, self._announce, self.record, self.problems)

    def noticed(self, notices: Collection[Removed | Claimed]) -> None:
        """Take in what others did to addresses."""
        self._guard.noticed(notices, boottime_s())

    def listen(self, hosts: tuple[HostAddress, ...]) -> None:
        """Hear of claims to the held addresses, and what these hosts say."""
        self._hosts = hosts
        self.tasks.spawn(self.writer.listen(tuple(self._held()), hosts))

    @property
    def repairs(self) -> int:
        """How many operations there were because others had changed something."""
        return self._repairs + self._guard.repairs

    @property
    def carrying(self) -> bool:
        """Whether traffic goes through this router, or did a moment ago."""
        return self._carries or boottime_s() < self._carried_until_s

    def changed(self) -> None:
        """Say that something else is wanted now. It is asked for when it can be followed."""
        self._changed = True
        self._begin()

    def look(self) -> None:
        """Read the kernel again soon, whatever is known of it."""
        self._look = True
        self._begin()

    def tick(self) -> None:
        """Do what time asks for: read the kernel back, renew the addresses."""
        now_s = boottime_s()
        self._guard.tick(now_s)
        if 0 < self._carried_until_s <= now_s:
            self._carried_until_s = 0.0
            self._changed = self._look = True
            self._begin()
        if now_s >= self._look_again_s:
            self._look_again_s = now_s + LOOK_S
            self.look()
        for holding in self._holdings.values():
            holding.tick(now_s)

    async def renew(self) -> None:
        """Renew the lifetimes of all held addresses now."""
        for holding in tuple(self._holdings.values()):
            if holding.addresses:
                await holding.renew()

    def take_over(self, group: str, floating: tuple[Address, ...], first: Iterable[Item] = ()) -> None:
        """Add a group's floating addresses and announce them, ahead of everything else, unless that was done.

        `first` is what must be there when they come.
        """
        self._holding(group).take_over(floating, tuple(first))
        self.listen(self._hosts)

    def let_go(self, group: str, floating: tuple[Address, ...]) -> None:
        """Remove a group's floating addresses, ahead of everything else, and read the kernel back."""
        if self._carries:
            self._carried_until_s = boottime_s() + LINGER_S
        holding = self._holding(group)
        others = {address for each in self._holdings.values() if each is not holding for address in each.addresses}
        mine = dict.fromkeys((*holding.addresses, *floating))
        self._round += 1
        holding.let_go(tuple(address for address in mine if address not in others), self._round)
        self._look = True
        self.changed()

    def clear_of(self, group: str) -> bool:
        """Return whether a reading since they were let go showed no address that could be of this group."""
        read_in, present = self._seen
        others = {key for key, owner in self._groups.items() if owner != group}
        return read_in >= self._holding(group).let_go_in and not present - others

    def _held(self) -> Mapping[AddressKey, Address]:
        return {address.key: address for holding in self._holdings.values() for address in holding.addresses}

    def _put_back(self, gone: tuple[Address, ...]) -> None:
        there = {address.key for address in gone}
        for holding in self._holdings.values():
            if mine := tuple(address for address in holding.addresses if address.key in there):
                self.tasks.spawn(holding.put_back(mine))

    def _announce(self, claimed: tuple[Address, ...]) -> None:
        self.tasks.spawn(self.writer.announce(claimed))

    @property
    def _carries(self) -> bool:
        return any(holding.addresses for holding in self._holdings.values())

    def _holding(self, group: str) -> Holding:
        if group not in self._holdings:
            until_s = partial(self.until_s, group)
            self._holdings[group] = Holding(group, self.writer, until_s, self.taken, self.problems, self.tasks)
        return self._holdings[group]

    def _begin(self) -> None:
        if (self._changed or self._look) and not self._converging:
            self._converging = True
            self.tasks.spawn(self._go_on())

    async def _go_on(self) -> None:
        """Find out what is wanted, and make the kernel follow; where that is not known yet, later."""
        changed, look, begun = self._changed, self._look, self._round
        self._changed = self._look = False
        try:
            wanted = self._wish if self._wish and not changed else await self.wanted()
            if wanted:
                await self._converge(wanted, look, begun)
            else:
                self._changed, self._look = True, look
        finally:
            self._converging = False
        if wanted:
            self._begin()
            self.settled()

    async def _converge(self, wanted: Wanted, look: bool, begun: int) -> None:
        """Make the kernel that; `look` says to read it first, and `begun` in which round this began."""
        self._wish, self._groups = wanted, wanted.groups
        self._scope |= wanted.scope
        result: Convergence | None = None
        try:
            deadlines = Deadlines(self.until_s, wanted.groups)
            result = await self.writer.converge(wanted.plane, self._scope, deadlines, look, wanted.news)
            self.problems.about("kernel", *kernel_problems(result.failures, result.left))
        except ApplyError as error:
            self.problems.about("kernel", str(error))
        if result:
            if wanted.number != self.planned[0]:
                self.planned = (wanted.number, result.planned_s)
            self._tell(result.done, drifted=look and (wanted.plane is self._reached or wanted.plane == self._reached))
        self.converged = result is not None and result.converged
        if result is not None:
            self._seen = (begun, result.addresses)
            self._note_listening(wanted.plane, result.actual)
        if not self.converged:
            self._look_again_s = min(self._look_again_s, boottime_s() + RETRY_S)
        elif wanted.number != self.applied_number:
            log.info("commit %d is applied", wanted.number, extra=tagged("applied", commit=wanted.number))
            self.applied_number = wanted.number
        if self.converged:
            self._scope, self._reached = wanted.scope, wanted.plane

    def _tell(self, done: Sequence[Operation], drifted: bool) -> None:
        for operation in done[:MOST_LOGGED]:
            log.info("%s", operation, extra=tagged("operation"))
        if len(done) > MOST_LOGGED:
            log.info("and %d operations more", len(done) - MOST_LOGGED, extra=tagged("operation"))
        if done and drifted:
            self._repairs += len(done)
            more = f" and {len(done) - MOST_TOLD} more" if len(done) > MOST_TOLD else ""
            self.record("drift", f"changed by others, repaired: {', '.join(map(str, done[:MOST_TOLD]))}{more}")

    def _note_listening(self, wanted: Plane, actual: Plane) -> None:
        daemon = wanted.get(SyncDaemonKey("backup"))
        if daemon is None or actual.get(SyncDaemonKey("backup")) != daemon:
            self.sync_since_s = None
        elif self.sync_since_s is None:
            self.sync_since_s = boottime_s()
