"""Tells when this router saw and applied each commit, in keys that outlive it: for `clusterd show-commit`.

Trouble of the store delays this and nothing else. A router that is restarted says nothing anew of a commit for which
it has said it before.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from clusterd.clock import boottime_s
from clusterd.history import utc
from clusterd.keys import Keys
from clusterd.metrics.figures import STAGES
from clusterd.metrics.histogram import LONG_S, Histogram
from clusterd.reports import applied_report, encoded
from clusterd.store.contract import Put, Store
from watchers.telling import telling

KEPT_S = 7 * 86400
_RETRY_S = 5.0
_MOST = 100  # of what is to be told: more only while the store is away


@dataclass(slots=True)
class _Times:
    seen: str
    applied: str = ""
    told: str = ""  # what of it is in the store
    lease_id: int = 0
    seen_s: float = 0.0
    committed: str = ""  # by the clock of who made it; "" where its way here is nothing to measure


class AppliedTimes:
    """The times of the commits that this router saw since it was started."""

    def __init__(self, store: Store, keys: Keys, me: str) -> None:
        self._store, self._keys, self._me = store, keys, me
        self._times: dict[int, _Times] = {}
        self._changed = asyncio.Event()
        self.took = Histogram(LONG_S)
        self.stages = {stage: Histogram(LONG_S) for stage in STAGES}

    def seen(self, number: int, committed: str = "") -> None:
        """Say that a commit was seen, and is to be followed. `committed` is when it was made, if that was just now."""
        self._times.setdefault(number, _Times(_now(), seen_s=boottime_s(), committed=committed))
        for old in sorted(self._times)[:-_MOST]:
            del self._times[old]
        self._changed.set()

    def done(self, number: int, planned_s: float) -> None:
        """Say that the kernel is as a commit wants it, by a plan of that moment. What came before it was overtaken."""
        times = self._times.get(number)
        if times is not None and not times.applied:
            times.applied = _now()
            self._changed.set()
            if times.committed:
                self._measure(times, planned_s, boottime_s())

    def _measure(self, times: _Times, planned_s: float, now_s: float) -> None:
        committed, seen = map(datetime.fromisoformat, (times.committed, times.seen))
        until_seen_s = max(0.0, (seen - committed).total_seconds())
        for stage, took_s in zip(STAGES, (until_seen_s, planned_s - times.seen_s, now_s - planned_s), strict=True):
            self.stages[stage].add(took_s)
        self.took.add(until_seen_s + now_s - times.seen_s)

    async def run(self) -> None:
        """Tell it, for ever."""
        await telling("telling when commits were applied", self._changed, self._tell_all, _RETRY_S)

    async def _tell_all(self) -> None:
        for number, times in list(self._times.items()):
            await self._tell(number, times)

    async def _tell(self, number: int, times: _Times) -> None:
        what = times.applied or times.seen
        if times.told == what:
            return
        key = self._keys.applied(number, self._me)
        if not times.told:
            await self._find(key, times)
        if not times.lease_id:
            times.lease_id = (await self._store.grant(KEPT_S)).lease_id
        value = encoded({"seen": times.seen, "applied": times.applied})
        await self._store.transact([], [Put(key, value, times.lease_id)])
        times.told = what

    async def _find(self, key: str, times: _Times) -> None:
        """Take what this router said before a restart, which was earlier."""
        entry = await self._store.get(key)
        if entry is not None:
            before = applied_report(self._me, entry.value)
            times.seen, times.applied = before.seen or times.seen, before.applied or times.applied
            times.lease_id = entry.lease_id


def _now() -> str:
    return utc(datetime.now(UTC))
