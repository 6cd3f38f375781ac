"""A store that counts what is asked of another one: how long each call took, and which errors came of it."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager

from clusterd.clock import boottime_s
from clusterd.errors import StoreError, StoreUnavailable, Uncertain
from clusterd.metrics import Call, Histogram
from clusterd.metrics.histogram import SHORT_S
from clusterd.store.contract import Batch, Condition, Entry, Lease, Operation, Outcome, Since, Snapshot, Store

ERRORS: dict[type[Exception], str] = {StoreUnavailable: "unavailable", StoreError: "refused", Uncertain: "uncertain"}
CALLS = ("get", "snapshot", "since", "transact", "grant", "refresh", "time_left", "revoke")
WATCH = "watch"  # which goes on for ever


class CountedStore:
    """Passes everything on to `inner`."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self._took = {call: Histogram(SHORT_S) for call in CALLS}
        self._errors = {call: Counter(dict.fromkeys(ERRORS.values(), 0)) for call in (*CALLS, WATCH)}

    def calls(self) -> dict[str, Call]:
        """Return what was counted until now, by call."""
        took = {call: histogram.copy() for call, histogram in self._took.items()}
        return {call: Call(took.get(call), dict(errors)) for call, errors in self._errors.items()}

    @contextmanager
    def _timed(self, call: str) -> Iterator[None]:
        began_s = boottime_s()
        with self._failing(call):
            try:
                yield
            finally:
                self._took[call].add(boottime_s() - began_s)

    @contextmanager
    def _failing(self, call: str) -> Iterator[None]:
        try:
            yield
        except (StoreUnavailable, StoreError, Uncertain) as error:
            self._errors[call][next(name for kind, name in ERRORS.items() if isinstance(error, kind))] += 1
            raise

    async def get(self, key: str) -> Entry | None:
        """Count and pass on."""
        with self._timed("get"):
            return await self._inner.get(key)

    async def snapshot(self, *prefixes: str) -> Snapshot:
        """Count and pass on."""
        with self._timed("snapshot"):
            return await self._inner.snapshot(*prefixes)

    async def since(self, prefix: str, revision: int) -> Since:
        """Count and pass on."""
        with self._timed("since"):
            return await self._inner.since(prefix, revision)

    async def transact(self, conditions: Sequence[Condition], operations: Sequence[Operation]) -> Outcome:
        """Count and pass on."""
        with self._timed("transact"):
            return await self._inner.transact(conditions, operations)

    async def watch(self, prefix: str, start_revision: int) -> AsyncGenerator[Batch, None]:
        """Pass on, and count errors: how long nothing changes says nothing about the store."""
        with self._failing(WATCH):
            async with aclosing(self._inner.watch(prefix, start_revision)) as batches:
                async for batch in batches:
                    yield batch

    async def grant(self, ttl_s: int) -> Lease:
        """Count and pass on."""
        with self._timed("grant"):
            return await self._inner.grant(ttl_s)

    async def refresh(self, lease_id: int) -> Lease:
        """Count and pass on."""
        with self._timed("refresh"):
            return await self._inner.refresh(lease_id)

    async def time_left_s(self, lease_id: int) -> float:
        """Count and pass on."""
        with self._timed("time_left"):
            return await self._inner.time_left_s(lease_id)

    async def revoke(self, lease_id: int) -> None:
        """Count and pass on."""
        with self._timed("revoke"):
            await self._inner.revoke(lease_id)

    async def close(self) -> None:
        """Close the other one."""
        await self._inner.close()
