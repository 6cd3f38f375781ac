"""Keeps this router's own keys in etcd: its status and its verdicts, under its lease.

What should be there is a mapping; only differences are written, and a new lease writes everything again. Trouble of
the store delays this and nothing else.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
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
        self._want: dict[str, Mapping[str, bytes]] = {}
        self._lease_id = 0
        self._there: dict[str, tuple[bytes, int]] = {}
        self._changed = asyncio.Event()

    def want(self, kind: str, keys: Mapping[str, bytes]) -> None:
        """Say which keys of a kind should be there."""
        if keys != self._want.get(kind):
            self._want[kind] = keys
            self._changed.set()

    def under(self, lease_id: int) -> None:
        """Say which lease they live under; 0: none, so that nothing can be there."""
        if lease_id != self._lease_id:
            self._lease_id = lease_id
            self._changed.set()

    async def run(self) -> None:
        """Write, for ever."""
        await telling("publishing status and health", self._changed, self._tell, _RETRY_S)

    async def _tell(self) -> None:
        while self._lease_id and (operations := self._difference()):
            await self._write(operations[:_AT_ONCE])

    def _difference(self) -> list[Operation]:
        lease_id = self._lease_id
        want = {key: value for keys in self._want.values() for key, value in keys.items()}
        puts: list[Operation] = [
            Put(key, value, lease_id) for key, value in want.items() if self._there.get(key) != (value, lease_id)
        ]
        return puts + [Delete(key) for key in self._there if key not in want]

    async def _write(self, operations: list[Operation]) -> None:
        for operation in operations:
            if isinstance(operation, Put):
                self._there[operation.key] = (b"", 0)  # from now on what is there is not known, until etcd says so
        await self._store.transact([], operations)
        for operation in operations:
            if isinstance(operation, Put):
                self._there[operation.key] = (operation.value, operation.lease_id)
            elif isinstance(operation, Delete):
                self._there.pop(operation.key, None)


def health(keys: Keys, me: str, verdicts: Mapping[tuple[str, str], Verdict]) -> dict[str, bytes]:
    """Return the health keys of this observer."""
    return {keys.health(virtual, server, me): encoded(told(v)) for (virtual, server), v in verdicts.items()}


def told(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict under its stable names."""
    since = datetime.fromtimestamp(verdict.since_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"up": verdict.up, "since": since, "detail": verdict.detail}
