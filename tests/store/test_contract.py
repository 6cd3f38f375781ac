"""What every store promises of keys, transactions and snapshots, tried on each of them."""

import pytest

from clusterd.errors import StoreError
from clusterd.store.contract import (
    Batch,
    Created,
    Delete,
    DeletePrefix,
    Entry,
    Modified,
    Operation,
    Outcome,
    Put,
    Since,
)
from clusterd.store.etcd import PAGE
from tests.store.conftest import Bench, put, take


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


async def test_what_was_written_since_a_revision_comes_without_the_rest_which_is_counted(bench: Bench) -> None:
    prefix, store = bench.prefix, bench.store
    start = await put(store, prefix)
    assert await store.since(prefix + "a/", 0) == Since(start, 0, ())
    revisions = {name: await put(store, prefix + name) for name in ("a/3", "a/2", "a", "a/1", "a0", "b")}
    last = await put(store, prefix + "a/2", b"again")
    again = Entry(prefix + "a/2", b"again", revisions["a/2"], last)
    one = Entry(prefix + "a/1", b"", revisions["a/1"], revisions["a/1"])
    assert await store.since(prefix + "a/", last) == Since(last, 3, ())
    assert await store.since(prefix + "a/", revisions["a/1"]) == Since(last, 3, (again,))
    assert await store.since(prefix + "a/", revisions["a/1"] - 1) == Since(last, 3, (one, again))
    await store.transact((), (Delete(prefix + "a/2"),))
    assert await store.since(prefix + "a/", revisions["a/1"] - 1) == Since(last + 1, 2, (one,))


async def test_what_was_written_since_a_revision_may_be_larger_than_a_page(bench: Bench) -> None:
    old = await bench.store.transact((), [Put(f"{bench.prefix}{n:05}", b"") for n in range(PAGE + 700)])
    new = await bench.store.transact((), [Put(f"{bench.prefix}{n:05}", b"") for n in range(600, PAGE + 900)])
    since = await bench.store.since(bench.prefix, old.revision)
    assert (since.revision, since.count, len(since.entries)) == (new.revision, PAGE + 900, PAGE + 300)
    assert since.entries == (await bench.store.snapshot(bench.prefix)).entries[600:]


async def test_the_empty_prefix_is_everything(bench: Bench) -> None:
    revision = await put(bench.store, bench.prefix + "a")
    assert bench.prefix + "a" in {entry.key for entry in (await bench.store.snapshot("")).entries}
    assert [entry.mod_revision for entry in (await bench.store.since("", revision - 1)).entries] == [revision]
    (batch,) = await take(bench.store.watch("", revision), 1)
    assert batch.revision == revision


async def test_a_snapshot_of_no_prefix_and_a_watch_from_revision_0_are_value_errors(bench: Bench) -> None:
    with pytest.raises(ValueError, match="prefix"):
        await bench.store.snapshot()
    with pytest.raises(ValueError, match="revision 1"):
        bench.store.watch(bench.prefix, 0)
