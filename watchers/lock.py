"""The active-router lock in etcd: taken by creating its key under a lease, given away by deleting exactly that key."""

import logging
from dataclasses import dataclass

from clusterd.election import ClaimFailed, LockSeen
from clusterd.errors import ClusterdError
from clusterd.store.contract import Created, Delete, Entry, Put, Store

log = logging.getLogger("clusterd.router")


def lock_seen(revision: int, entry: Entry | None) -> LockSeen:
    """Return the lock's state at a revision as an event."""
    if entry is None:
        return LockSeen(revision, "")
    return LockSeen(revision, entry.value.decode(errors="replace"), entry.create_revision, entry.lease_id)


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock at `key`, as the router `me` uses it."""

    store: Store
    key: str
    me: str

    async def read(self) -> LockSeen:
        """Return whose it is, by a linearizable read. Raises the store's errors."""
        snapshot = await self.store.snapshot(self.key)
        held = [entry for entry in snapshot.entries if entry.key == self.key]
        return lock_seen(snapshot.revision, held[0] if held else None)

    async def claim(self, lease_id: int) -> tuple[LockSeen | ClaimFailed, ...]:
        """Take it if nobody has it; return what the election has to know. A lost answer is looked up by its watch."""
        try:
            outcome = await self.store.transact([Created(self.key, 0)], [Put(self.key, self.me.encode(), lease_id)])
            if outcome.succeeded:
                return (LockSeen(outcome.revision, self.me, outcome.revision, lease_id),)
            return await self.read(), ClaimFailed()
        except ClusterdError as error:
            log.warning("claiming the lock: %s", error)
            return (ClaimFailed(),)

    async def give_away(self, token: int) -> None:
        """Delete it, if it still is the one of this token. Raises the store's errors."""
        await self.store.transact([Created(self.key, token)], [Delete(self.key)])
