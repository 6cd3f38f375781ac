"""What clusterd asks of a store: etcd's guarantees, in the few verbs that are used.

Every write happens in a transaction at one revision; revisions only grow. A key lives until it is deleted or until
the lease it was put under ends. Times are seconds on CLOCK_BOOTTIME, which goes on while the machine sleeps.
No method waits for ever: each one answers, or raises one of the errors of `clusterd.errors` within the store's timeout.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value, and the revisions of etcd's data model (create_revision is a lock's fencing token)."""

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    lease_id: int = 0  # 0: not under a lease


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All keys of a range as they were at one revision, sorted by key."""

    revision: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Since:
    """The keys of a range that were written after some revision, sorted, and how many there are in all, at `revision`.

    So what is known of a large range can be told from what there is without reading what stayed as it was.
    """

    revision: int
    count: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Deleted:
    """A key that went away, by a delete or with its lease."""

    key: str
    mod_revision: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that changed in the watched range at one revision; several revisions never share a batch."""

    revision: int
    changes: tuple[Entry | Deleted, ...]


@dataclass(frozen=True, slots=True)
class Put:
    """Write a value, under a lease unless `lease_id` is 0."""

    key: str
    value: bytes
    lease_id: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove one key; no error where there is none."""

    key: str


@dataclass(frozen=True, slots=True)
class DeletePrefix:
    """Remove every key that begins with `prefix`."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Created:
    """Condition: the key's create revision is exactly this one; 0 means that the key does not exist."""

    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class Modified:
    """Condition: the key's mod revision is exactly this one; 0 means that the key does not exist."""

    key: str
    revision: int


Condition = Created | Modified
Operation = Put | Delete | DeletePrefix


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a transaction. Where `succeeded` is false nothing was written; `revision` is the store's then."""

    succeeded: bool
    revision: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as the last answer described it. It surely lives until `sent_s + ttl_s`, whatever happens.

    `sent_s` is when the answered request was *sent*, so the sum is never later than the store's own idea of the end.
    `ttl_s` is what was granted, which may be more than was asked; 0 says that the lease has ended.
    """

    lease_id: int
    ttl_s: float
    sent_s: float


class Store(Protocol):
    """A store of keys with revisions, leases and watches.

    Every method may raise StoreUnavailable (nothing was written) and StoreError (refused); the writing ones also
    Uncertain (the answer was lost).
    """

    async def get(self, key: str) -> Entry | None:
        """Return one key by a linearizable read, or None."""
        ...

    async def snapshot(self, *prefixes: str) -> Snapshot:
        """Return all keys under the prefixes, read at one revision (linearizable, paged inside)."""
        ...

    async def since(self, prefix: str, revision: int) -> Since:
        """Return the keys under the prefix with a mod revision after this one, and count all (linearizable, paged)."""
        ...

    async def transact(self, conditions: Sequence[Condition], operations: Sequence[Operation]) -> Outcome:
        """Do all operations at one revision if every condition holds, else nothing.

        Up to 4,000 operations and 1.4 MB go in one transaction. Naming a key twice is a ValueError, raised before
        anything is sent; too many or too large a transaction is a StoreError.
        """
        ...

    def watch(self, prefix: str, start_revision: int) -> AsyncGenerator[Batch, None]:
        """Yield every revision from `start_revision` on that changed a key under the prefix: whole, once, in order.

        Goes on for ever, through restarts and loss of members; raises Compacted when the start (or the point where it
        has to resume) is gone, StoreError where the range may not be read.
        """
        ...

    async def grant(self, ttl_s: int) -> Lease:
        """Make a new lease; etcd may grant more seconds than were asked."""
        ...

    async def refresh(self, lease_id: int) -> Lease:
        """Ask once that the lease lives on; the answer's `ttl_s` is 0 where it has ended already."""
        ...

    async def time_left_s(self, lease_id: int) -> float:
        """Return how long the lease lives if nobody refreshes it, in the store's own opinion; 0 where it has ended.

        For showing it to people: the answer has travelled, and etcd counts whole seconds.
        """
        ...

    async def revoke(self, lease_id: int) -> None:
        """End the lease and delete its keys; no error where it has ended already."""
        ...

    async def close(self) -> None:
        """Let go of connections. Leases stay."""
        ...
