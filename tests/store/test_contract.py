"""What every store promises, tried on each of them."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from clusterd.errors import Compacted, StoreError
from clusterd.store.clock import boottime_s
from clusterd.store.contract import (
    Batch,
    Condition,
    Created,
    Delete,
    Deleted,
    DeletePrefix,
    Entry,
    Modified,
    Operation,
    Outcome,
    Put,
    Store,
)
from clusterd.store.etcd import PAGE, EtcdStore
from clusterd.store.memory import MemoryStore
from tests.store.conftest import Bench
from tests.store.etcd_server import Member


async def put(store: Store, key: str, value: bytes = b"", lease_id: int = 0) -> int:
    """Write one key, and return the revision."""
    outcome = await store.transact((), (Put(key, value, lease_id),))
    assert outcome.succeeded
    return outcome.revision


async def take(watch: AsyncIterator[Batch], number: int) -> list[Batch]:
    """Return the next batches, which are to come soon."""
    async with asyncio.timeout(10):
        return [await anext(watch) for _ in range(number)]


async def test_a_key_that_was_never_written_reads_as_none(bench: Bench) -> None:
    assert await bench.store.get(bench.prefix + "nothing") is None


async def test_a_key_reads_back_with_its_revisions(bench: Bench) -> None:
    key, value = bench.prefix + "ключ \N{SNOWMAN}", bytes(range(256))
    first = await put(bench.store, key, value)
    assert await bench.store.get(key) == Entry(key, value, first, first)
    second = await put(bench.store, key, b"")
    assert second > first
    assert await bench.store.get(key) == Entry(key, b"", first, second)


async def test_a_key_written_again_after_its_deletion_has_a_new_create_revision(bench: Bench) -> None:
    key = bench.prefix + "lock"
    first = await put(bench.store, key)
    await bench.store.transact((), (Delete(key),))
    second = await put(bench.store, key)
    entry = await bench.store.get(key)
    assert entry is not None
    assert entry.create_revision == second > first


async def test_create_revision_0_claims_a_key_once(bench: Bench) -> None:
    key = bench.prefix + "lock"
    claim = (Created(key, 0),)
    won = await bench.store.transact(claim, (Put(key, b"a"),))
    lost = await bench.store.transact(claim, (Put(key, b"b"),))
    assert (won.succeeded, lost.succeeded) == (True, False)
    assert lost.revision >= won.revision
    assert await bench.store.get(key) == Entry(key, b"a", won.revision, won.revision)


@pytest.mark.parametrize("kind", [Created, Modified])
async def test_a_condition_holds_for_exactly_one_revision(bench: Bench, kind: type[Created | Modified]) -> None:
    key = bench.prefix + "head"
    revision = await put(bench.store, key)
    for wrong in (0, revision - 1, revision + 1):
        assert not (await bench.store.transact((kind(key, wrong),), (Put(key, b"x"),))).succeeded
    assert (await bench.store.transact((kind(key, revision),), (Put(key, b"x"),))).succeeded


async def test_one_condition_that_fails_leaves_everything_undone(bench: Bench) -> None:
    key = bench.prefix + "head"
    revision = await put(bench.store, key, b"old")
    before = await bench.store.snapshot(bench.prefix)
    outcome = await bench.store.transact(
        (Modified(key, revision), Created(bench.prefix + "none", 7)), (Put(key, b"new"), Put(bench.prefix + "b", b""))
    )
    assert outcome == Outcome(False, before.revision)
    assert await bench.store.snapshot(bench.prefix) == before


async def test_a_transaction_without_effect_makes_no_revision(bench: Bench) -> None:
    revision = await put(bench.store, bench.prefix + "a")
    for operations in ((), (Delete(bench.prefix + "none"),), (DeletePrefix(bench.prefix + "none/"),)):
        assert await bench.store.transact((), operations) == Outcome(True, revision)


async def test_deleting_a_prefix_spares_its_neighbours(bench: Bench) -> None:
    names = ["a", "a/", "a/1", "a/1/2", "a0", "b"]
    await bench.store.transact((), [Put(bench.prefix + name, b"") for name in names])
    await bench.store.transact((), [DeletePrefix(bench.prefix + "a/")])
    left = await bench.store.snapshot(bench.prefix)
    assert [entry.key.removeprefix(bench.prefix) for entry in left.entries] == ["a", "a0", "b"]


@pytest.mark.parametrize(
    "operations",
    [
        (Put("a", b"1"), Put("a", b"2")),
        (Put("a", b"1"), Delete("a")),
        (Delete("a"), Delete("a")),
        (Put("a/1", b""), DeletePrefix("a/")),
        (DeletePrefix("a/"), DeletePrefix("a/b/")),
        (DeletePrefix("a/"), DeletePrefix("a/")),
        (Put("", b""),),
        (DeletePrefix(""),),
    ],
)
async def test_a_key_that_is_empty_or_named_twice_is_a_value_error(
    bench: Bench, operations: tuple[Operation, ...]
) -> None:
    before = await bench.store.snapshot(bench.prefix)
    with pytest.raises(ValueError, match=r"names|empty"):
        await bench.store.transact((), operations)
    assert (await bench.store.snapshot(bench.prefix)).revision == before.revision


@pytest.mark.parametrize(("conditions", "operations"), [(0, 129), (128, 128), (0, 4000), (60, 4000), (1, 4096)])
async def test_thousands_of_operations_go_through_at_one_revision(
    bench: Bench, conditions: int, operations: int
) -> None:
    guards = [Created(f"{bench.prefix}guard/{number}", 0) for number in range(conditions)]
    puts = [Put(f"{bench.prefix}{number:05}", b"x" * 300) for number in range(operations)]
    outcome = await bench.store.transact(guards, puts)
    assert outcome.succeeded
    found = await bench.store.snapshot(bench.prefix)
    assert [entry.key for entry in found.entries] == [put.key for put in puts]
    assert {entry.mod_revision for entry in found.entries} == {outcome.revision}
    (batch,) = await take(bench.store.watch(bench.prefix, outcome.revision), 1)
    assert batch == Batch(outcome.revision, found.entries)


async def test_a_large_transaction_whose_condition_fails_does_nothing(bench: Bench) -> None:
    puts = [Put(f"{bench.prefix}{number}", b"") for number in range(500)]
    assert not (await bench.store.transact([Created(bench.prefix, 5)], puts)).succeeded
    assert (await bench.store.snapshot(bench.prefix)).entries == ()


@pytest.mark.parametrize(("conditions", "operations"), [(0, 4097), (129, 1), (100, 4000)])
async def test_too_many_operations_are_refused_whole(bench: Bench, conditions: int, operations: int) -> None:
    guards = [Created(f"{bench.prefix}guard/{number}", 0) for number in range(conditions)]
    with pytest.raises(StoreError, match="split the change"):
        await bench.store.transact(guards, [Put(f"{bench.prefix}{number}", b"") for number in range(operations)])
    assert (await bench.store.snapshot(bench.prefix)).entries == ()


@pytest.mark.parametrize("size_bytes", [1_600_000, 3_000_000])
async def test_too_large_a_value_is_refused_and_a_large_one_is_kept(bench: Bench, size_bytes: int) -> None:
    with pytest.raises(StoreError, match="split the change"):
        await put(bench.store, bench.prefix + "a", b"x" * size_bytes)
    assert await bench.store.get(bench.prefix + "a") is None
    revision = await put(bench.store, bench.prefix + "a", b"x" * 1_400_000)
    (batch,) = await take(bench.store.watch(bench.prefix, revision), 1)
    assert batch.changes == (await bench.store.get(bench.prefix + "a"),)


async def test_a_snapshot_holds_each_key_once_sorted_and_at_one_revision(bench: Bench) -> None:
    prefix, store = bench.prefix, bench.store
    for name in ("b/2", "a/1", "a", "b/1", "c/1", "a/é", "a/z"):
        revision = await put(store, prefix + name)
    found = await store.snapshot(prefix + "b/", prefix + "a", prefix + "a/", prefix + "b/")
    assert [entry.key.removeprefix(prefix) for entry in found.entries] == ["a", "a/1", "a/z", "a/é", "b/1", "b/2"]
    assert found.revision == revision


async def test_a_snapshot_larger_than_a_page_is_complete(bench: Bench) -> None:
    for part in ("a", "b"):
        await bench.store.transact((), [Put(f"{bench.prefix}{part}/{n:05}", b"") for n in range(PAGE + 500)])
    assert len((await bench.store.snapshot(bench.prefix)).entries) == 2 * PAGE + 1000
    assert len((await bench.store.snapshot(bench.prefix + "a/", bench.prefix + "b/")).entries) == 2 * PAGE + 1000


async def test_the_empty_prefix_is_everything(bench: Bench) -> None:
    revision = await put(bench.store, bench.prefix + "a")
    assert bench.prefix + "a" in {entry.key for entry in (await bench.store.snapshot("")).entries}
    (batch,) = await take(bench.store.watch("", revision), 1)
    assert batch.revision == revision


async def test_a_snapshot_of_no_prefix_and_a_watch_from_revision_0_are_value_errors(bench: Bench) -> None:
    with pytest.raises(ValueError, match="prefix"):
        await bench.store.snapshot()
    with pytest.raises(ValueError, match="revision 1"):
        bench.store.watch(bench.prefix, 0)


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


def some_transaction(dice: random.Random, prefix: str, revisions: list[int]) -> tuple[list[Condition], list[Operation]]:
    """Return a small transaction that may succeed or fail, over few keys, so that they meet each other often."""
    operations: list[Operation] = [
        Put(prefix + name, b"%d" % dice.randrange(100)) if dice.random() < 0.7 else Delete(prefix + name)
        for name in dice.sample(["a", "b", "c"], dice.randint(1, 3))
    ]
    below_d: tuple[Operation, ...] = (Put(prefix + "d/1", b""), Put(prefix + "d/2", b""), DeletePrefix(prefix + "d/"))
    operations.append(dice.choice(below_d))
    conditions: list[Condition] = []
    if dice.random() < 0.5:
        key, revision = prefix + dice.choice("abc"), dice.choice([0, *revisions[-3:]])
        conditions.append(Created(key, revision) if dice.random() < 0.5 else Modified(key, revision))
    return conditions, operations


async def until(watch: AsyncIterator[Batch], revision: int) -> list[Batch]:
    """Return the batches up to that of a revision."""
    batches = await take(watch, 1)
    while batches[-1].revision < revision:
        batches += await take(watch, 1)
    return batches


@pytest.mark.etcd
@pytest.mark.parametrize("seed", range(5))
async def test_the_store_in_memory_goes_step_by_step_as_etcd_does(seed: int, server: Member, prefix: str) -> None:
    dice = random.Random(seed)  # noqa: S311 - the same transactions in every run
    memory, etcd = MemoryStore(), EtcdStore([server.endpoint])
    start = await put(etcd, prefix)
    while await put(memory, prefix) < start:
        pass
    revisions = [start]
    for store in (memory, etcd):
        await store.transact((), (Delete(prefix),))
    for _ in range(40):
        conditions, operations = some_transaction(dice, prefix, revisions)
        outcome = await etcd.transact(conditions, operations)
        assert await memory.transact(conditions, operations) == outcome
        revisions.append(outcome.revision)
        assert await memory.snapshot(prefix) == await etcd.snapshot(prefix)
    assert await until(memory.watch(prefix, start + 1), revisions[-1]) == await until(
        etcd.watch(prefix, start + 1), revisions[-1]
    )
    await etcd.close()
