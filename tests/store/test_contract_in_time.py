"""What every store promises of watches and leases, tried on each of them."""

import asyncio

import pytest

from clusterd.clock import boottime_s
from clusterd.errors import Compacted, StoreError
from clusterd.store.contract import (
    Batch,
    Delete,
    Deleted,
    Entry,
    Put,
)
from tests.store.conftest import Bench, put, take


async def test_a_watch_yields_past_and_future_revisions_whole_and_in_order(bench: Bench) -> None:
    a, b, elsewhere = bench.prefix + "a", bench.prefix + "b", bench.prefix.replace("test", "other")
    first = await put(bench.store, a, b"1")
    await put(bench.store, elsewhere, b"")
    second = (await bench.store.transact((), (Delete(a), Put(elsewhere, b""), Put(b, b"2")))).revision
    watch = bench.store.watch(bench.prefix, first)
    expected = [
        Batch(first, (Entry(a, b"1", first, first),)),
        Batch(second, (Deleted(a, second), Entry(b, b"2", second, second))),
    ]
    assert await take(watch, 2) == expected
    third = await put(bench.store, b, b"3")
    assert await take(watch, 1) == [Batch(third, (Entry(b, b"3", second, third),))]


async def test_a_watch_from_the_future_is_silent_until_then(bench: Bench) -> None:
    revision = await put(bench.store, bench.prefix + "a")
    watch = bench.store.watch(bench.prefix, revision + 3)
    waiting = asyncio.ensure_future(take(watch, 1))
    await asyncio.sleep(0.2)
    for _ in range(3):
        last = await put(bench.store, bench.prefix + "a")
    assert [batch.revision for batch in await waiting] == [last]


async def test_a_watch_that_starts_before_the_compaction_is_told_what_is_left(bench: Bench) -> None:
    first = await put(bench.store, bench.prefix + "a")
    last = [await put(bench.store, bench.prefix + "a") for _ in range(5)][-1]
    bench.compact(last)
    with pytest.raises(Compacted) as caught:
        await take(bench.store.watch(bench.prefix, first), 1)
    assert caught.value.revision == last
    assert [batch.revision for batch in await take(bench.store.watch(bench.prefix, last), 1)] == [last]


async def test_a_watch_that_is_up_to_date_survives_a_compaction(bench: Bench) -> None:
    revision = await put(bench.store, bench.prefix + "a")
    watch = bench.store.watch(bench.prefix, revision)
    await take(watch, 1)
    waiting = asyncio.ensure_future(take(watch, 1))
    await asyncio.sleep(0.1)
    bench.compact(revision)
    await put(bench.store, bench.prefix + "a")
    assert len(await waiting) == 1


async def test_a_watch_catches_up_with_more_than_fits_one_message(bench: Bench) -> None:
    revisions = [await put(bench.store, f"{bench.prefix}{n}", bytes([n]) * 1_000_000) for n in range(8)]
    batches = await take(bench.store.watch(bench.prefix, revisions[0]), 8)
    assert [batch.revision for batch in batches] == revisions
    assert all(len(batch.changes) == 1 for batch in batches)


async def test_a_watch_can_be_closed_and_cancelled(bench: Bench) -> None:
    revision = await put(bench.store, bench.prefix + "a")
    watch = bench.store.watch(bench.prefix, revision)
    await take(watch, 1)
    waiting = asyncio.ensure_future(take(watch, 1))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_a_lease_has_at_least_the_seconds_that_were_asked(bench: Bench) -> None:
    before_s = boottime_s()
    short, long = await bench.store.grant(1), await bench.store.grant(60)
    assert short.ttl_s >= 2, "etcd's floor with its default election timeout"
    assert long.ttl_s == 60
    assert short.lease_id != long.lease_id
    assert before_s <= short.sent_s <= long.sent_s <= boottime_s()


async def test_a_key_lives_exactly_as_long_as_its_lease_surely_does_or_longer(bench: Bench) -> None:
    lease = await bench.store.grant(2)
    await put(bench.store, bench.prefix + "a", b"", lease.lease_id)
    await put(bench.store, bench.prefix + "b", b"", lease.lease_id)
    end_s = lease.sent_s + lease.ttl_s
    while await bench.store.get(bench.prefix + "a"):
        assert boottime_s() < end_s + 5
        await asyncio.sleep(0.02)
    assert boottime_s() >= end_s
    assert await bench.store.get(bench.prefix + "b") is None
    assert (await bench.store.refresh(lease.lease_id)).ttl_s == 0


async def test_a_refresh_prolongs_a_lease(bench: Bench) -> None:
    lease = await bench.store.grant(2)
    await put(bench.store, bench.prefix + "a", b"", lease.lease_id)
    for _ in range(3):
        await asyncio.sleep(1)
        fresh = await bench.store.refresh(lease.lease_id)
        assert (fresh.lease_id, fresh.ttl_s) == (lease.lease_id, lease.ttl_s)
        assert fresh.sent_s > lease.sent_s
    entry = await bench.store.get(bench.prefix + "a")
    assert entry is not None
    assert entry.lease_id == lease.lease_id


async def test_a_revoked_lease_takes_its_keys_along_at_one_revision(bench: Bench) -> None:
    lease = await bench.store.grant(60)
    names = [bench.prefix + name for name in ("c", "a", "b")]
    for name in names:
        revision = await put(bench.store, name, b"", lease.lease_id)
    await put(bench.store, bench.prefix + "b", b"no lease any more")
    await bench.store.revoke(lease.lease_id)
    (_, batch) = await take(bench.store.watch(bench.prefix, revision + 1), 2)
    assert batch.changes == tuple(Deleted(bench.prefix + name, batch.revision) for name in ("a", "c"))
    assert (await bench.store.refresh(lease.lease_id)).ttl_s == 0
    await bench.store.revoke(lease.lease_id)


async def test_nothing_can_be_put_under_a_lease_that_has_ended(bench: Bench) -> None:
    lease = await bench.store.grant(60)
    await bench.store.revoke(lease.lease_id)
    with pytest.raises(StoreError, match="lease"):
        await bench.store.transact((), (Put(bench.prefix + "a", b""), Put(bench.prefix + "b", b"", lease.lease_id)))
    assert (await bench.store.snapshot(bench.prefix)).entries == ()


async def test_it_is_told_how_long_a_lease_lives_without_a_refresh(bench: Bench) -> None:
    lease = await bench.store.grant(60)
    await put(bench.store, bench.prefix + "a", b"", lease.lease_id)
    assert 55 <= await bench.store.time_left_s(lease.lease_id) <= 60
    await bench.store.revoke(lease.lease_id)
    assert await bench.store.time_left_s(lease.lease_id) == 0
