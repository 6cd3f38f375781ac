"""When a router saw and applied each commit stays in the store for days."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clusterd.clock import boottime_s
from clusterd.history import utc
from clusterd.keys import Keys
from clusterd.store.memory import MemoryStore
from watchers import applied_times
from watchers.applied_times import KEPT_S, AppliedTimes

KEYS = Keys("test")


@asynccontextmanager
async def telling(store: MemoryStore) -> AsyncIterator[AppliedTimes]:
    times = AppliedTimes(store, KEYS, "r1")
    task = asyncio.create_task(times.run())
    yield times
    task.cancel()
    await asyncio.wait([task])


async def told(store: MemoryStore, number: int, until: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            entry = await store.connect().get(KEYS.applied(number, "r1"))
            found: dict[str, Any] = json.loads(entry.value) if entry else {}
            if until(found):
                return found
            await asyncio.sleep(0.01)


async def test_a_commit_is_seen_and_then_applied() -> None:
    store = MemoryStore()
    async with telling(store) as times:
        times.seen(3)
        seen = await told(store, 3, lambda found: found)
        assert seen["seen"].endswith("Z")
        assert seen["applied"] == ""
        times.done(3, boottime_s())
        applied = await told(store, 3, lambda found: found["applied"])
        assert applied["seen"] == seen["seen"] <= applied["applied"]
        times.done(3, boottime_s())
        times.seen(3)
        await asyncio.sleep(0.05)
        assert await told(store, 3, bool) == applied
    entry = await store.get(KEYS.applied(3, "r1"))
    assert entry
    assert KEPT_S - 60 < await store.time_left_s(entry.lease_id) <= KEPT_S


async def test_a_commit_that_was_not_seen_before_is_not_told_of() -> None:
    store = MemoryStore()
    async with telling(store) as times:
        times.done(2, boottime_s())
        times.seen(3)
        await told(store, 3, bool)
    assert await store.get(KEYS.applied(2, "r1")) is None


async def test_a_restarted_router_keeps_what_it_said_and_adds_what_it_had_not(monkeypatch: Any) -> None:
    store = MemoryStore()
    async with telling(store) as times:
        times.seen(3)
        first = await told(store, 3, bool)
    monkeypatch.setattr(applied_times, "_now", lambda: "later")
    async with telling(store) as times:
        times.seen(3)
        times.done(3, boottime_s())
        second = await told(store, 3, lambda found: found["applied"])
    assert second == {"seen": first["seen"], "applied": "later"}
    monkeypatch.setattr(applied_times, "_now", lambda: "much later")
    async with telling(store) as times:
        times.seen(3)
        times.done(3, boottime_s())
        times.seen(4)
        await told(store, 4, bool)
    assert await told(store, 3, bool) == second


async def test_while_the_store_is_down_nothing_is_lost(monkeypatch: Any) -> None:
    monkeypatch.setattr(applied_times, "_RETRY_S", 0.02)
    store = MemoryStore()
    store.down = True
    async with telling(store) as times:
        for number in range(1, 121):
            times.seen(number)
            times.done(number, boottime_s())
        await asyncio.sleep(0.1)
        store.down = False
        await told(store, 120, lambda found: found.get("applied"))
    assert len((await store.snapshot(KEYS.applied_prefix)).entries) == 100


async def test_how_long_a_commit_took_is_measured_by_stage_where_it_came_just_now() -> None:
    times = AppliedTimes(MemoryStore(), KEYS, "r1")
    now = datetime.now(UTC)
    times.seen(3)
    times.seen(4, utc(now - timedelta(seconds=2)))
    times.seen(5, utc(now + timedelta(seconds=2)))
    seen_s = boottime_s()
    for number in (3, 4, 4):
        times.done(number, seen_s + 0.5)
    assert [took.total for took in (times.took, *times.stages.values())] == [1, 1, 1, 1]
    assert times.stages["seen"].sum == pytest.approx(2, abs=0.2)
    assert times.stages["planned"].sum == pytest.approx(0.5, abs=0.1)
    assert times.took.sum == pytest.approx(2, abs=0.2)
    times.done(5, seen_s)
    assert times.stages["seen"].sum == pytest.approx(2, abs=0.2), "a clock that is ahead makes no time less than none"
