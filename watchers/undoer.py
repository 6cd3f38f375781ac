"""Undoes commits whose time has come, for ever: those that were not confirmed, and those that were for a time only.

Every router does this whose login may commit, and `clusterd-undoer` does; the store sees to it that each commit is
undone once. The active router goes first.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from datetime import UTC, datetime

from clusterd import pending, undoing
from clusterd.errors import ClusterdError, ConflictError, UnsafeChange
from clusterd.history import Author, Signature
from clusterd.keys import Keys
from clusterd.store.contract import Batch, Snapshot, Store
from clusterd.undoing import Waiting
from watchers import feeds
from watchers.logs import tagged
from watchers.problems import Problems

log = logging.getLogger("clusterd.router")

BACKUP_WAITS_S = 2.0
LOOK_S = 0.5
AGAIN_S = 5.0  # after trouble
RIGHTS_S = 30.0  # between two looks at what we may


_NOBODY = "this login has no right to commit; is there a clusterd-undoer?"


class Undoer:
    """Watches the pending commits and undoes them in time, as `me`. `active` tells whether this one goes first."""

    def __init__(self, me: str, store: Store, keys: Keys, active: Callable[[], bool], problems: Problems) -> None:
        self._me, self._store, self._keys, self._active, self._problems = me, store, keys, active, problems
        self._waiting: dict[str, Waiting] = {}
        self.may = False  # whether we have the right to commit

    async def watch(self) -> None:
        """Learn what is pending, for ever."""

        async def look(_: Snapshot | Batch) -> None:
            found = await undoing.waiting(self._store, self._keys)
            self._waiting = {waiting.key: waiting for waiting in found}

        await feeds.follow(self._store, self._keys.pending_prefix, look, look)

    async def learn(self) -> None:
        """Learn whether we may undo at all, for ever: rights are given and taken while we run."""
        while True:
            try:
                self.may = await undoing.allowed(self._store, self._keys)
            except ClusterdError as error:
                log.debug("what we may is not known: %s", error, extra=tagged("trouble", about="undoing"))
                await asyncio.sleep(AGAIN_S)
                continue
            if self.may:
                self._problems.about("undoing")
            await asyncio.sleep(RIGHTS_S)

    async def run(self) -> None:
        """Undo what is due, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            ready = pending.due({key: waiting.pending for key, waiting in self._waiting.items()}, datetime.now(UTC))
            if not self.may:
                late = [self._waiting[key].pending.number for key in ready]
                self._problems.about("undoing", *(f"commit {number} should be undone: {_NOBODY}" for number in late))
                continue
            if ready and not self._active():
                await asyncio.sleep(BACKUP_WAITS_S)
            for key in ready:
                if key in self._waiting:
                    await self._undo(self._waiting[key])

    async def _undo(self, found: Waiting) -> None:
        author = Author(user=self._me, host=socket.gethostname())
        signature = Signature(author, datetime.now(UTC), found.pending.why_undone())
        number = found.pending.number
        try:
            done = await undoing.undo(self._store, self._keys, found, signature)
            how = f" by commit {done.number}" if done else ": nothing was left of it"
            log.info("commit %d is undone%s", number, how, extra=tagged("undone", commit=number))
            self._waiting.pop(found.key, None)
            self._problems.about("undoing")
        except (ConflictError, UnsafeChange):
            pass  # somebody else wrote: the watch tells what, and it is looked at again
        except ClusterdError as error:
            self._problems.about("undoing", f"commit {number} should be undone: {error}")
            await asyncio.sleep(AGAIN_S)
