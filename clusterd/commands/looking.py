"""The cluster as it is now, for commands that show it or act on it."""

import asyncio

from clusterd import looking
from clusterd.commands.session import Session
from clusterd.configuration import Committed
from clusterd.errors import StoreUnavailable
from clusterd.keys import Keys
from clusterd.looking import Look
from clusterd.store.contract import Store

__all__ = ["Look", "Looking", "look"]

PATIENCE_S = 0.7  # for an etcd that did not answer the last time


async def look(session: Session, store: Store, keys: Keys, known: Committed | None = None) -> Look:
    """Return the cluster as it is; ConfigError where nothing is committed, else as `clusterd.looking.look`."""
    found = await looking.look(store, keys, known)
    if found is None:
        raise session.nothing_committed()
    return found


class Looking:
    """Looks again and again. While etcd is down nobody waits for it long: the last question goes on meanwhile.

    `trouble` is why there was no answer, None while there is one.
    """

    def __init__(self, session: Session, store: Store, keys: Keys) -> None:
        self._session, self._store, self._keys = session, store, keys
        self._base: Committed | None = None
        self._asking: asyncio.Task[Look] | None = None
        self.trouble: StoreUnavailable | None = None

    async def look(self) -> Look | None:
        """Return the cluster as it is, None where etcd does not answer. Raises ConfigError, and the store's others."""
        if self._asking is None:
            self._asking = asyncio.create_task(look(self._session, self._store, self._keys, self._base))
        await asyncio.wait({self._asking}, timeout=PATIENCE_S if self.trouble else None)
        if not self._asking.done():
            return None
        done, self._asking = self._asking, None
        try:
            found = done.result()
        except StoreUnavailable as error:
            self.trouble = error
            return None
        self._base, self.trouble = found.base, None
        return found
