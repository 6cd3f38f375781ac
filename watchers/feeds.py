"""What the router hears from the store, as endless tasks: its lease, the lock, the commits. They decide nothing.

A watch only wakes: the truth is a linearizable read, which is made at the beginning, after every trouble and every
`RELIST_S` even when nothing seems to happen; of many keys it is enough that etcd still has what was told. Trouble of
the store is logged once until it is over.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from clusterd import configuration
from clusterd.clock import boottime_s
from clusterd.configuration import Committed
from clusterd.election import LeaseSeen, LockSeen, StoreReplaced
from clusterd.errors import ClusterdError, Compacted, ConfigError
from clusterd.keys import Keys
from clusterd.store.contract import Batch, Deleted, Lease, Snapshot, Store
from watchers.known_range import KnownRange
from watchers.lock import former, lock_seen
from watchers.logs import tagged

log = logging.getLogger("clusterd.router")

RELIST_S = 30.0
# Verdicts are looked at again more seldom where there are so many that reading them took a larger share of the time.
RELIST_SHARE, RELIST_MOST_S = 0.0005, 300.0
WHOLE_EVERY = 10  # looks: of many keys, all are read
RETRY_S = 0.25
SLICE = 1000  # keys


class Trouble:
    """Says that something does not work when it begins, and that it works again when it ends."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._last = ""

    def begins(self, error: Exception) -> None:
        """Log the error, unless it is the same as before."""
        if str(error) != self._last:
            log.warning("%s: %s", self._what, error, extra=tagged("trouble", about=self._what))
        self._last = str(error)

    def ends(self) -> None:
        """Log the end of trouble, if there was any."""
        if self._last:
            log.info("%s: works again", self._what, extra=tagged("trouble over", about=self._what))
        self._last = ""


async def lease(
    store: Store,
    timing: Callable[[], tuple[int, float]],
    put: Callable[[LeaseSeen], None],
    first: Lease | None = None,
    in_use: Callable[[], Collection[int]] = tuple,
) -> None:
    """Keep a lease: refresh it, and make a new one when it has ended. `first` is one to go on with.

    `timing` gives the wanted seconds of the lease and those between refreshes, as they are configured now. A lease
    cannot be changed: where one is to last longer or shorter, another one follows it, and both are kept until the
    first is not `in_use` any more. One that was asked for longer is told as if it lasted as configured.
    """
    asked = {first.lease_id: round(first.ttl_s)} if first else {}  # seconds, by lease
    trouble = Trouble("the lease")
    while True:
        ttl_s, every_s = timing()
        began_s = boottime_s()
        try:
            oldest = next(iter(asked), 0)
            if len(asked) > 1 and oldest not in in_use():
                del asked[oldest]
            for lease_id in reversed(tuple(asked)):  # one that follows first: it limits what is claimed under the other
                answer = await store.refresh(lease_id)
                lasts_s = min(answer.ttl_s, ttl_s) if asked[lease_id] > ttl_s else answer.ttl_s
                put(LeaseSeen(lease_id, lasts_s, answer.sent_s))
                if answer.ttl_s <= 0:
                    del asked[lease_id]
            if not asked or (len(asked) == 1 and ttl_s not in asked.values()):
                answer = await store.grant(ttl_s)
                put(LeaseSeen(answer.lease_id, answer.ttl_s, answer.sent_s, granted=True, follows=bool(asked)))
                asked[answer.lease_id] = ttl_s
            trouble.ends()
        except ClusterdError as error:
            trouble.begins(error)
            await asyncio.sleep(RETRY_S)
            continue
        due_s = began_s + min(every_s, *(seconds / 3 for seconds in asked.values()))
        await asyncio.sleep(due_s - boottime_s())  # what the answers took is not lost as well


async def ended(store: Store, lease_id: int) -> None:
    """End a lease with its keys, 0 is none; where etcd is away its time does."""
    try:
        if lease_id:
            await store.revoke(lease_id)
    except ClusterdError as error:
        log.warning("the lease ends by itself: %s", error, extra=tagged("trouble", about="the lease"))


@dataclass(frozen=True, slots=True)
class Locks:
    """The locks that were seen at a revision, by group. `whole` says that there are no others.

    `former` is who had them last, where that was read.
    """

    revision: int
    seen: Mapping[str, LockSeen]
    whole: bool = True
    former: Mapping[str, str] = field(default_factory=dict)

    def of(self, group: str) -> LockSeen | None:
        """Return a group's lock, or None where nothing is said about it."""
        free = LockSeen(self.revision, "", former=self.former.get(group, "")) if self.whole else None
        return self.seen.get(group, free)


async def read_locks(store: Store, keys: Keys) -> Locks:
    """Return all locks by a linearizable read. Raises the store's errors."""
    snapshot = await store.snapshot(keys.active_prefix, keys.last_prefix)
    seen, before = {}, {}
    for entry in snapshot.entries:
        if entry.key.startswith(keys.active_prefix):
            seen[entry.key.removeprefix(keys.active_prefix)] = lock_seen(snapshot.revision, entry)
        else:
            before[entry.key.removeprefix(keys.last_prefix)] = former(entry.value).router
    return Locks(snapshot.revision, seen, former=before)


