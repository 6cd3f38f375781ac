"""The store in this process's memory: the same contract and the same rules as etcd's, for tests and rehearsals.

`MemoryStore()` is a connection to data of its own; `store.connect()` is another connection to the same data, as
another host would have it. Each connection has its own troubles (`down`, `answers_lost`). The time is a function given.
"""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field

from clusterd.clock import boottime_s
from clusterd.errors import Compacted, StoreError, StoreUnavailable, Uncertain
from clusterd.store.contract import (
    Batch,
    Condition,
    Created,
    Delete,
    Deleted,
    DeletePrefix,
    Entry,
    Lease,
    Operation,
    Outcome,
    Put,
    Since,
    Snapshot,
)
from clusterd.store.transaction import disjoint, groups, size_bytes

SHORTEST_TTL_S = 2  # of an etcd with its default election timeout
LARGEST_REQUEST_BYTES = 1536 * 1024  # etcd's default for --max-request-bytes


@dataclass(slots=True)
class _Term:
    """A lease: what was granted, and when it ends."""

    ttl_s: int
    end_s: float


@dataclass(slots=True)
class _Data:
    """What etcd would hold. Batches of the history are those of the revisions from `compacted` on that wrote."""

    now_s: Callable[[], float]
    revision: int = 1
    compacted: int = 0
    last_lease_id: int = 0
    entries: dict[str, Entry] = field(default_factory=dict)
    terms: dict[int, _Term] = field(default_factory=dict)
    history: list[Batch] = field(default_factory=list)
    watchers: set[asyncio.Event] = field(default_factory=set)

    def wake(self) -> None:
        for watcher in self.watchers:
            watcher.set()

    def write(self, operations: Sequence[Operation]) -> None:
        """Do all operations at one new revision; where they change nothing, there is none."""
        changes: list[Entry | Deleted] = []
        for operation in operations:
            if isinstance(operation, Put):
                changes.append(self._put(operation))
            else:
                changes += self._delete(operation)
        if changes:
            self.revision += 1
            self.history.append(Batch(self.revision, tuple(changes)))
            self.wake()

    def _put(self, operation: Put) -> Entry:
        old = self.entries.get(operation.key)
        created = old.create_revision if old else self.revision + 1
        entry = Entry(operation.key, operation.value, created, self.revision + 1, operation.lease_id)
        self.entries[operation.key] = entry
        return entry

    def _delete(self, operation: Delete | DeletePrefix) -> list[Deleted]:
        if isinstance(operation, Delete):
            keys = [operation.key] if operation.key in self.entries else []
        else:
            keys = sorted(key for key in self.entries if key.startswith(operation.prefix))
        for key in keys:
            del self.entries[key]
        return [Deleted(key, self.revision + 1) for key in keys]

    def end(self, lease_id: int) -> None:
        """Take a lease away, and its keys at one revision."""
        del self.terms[lease_id]
        self.write([Delete(key) for key in sorted(self.entries) if self.entries[key].lease_id == lease_id])

    def expire(self) -> None:
        """Take away the leases whose time is over."""
        now_s = self.now_s()
        for lease_id in [lease_id for lease_id, term in self.terms.items() if term.end_s <= now_s]:
            self.end(lease_id)

    def below(self, prefixes: tuple[str, ...]) -> tuple[Entry, ...]:
        return tuple(self.entries[key] for key in sorted(self.entries) if key.startswith(prefixes))

    def holds(self, condition: Condition) -> bool:
        entry = self.entries.get(condition.key)
        if entry is None:
            return condition.revision == 0
        actual = entry.create_revision if isinstance(condition, Created) else entry.mod_revision
        return actual == condition.revision


