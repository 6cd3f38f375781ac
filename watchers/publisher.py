"""Keeps this router's own keys in etcd: its status and its verdicts, under its lease.

What should be there is a mapping; only differences are written, and a new lease writes everything again. Trouble of
the store delays this and nothing else.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from clusterd.health import Verdict
from clusterd.keys import Keys
from clusterd.reports import encoded
from clusterd.store.contract import Delete, Operation, Put, Store
from watchers.telling import telling

_AT_ONCE = 1000
_RETRY_S = 1.0


class Publisher:
    """Writes what `want` and `under` say, whenever that changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._wanted: dict[str, bytes] = {}
        self._kinds: dict[str, Mapping[str, bytes]] = {}
        self._lease_id = 0
        self._there: dict[str, tuple[bytes, int]] = {}
        self._unsure: dict[str, None] = {}  # keys of which it is not known whether they are there as wanted
        self._changed = asyncio.Event()
        self._telling = False
        self._told = asyncio.Event()

    def want(self, kind: str, keys: Mapping[str, bytes]) -> None:
        """Say which keys of a kind should be there, and no others of it."""
        before = self._kinds.get(kind, {})
        if keys != before:
            self._kinds[kind] = keys
            self.change({**dict.fromkeys(before), **keys})

    def change(self, news: Mapping[str, bytes | None]) -> None:
        """Say how some keys should be, None: not there."""
        for key, value in news.items():
            if value is None:
                self._wanted.pop(key, None)
            else:
                self._wanted[key] = value
            self._unsure[key] = None
        if news:
            self._changed.set()

    def under(self, lease_id: int) -> None:
        """Say which lease they live under; 0: none, so that nothing can be there."""
        if lease_id != self._lease_id:
            self._lease_id = lease_id
            self._unsure |= dict.fromkeys((*self._wanted, *self._there))
            self._changed.set()

    async def run(self) -> None:
        """Write, for ever."""
        await telling("publishing status and health", self._changed, self._tell, _RETRY_S)

    async def settled(self) -> None:
        """Return when everything is there as wanted."""
        while self._unsure or self._telling:
            self._told.clear()
            await self._told.wait()

    async def _tell(self) -> None:
        while self._lease_id and self._unsure:
            some = tuple(islice(self._unsure, _AT_ONCE))
            for key in some:
                del self._unsure[key]
            self._telling = True
            try:
                await self._write([operation for key in some if (operation := self._operation(key))])
            except BaseException:
                self._unsure |= dict.fromkeys(some)
                raise
            finally:
                self._telling = False
                self._told.set()

    def _operation(self, key: str) -> Operation | None:
        """Return what makes a key what it should be, None where it is so."""
        value = self._wanted.get(key)
        if value is None:
            return Delete(key) if key in self._there else None
        return None if self._there.get(key) == (value, self._lease_id) else Put(key, value, self._lease_id)

    async def _write(self, operations: list[Operation]) -> None:
        if not operations:
            return
        for operation in operations:
            if isinstance(operation, Put):
                self._there[operation.key] = (b"", 0)  # from now on what is there is not known, until etcd says so
        await self._store.transact([], operations)
        for operation in operations:
            if isinstance(operation, Put):
                self._there[operation.key] = (operation.value, operation.lease_id)
            elif isinstance(operation, Delete):
                self._there.pop(operation.key, None)


def health(keys: Keys, me: str, verdicts: Mapping[tuple[str, str], Verdict | None]) -> dict[str, bytes | None]:
    """Return the health keys of this observer for these verdicts; None where there is none any more."""
    return {
        keys.health(virtual, server, me): _value(**told(v)) if v else None for (virtual, server), v in verdicts.items()
    }


@lru_cache(1024)
def _value(**told: Any) -> bytes:
    """Return what a key says; of many real servers most say the same, and share it."""
    return encoded(told)


def told(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict under its stable names."""
    since = datetime.fromtimestamp(verdict.since_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"up": verdict.up, "since": since, "detail": verdict.detail}
