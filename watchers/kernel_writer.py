"""The one writer to the kernel: every call of the data plane runs in one thread, one after the other.

Long work goes in slices, so that the addresses' lifetimes are renewed in between.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from typing import TypeVar

from clusterd.clock import boottime_s
from clusterd.counters import Counters
from clusterd.dataplane.contract import DataPlane
from clusterd.errors import ApplyError
from clusterd.plan import plan
from clusterd.plane import (
    Address,
    AddressKey,
    DestinationKey,
    Failure,
    HostAddress,
    Item,
    Key,
    MarkKey,
    Notice,
    Operation,
    Plane,
    Scope,
    ServiceKey,
    Sysctl,
    applied,
)
from clusterd.wishes import News
from watchers.turns import computed

Counting = Callable[[Scope], Mapping[Key, Counters]]
SLICE = 500  # operations between two chances for others
FEW = 500  # keys whose plan takes no time that anybody notices
AT_ONCE = 50  # services that are read back between them
TOLD_AT_ONCE = 250  # addresses that are announced between them
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Convergence:
    """What one attempt to make the kernel what it should be did. `left` is what still differs, by a read-back."""

    done: tuple[Operation, ...]
    failures: tuple[Failure, ...]
    left: tuple[Operation, ...]
    actual: Plane
    planned_s: float
    addresses: frozenset[AddressKey]  # those of the plane

    @property
    def converged(self) -> bool:
        """Whether the kernel now is what it should be."""
        return not self.failures and not self.left


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Which group a floating address is of, and until when this router may have the addresses of a group."""

    until_s: Callable[[str], float]
    groups: Mapping[AddressKey, str]

    def group(self, operation: Operation) -> str:
        """Return the group of an operation, "" for what is no floating address of ours."""
        item = operation.item
        return self.groups.get(item.key, "") if isinstance(item, Address) else ""

    def of(self, operation: Operation) -> float:
        """Return until when what an operation brings may stay."""
        return self.until_s(self.group(operation))