class MemoryStore:
    """A `Store` in memory; see `clusterd.store.contract.Store` for what each method promises.

    While `down` is true every call raises StoreUnavailable and watches are silent; what they missed comes afterwards.
    While `answers_lost` is true writes are done, and raise Uncertain.
    """

    def __init__(self, now_s: Callable[[], float] = boottime_s) -> None:
        self._data = _Data(now_s)
        self._down = False
        self.answers_lost = False

    def connect(self) -> "MemoryStore":
        """Return another connection to the same data, with troubles of its own."""
        other = MemoryStore(self._data.now_s)
        other._data = self._data
        return other

    @property
    def down(self) -> bool:
        """Whether this connection reaches the data."""
        return self._down

    @down.setter
    def down(self, value: bool) -> None:
        self._down = value
        self._data.wake()

    def expire(self) -> None:
        """End the leases whose time is over now, rather than at the next call."""
        self._data.expire()

    def compact(self, revision: int) -> None:
        """Forget what happened before a revision; StoreError where that is done already, or yet to come."""
        if not self._data.compacted < revision <= self._data.revision:
            raise StoreError(f"cannot compact revision {revision}: it is gone already, or yet to come")
        self._data.compacted = revision
        self._data.history = [batch for batch in self._data.history if batch.revision >= revision]
        self._data.wake()

    def _reach(self) -> _Data:
        if self._down:
            raise StoreUnavailable("the store in memory is down")
        self._data.expire()
        return self._data

    def _answer(self) -> None:
        if self.answers_lost:
            raise Uncertain("the answer of the store in memory was lost: look up whether the write was done")

    async def get(self, key: str) -> Entry | None:
        """Return one key, or None."""
        return self._reach().entries.get(key)

    async def snapshot(self, *prefixes: str) -> Snapshot:
        """Return all keys under the prefixes."""
        data = self._reach()
        return Snapshot(data.revision, data.below(disjoint(prefixes)))

    async def since(self, prefix: str, revision: int) -> Since:
        """Return the keys under the prefix that were written after a revision, and count all."""
        data = self._reach()
        found = data.below((prefix,))
        return Since(data.revision, len(found), tuple(entry for entry in found if entry.mod_revision > revision))

    async def transact(self, conditions: Sequence[Condition], operations: Sequence[Operation]) -> Outcome:
        """Do all operations at one revision if every condition holds, else nothing."""
        groups(conditions, operations)
        if size_bytes(operations) > LARGEST_REQUEST_BYTES:
            raise StoreError("the transaction is too large: split the change")
        data = self._reach()
        succeeded = all(data.holds(condition) for condition in conditions)
        if succeeded:
            for operation in operations:
                if isinstance(operation, Put) and operation.lease_id and operation.lease_id not in data.terms:
                    raise StoreError(f"there is no lease {operation.lease_id}: it has ended, so make a new one")
            data.write(operations)
        self._answer()
        return Outcome(succeeded, data.revision)

    def watch(self, prefix: str, start_revision: int) -> AsyncGenerator[Batch, None]:
        """Yield every revision from `start_revision` on that changed a key under the prefix, for ever."""
        if start_revision < 1:
            raise ValueError(f"a watch starts at revision 1 or later, not at {start_revision}")
        return self._batches(prefix, start_revision)

    async def _batches(self, prefix: str, next_revision: int) -> AsyncGenerator[Batch, None]:
        woken = asyncio.Event()
        self._data.watchers.add(woken)
        try:
            while True:
                woken.clear()
                if not self._down and next_revision < self._data.compacted:
                    raise Compacted(self._data.compacted)
                history = self._data.history
                place = bisect_left(history, next_revision, key=lambda batch: batch.revision)
                if self._down or place == len(history):
                    await woken.wait()
                    continue
                news = history[place]
                next_revision = news.revision + 1
                changes = tuple(change for change in news.changes if change.key.startswith(prefix))
                if changes:
                    yield Batch(news.revision, changes)
        finally:
            self._data.watchers.discard(woken)

    async def grant(self, ttl_s: int) -> Lease:
        """Make a new lease, of two seconds at least."""
        data = self._reach()
        data.last_lease_id += 1
        term = _Term(max(ttl_s, SHORTEST_TTL_S), 0.0)
        data.terms[data.last_lease_id] = term
        return self._renewed(data.last_lease_id)

    async def refresh(self, lease_id: int) -> Lease:
        """Let the lease live its whole time from now on; `ttl_s` is 0 where it has ended."""
        if lease_id not in self._reach().terms:
            return Lease(lease_id, 0, self._data.now_s())
        return self._renewed(lease_id)

    def _renewed(self, lease_id: int) -> Lease:
        term, sent_s = self._data.terms[lease_id], self._data.now_s()
        term.end_s = sent_s + term.ttl_s
        return Lease(lease_id, term.ttl_s, sent_s)

    async def time_left_s(self, lease_id: int) -> float:
        """Return how long the lease lives if nobody refreshes it; 0 where it has ended."""
        term = self._reach().terms.get(lease_id)
        return term.end_s - self._data.now_s() if term else 0.0

    async def revoke(self, lease_id: int) -> None:
        """End the lease and delete its keys; no error where it has ended already."""
        data = self._reach()
        if lease_id in data.terms:
            data.end(lease_id)
        self._answer()

    async def close(self) -> None:
        """Nothing to let go of. Leases stay."""