async def locks(store: Store, keys: Keys, put: Callable[[Locks | StoreReplaced], None]) -> None:
    """Tell whose the locks are, at every change."""
    prefix, highest = keys.active_prefix, 0

    async def listed(snapshot: Snapshot) -> None:
        nonlocal highest
        if snapshot.revision < highest:
            about = tagged("store replaced", revision=snapshot.revision, was=highest)
            told = "etcd is at revision %d and was at %d: it was restored or replaced"
            log.error(told, snapshot.revision, highest, extra=about)
            put(StoreReplaced())
        highest = snapshot.revision
        put(await read_locks(store, keys))

    async def changed(batch: Batch) -> None:
        nonlocal highest
        highest = max(highest, batch.revision)
        seen = {
            change.key.removeprefix(prefix): lock_seen(batch.revision, None if isinstance(change, Deleted) else change)
            for change in batch.changes
        }
        put(Locks(batch.revision, seen, whole=False))

    await follow(store, prefix, listed, changed)


async def values(store: Store, prefix: str, put: Callable[[Mapping[str, bytes]], None]) -> None:
    """Tell all that stands below a prefix, by name, at every change."""
    there: dict[str, bytes] = {}

    async def listed(snapshot: Snapshot) -> None:
        there.clear()
        there.update({entry.key.removeprefix(prefix): entry.value for entry in snapshot.entries})
        put(dict(there))

    async def changed(batch: Batch) -> None:
        for change in batch.changes:
            name = change.key.removeprefix(prefix)
            if isinstance(change, Deleted):
                there.pop(name, None)
            else:
                there[name] = change.value
        put(dict(there))

    await follow(store, prefix, listed, changed)


async def changes(store: Store, prefix: str, put: Callable[[Mapping[str, bytes | None], bool], None]) -> None:
    """Tell what changes below a prefix, by name, None: it went; and at times all that there is, which `True` says.

    All that there is comes in slices before, so that there may be much of it and no lease waits.
    """

    async def listed(snapshot: Snapshot) -> None:
        everything: dict[str, bytes | None] = {e.key.removeprefix(prefix): e.value for e in snapshot.entries}
        names = list(everything)
        for start in range(0, len(names), SLICE):
            put({name: everything[name] for name in names[start : start + SLICE]}, False)
            await asyncio.sleep(0)
        put(everything, True)

    async def changed(batch: Batch) -> None:
        put({e.key.removeprefix(prefix): None if isinstance(e, Deleted) else e.value for e in batch.changes}, False)

    await follow(store, prefix, listed, changed, many=True)


async def commits(store: Store, keys: Keys, put: Callable[[Committed | ConfigError | None], None]) -> None:
    """Tell what is committed, at every commit; None where there is nothing, an error where it cannot be read."""

    known: Committed | None = None

    async def told(reading: Awaitable[Committed | None]) -> None:
        nonlocal known
        try:
            known = await reading
            put(known)
        except ConfigError as error:
            put(error)

    await follow(
        store,
        keys.head,
        lambda _: told(configuration.read(store, keys, known, compact=True)),
        lambda _: told(configuration.read_on(store, keys, known, compact=True)),
    )


def relist_s(took_s: float, many: bool) -> float:
    """Return after how long to look again at what took so long to read."""
    return max(RELIST_S, min(took_s / RELIST_SHARE, RELIST_MOST_S if many else RELIST_S))


async def follow(
    store: Store,
    prefix: str,
    listed: Callable[[Snapshot], Awaitable[None]],
    changed: Callable[[Batch], Awaitable[None]],
    *,
    many: bool = False,
) -> None:
    """Read everything under a prefix, then tell each change; read it again now and then and after every trouble.

    Where there may be `many` keys, most times they are read again only if etcd has something else than what was told.
    """
    trouble = Trouble(f"watching {prefix}")
    known: KnownRange | None = None
    looks, again_s = 0, RELIST_S
    while True:
        try:
            if not (many and known and looks < WHOLE_EVERY and await _looked(store, prefix, known, changed)):
                began_s = boottime_s()
                snapshot = await store.snapshot(prefix)
                await listed(snapshot)
                known, looks = KnownRange(snapshot), 0
                del snapshot  # it may be large, and is not needed until the next one
                again_s = relist_s(boottime_s() - began_s, many)
            looks += 1
            trouble.ends()
            watch = store.watch(prefix, known.revision + 1)
            async with asyncio.timeout(again_s), aclosing(watch) as batches:
                async for batch in batches:
                    await changed(batch)
                    known.take(batch)
        except TimeoutError:
            continue  # time to look again
        except Compacted:
            known = None
        except ClusterdError as error:
            known = None
            trouble.begins(error)
            await asyncio.sleep(RETRY_S)


async def _looked(store: Store, prefix: str, known: KnownRange, changed: Callable[[Batch], Awaitable[None]]) -> bool:
    """Tell what was written since the watch ended, and return whether etcd has what was told then."""
    since = await store.since(prefix, known.before)
    if late := known.late(since):
        await changed(late)
        known.take(late)
    return known.still(since)