class KernelWriter:
    """Runs a data plane in a thread of its own. `make` is called in that thread.

    `keep` is told, in that thread, which kernel settings are about to change, and what they are until then. `counters`
    reads what IPVS counted, on a socket of its own. `dry_run` says that what is written has no effect on this host.
    """

    def __init__(
        self,
        make: Callable[[], DataPlane],
        keep: Callable[[Sequence[Sysctl]], None] | None = None,
        counters: Counting = lambda _: {},
        dry_run: bool = False,
    ) -> None:
        self.dry_run = dry_run
        self._keep, self._counters = keep, counters
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kernel")
        self._make = make
        self._plane: DataPlane | None = None
        self._reading = asyncio.Lock()  # one after the other: the steps of a reading build on each other
        self._known: tuple[Scope, Plane] | None = None
        self._settled: tuple[Plane | None, Plane] = (None, {})  # what was wanted and found when nothing was to be done
        self._present: tuple[Plane, frozenset[AddressKey]] = ({}, frozenset())  # the addresses of a plane
        self.operations = self.failed = 0  # since the start
        self.counted: tuple[float, Mapping[Key, Counters]] | None = None  # when, and what

    async def open(self) -> None:
        """Open the data plane. Raises ApplyError where there is none."""
        self._plane = await self._run(self._make)

    def hear(self, heard: Callable[[Sequence[Notice]], None]) -> None:
        """Call `heard` with everything that others do to addresses, from now until `close`."""
        plane, loop = self._opened, asyncio.get_running_loop()

        def readable() -> None:
            heard(plane.notices())

        for source in plane.sources():
            loop.add_reader(source, readable)

    async def close(self) -> None:
        """Let go of the data plane; what it wrote stays."""
        if self._plane:
            for source in self._plane.sources():
                asyncio.get_running_loop().remove_reader(source)
            await self._run(self._plane.close)
        self._thread.shutdown()

    async def read(self, scope: Scope) -> Plane:
        """Read the kernel. Raises ApplyError."""
        async with self._reading:
            steps = self._opened.reading(scope)
            actual: Plane | None = None
            while actual is None:
                actual = await self._run(lambda: next(steps))
            self._known = (scope, actual)
            return actual

    async def count(self, scope: Scope) -> Mapping[Key, Counters]:
        """Return what IPVS counted of what is ours, and keep it; nothing, where that cannot be read."""
        try:
            found = await asyncio.to_thread(self._counters, scope)
        except (ApplyError, OSError):
            return {}
        self.counted = (boottime_s(), found)
        return found

    async def converge(
        self, wanted: Plane, scope: Scope, deadlines: Deadlines, look: bool, news: News | None = None
    ) -> Convergence:
        """Make the kernel what is wanted within the scope. Raises ApplyError.

        `look` says to read the kernel first instead of trusting the last reading. Whatever was written is read back.
        Where the kernel was seen to be as was wanted before, `news` saves looking at what is wanted still.
        """
        known = self._known
        fresh = known is not None and known[0] == scope and not look
        actual = known[1] if known and fresh else await self.read(scope)
        before, found = self._settled
        alike = actual is found or actual == found
        actual = found if alike else actual
        self._known = (scope, actual)  # and what is written while there is a plan made
        keys = news.keys if news and news.since is before and alike else None
        operations = () if wanted is before and alike else await _planned(actual, wanted, keys)
        planned_s = boottime_s()
        if not operations:
            self._settled = (wanted, actual)
            return Convergence((), (), (), actual, planned_s, self._addresses(actual))
        self._known = None
        await self._keep_settings(operations, actual)
        failures: list[Failure] = []
        for start in range(0, len(operations), SLICE):
            for _, run in groupby(operations[start : start + SLICE], deadlines.group):
                one_group = tuple(run)
                failures += await self._apply(one_group, partial(deadlines.of, one_group[0]))
        there = await self._review(operations)
        after = _reviewed(actual, operations, there, keys)
        if not any(isinstance(operation.item, Address) for operation in operations):
            self._present = (after, self._addresses(actual))
        keys = keys and keys.union(there)
        left = await _planned(after, wanted, keys)
        self._known = (scope, after)
        self._settled = (None, {}) if left or failures else (wanted, after)
        return Convergence(operations, tuple(failures), left, after, planned_s, self._addresses(after))

    def _addresses(self, actual: Plane) -> frozenset[AddressKey]:
        """Return the floating addresses of a plane; they are looked for once."""
        if self._present[0] is not actual:
            self._present = (actual, frozenset(key for key in actual if isinstance(key, AddressKey)))
        return self._present[1]

    async def _review(self, operations: Sequence[Operation]) -> dict[Key, Item]:
        """Read what these operations were about: services with all that is behind them."""
        touched = {_read_with(operation.item.key) for operation in operations}
        services = {key for key in touched if isinstance(key, ServiceKey | MarkKey)}
        others = touched - services  # the kernel lists all of a kind whoever asks for one: they are asked for once
        there = dict(await self._run(partial(self._opened.review, others))) if others else {}
        rest = iter(services)
        while some := tuple(islice(rest, AT_ONCE)):
            there |= await self._run(partial(self._opened.review, some))
        return there

    async def _keep_settings(self, operations: Sequence[Operation], actual: Plane) -> None:
        before = [actual.get(operation.item.key) for operation in operations]
        changing = [item for item in before if isinstance(item, Sysctl)]
        if self._keep and changing:
            await self._run(partial(self._keep, changing))

    async def _apply(self, operations: Sequence[Operation], until_s: Callable[[], float]) -> tuple[Failure, ...]:
        failures = await self._run(lambda: self._opened.apply(operations, until_s()))
        self.operations, self.failed = self.operations + len(operations), self.failed + len(failures)
        return failures

    async def write(self, operations: Sequence[Operation], until_s: Callable[[], float]) -> tuple[Failure, ...]:
        """Carry out a few operations at once, between the slices of a longer work. Raises ApplyError."""
        failures = await self._apply(operations, until_s)
        if self._known:
            scope, actual = self._known
            self._known = None if failures else (scope, applied(actual, *operations))
        return failures

    async def renew(self, addresses: Iterable[Address], until_s: Callable[[], float]) -> tuple[Failure, ...]:
        """Let addresses live on. Raises ApplyError."""
        return await self._run(lambda: self._opened.renew(addresses, until_s()))

    async def listen(self, keys: Iterable[AddressKey], hosts: Iterable[HostAddress]) -> None:
        """Heed other hosts' claims to these addresses and what these hosts say, and no others."""
        await self._run(lambda: self._opened.listen(keys, hosts))

    async def ask(self, hosts: Iterable[HostAddress]) -> None:
        """Ask neighbours whether they are there."""
        await self._run(lambda: self._opened.ask(hosts))

    def without_carrier(self, interfaces: Iterable[str]) -> frozenset[str]:
        """Return those of the interfaces that cannot carry anything; it takes no time."""
        return self._opened.without_carrier(interfaces)

    async def announce(self, addresses: Iterable[Address]) -> None:
        """Tell the neighbours that the addresses are here, some at a time: to send two frames of each takes a while."""
        rest = iter(addresses)
        while some := tuple(islice(rest, TOLD_AT_ONCE)):
            await self._run(partial(self._opened.announce, some))

    @property
    def _opened(self) -> DataPlane:
        assert self._plane is not None  # noqa: S101 - open() comes first
        return self._plane

    async def _run(self, call: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


async def _planned(actual: Plane, wanted: Plane, keys: frozenset[Key] | None) -> tuple[Operation, ...]:
    """Plan what a change of some keys asks for at once, and a whole plane while the event loop goes on."""
    much = keys is None or len(keys) > FEW
    return await computed(much, lambda: plan(only(actual, keys), only(wanted, keys)))


def only(plane: Plane, keys: frozenset[Key] | None) -> Plane:
    """Return what a plane has of these keys, all of it where there are none."""
    return plane if keys is None else {key: plane[key] for key in keys if key in plane}


def _read_with(key: Key) -> Key:
    """Return what is read to know of a key: a destination's service."""
    return key.service if isinstance(key, DestinationKey) else key


def _reviewed(
    actual: Plane, operations: Sequence[Operation], there: Plane, keys: frozenset[Key] | None
) -> dict[Key, Item]:
    """Return what exists after operations: of what they were about what is there, of the rest what was known.

    `keys`, unless it is None, has everything that was known to be behind the services that they were about.
    """
    touched = {_read_with(operation.item.key) for operation in operations}
    after = dict(actual)
    for key in actual if keys is None else keys:
        if _read_with(key) in touched:
            after.pop(key, None)
    after.update(there)
    return after
