"""A group's lock in etcd: taken by creating its key under a lease, given away by deleting exactly that key.

Beside it stands who had the lock last, which the lock itself does not outlive: written by each new holder, and again
by one that gives the lock away, with the reason. A record without a reason is of one whose lease ended.
"""

import json
import logging
from dataclasses import dataclass

from clusterd.election import ClaimFailed, LockSeen, Move
from clusterd.errors import ClusterdError
from clusterd.reports import encoded
from clusterd.store.contract import Created, Delete, Entry, Modified, Put, Store
from watchers.logs import tagged

log = logging.getLogger("clusterd.router")


def lock_seen(revision: int, entry: Entry | None) -> LockSeen:
    """Return the lock's state at a revision as an event."""
    if entry is None:
        return LockSeen(revision, "")
    return LockSeen(revision, entry.value.decode(errors="replace"), entry.create_revision, entry.lease_id)


@dataclass(frozen=True, slots=True)
class Former:
    """Who had a lock last, by which token, and why it was given away, "" where it was not."""

    router: str = ""
    token: int = 0
    given: str = ""


def former(value: bytes) -> Former:
    """Return who had a lock last; nobody, where that cannot be read."""
    try:
        data = json.loads(value)
        return Former(str(data["router"]), int(data["token"]), str(data["given"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return Former()


@dataclass(frozen=True, slots=True)
class Lock:
    """The lock at `key`, as the router `me` uses it; `last_key` says who had it last."""

    store: Store
    key: str
    last_key: str
    me: str

    async def claim(self, lease_id: int) -> tuple[LockSeen | ClaimFailed, ...]:
        """Take it if nobody has it; return what the election has to know. A lost answer is looked up by its watch."""
        try:
            outcome = await self.store.transact([Created(self.key, 0)], [Put(self.key, self.me.encode(), lease_id)])
            if outcome.succeeded:
                return (LockSeen(outcome.revision, self.me, outcome.revision, lease_id),)
            return await self._read(), ClaimFailed()
        except ClusterdError as error:
            log.warning("claiming the lock: %s", error, extra=tagged("claim failed", key=self.key))
            return (ClaimFailed(),)

    async def move(self, wish: Move) -> LockSeen:
        """Put it under another lease, if nobody touched it meanwhile; return how it is. Raises the store's errors."""
        entry = await self.store.get(self.key)
        if entry and (entry.create_revision, entry.lease_id) == (wish.token, wish.lease_id):
            put = Put(self.key, self.me.encode(), wish.to_lease_id)
            outcome = await self.store.transact([Modified(self.key, entry.mod_revision)], [put])
            if outcome.succeeded:
                return LockSeen(outcome.revision, self.me, wish.token, wish.to_lease_id)
        return await self._read()

    async def give_away(self, token: int, why: str) -> None:
        """Delete it, if it still is the one of this token. Raises the store's errors."""
        await self.store.transact([Created(self.key, token)], [Delete(self.key), self._last(token, why)])

    async def take_note(self, token: int) -> Former:
        """Write that it is ours now; return who had it before. Raises the store's errors."""
        entry = await self.store.get(self.last_key)
        await self.store.transact([Created(self.key, token)], [self._last(token, "")])
        return former(entry.value) if entry else Former()

    async def revoke(self, token: int, lease_id: int) -> bool:
        """End the holder's lease, if the lock still is the one of this token. Raises the store's errors."""
        entry = await self.store.get(self.key)
        if entry is None or (entry.create_revision, entry.lease_id) != (token, lease_id):
            return False
        await self.store.revoke(lease_id)
        return True

    async def _read(self) -> LockSeen:
        snapshot = await self.store.snapshot(self.key)
        held = [entry for entry in snapshot.entries if entry.key == self.key]
        return lock_seen(snapshot.revision, held[0] if held else None)

    def _last(self, token: int, why: str) -> Put:
        return Put(self.last_key, encoded({"router": self.me, "token": token, "given": why}))
