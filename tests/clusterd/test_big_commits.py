"""Commits that one transaction does not hold."""

import asyncio
from collections.abc import Sequence

import pytest

from clusterd.configuration import Committed, commit, read, record, records
from clusterd.configuration.staging import MOST_BYTES, MOST_OPERATIONS, tidy
from clusterd.errors import ConfigError, ConflictError, StoreUnavailable, UnsafeChange
from clusterd.history import as_json, broken_links
from clusterd.model import Cluster
from clusterd.store.contract import Condition, Delete, DeletePrefix, Modified, Operation, Outcome, Put, Snapshot
from clusterd.store.memory import MemoryStore
from clusterd.store.transaction import size_bytes
from tests.clusterd.big import LARGE, LARGER, MANY, begun, check_whole, garbage, moved
from tests.clusterd.commits import ALICE, BOB, EMPTY, KEYS, Interrupted, by_hand, known
from tests.clusterd.examples import manual

PENDING = KEYS.prefix + "pending"


class Untidy(MemoryStore):
    """A connection that is away whenever something is to be tidied up."""

    def __init__(self, other: MemoryStore) -> None:
        super().__init__()
        self._data = other._data

    async def transact(self, conditions: Sequence[Condition], operations: Sequence[Operation]) -> Outcome:
        if any(isinstance(operation, DeletePrefix) for operation in operations):
            raise StoreUnavailable("away")
        return await super().transact(conditions, operations)


class Yielding(MemoryStore):
    """A connection that lets others go first at every transaction."""

    async def transact(self, conditions: Sequence[Condition], operations: Sequence[Operation]) -> Outcome:
        await asyncio.sleep(0)
        return await super().transact(conditions, operations)


@pytest.mark.parametrize("cluster", [MANY, LARGE], ids=["many", "large"])
async def test_a_big_first_commit_reads_back_with_its_history(cluster: Cluster) -> None:
    store = MemoryStore()
    done = await commit(store, KEYS, None, cluster, ALICE)
    again = await check_whole(store, cluster, 1)
    assert (again.head, again.objects, again.head_revision) == (done.head, done.objects, done.head_revision)


async def test_a_big_commit_makes_a_new_generation_and_removes_the_old_one() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    done = await commit(store, KEYS, base, LARGE, ALICE)
    assert done.head.generation > base.head.generation
    again = await commit(store, KEYS, done, LARGER, BOB)
    assert again.head.generation > done.head.generation
    await check_whole(store, LARGER, 3)


async def test_a_small_commit_upon_a_big_configuration_is_one_small_transaction() -> None:
    store, base = await begun(LARGE)
    done = await commit(store, KEYS, base, moved(LARGE, 1), BOB)
    written = [e.key for e in (await store.snapshot(KEYS.prefix)).entries if e.mod_revision > base.revision]
    web = KEYS.config_object(base.head.generation, "virtuals/v0000")
    assert [key for key in written if not key.startswith(KEYS.staging_prefix)] == [web, KEYS.head, KEYS.history(2)]
    assert (await store.snapshot(KEYS.head)).revision == done.revision


async def test_what_only_the_record_is_too_big_for_is_changed_in_place() -> None:
    store, base = await begun(LARGE)
    done = await commit(store, KEYS, base, moved(LARGE, 50), BOB)
    assert done.head.generation == base.head.generation
    assert len((await store.snapshot(KEYS.history_parts(2, done.head.id))).entries) > 1
    await check_whole(store, moved(LARGE, 50), 2)


async def test_every_transaction_keeps_to_what_etcd_takes() -> None:
    class Counting(MemoryStore):
        sizes: tuple[int, ...] = ()

        async def transact(self, conditions: Sequence[Condition], operations: Sequence[Operation]) -> Outcome:
            assert len(operations) <= MOST_OPERATIONS
            self.sizes = (*self.sizes, size_bytes(operations))
            return await super().transact(conditions, operations)

    store = Counting()
    base = await commit(store, KEYS, None, LARGE, ALICE)
    await commit(store, KEYS, base, MANY, ALICE)
    assert max(store.sizes) <= MOST_BYTES
    assert sum(1 for size in store.sizes if size > MOST_BYTES / 3) > 4


async def test_who_reads_the_old_generation_while_it_goes_gets_the_new_one() -> None:
    store, base = await begun(LARGE)

    class Overtaken(MemoryStore):
        async def snapshot(self, *prefixes: str) -> Snapshot:
            if (await known(store)).number == 1:
                await commit(store, KEYS, base, LARGER, BOB)
            return await store.snapshot(*prefixes)

    overtaken = Overtaken()
    overtaken._data = store._data
    committed = await read(overtaken, KEYS)
    assert committed is not None
    assert (committed.cluster, committed.strays) == (LARGER, ())


@pytest.mark.parametrize("calls", range(8))
async def test_a_commit_between_two_pieces_is_a_conflict_and_leaves_no_garbage(calls: int) -> None:
    store, base = await begun(LARGE)
    small = moved(LARGE, 1)
    slow = Interrupted(store, before=lambda: commit(store.connect(), KEYS, base, small, BOB), after_calls=calls)
    with pytest.raises(ConflictError, match="commit 2 by bob@r2"):
        await commit(slow, KEYS, base, LARGER, ALICE)
    await check_whole(store, small, 2)


@pytest.mark.parametrize("calls", range(8))
async def test_tidying_up_never_hits_an_editor_that_is_only_slow(calls: int) -> None:
    store, base = await begun(LARGE)
    slow = Interrupted(store, before=lambda: tidy(store.connect(), KEYS), after_calls=calls)
    await commit(slow, KEYS, base, LARGER, ALICE)
    await check_whole(store, LARGER, 2)


async def test_of_two_big_commits_at_a_time_one_is_done_and_the_other_told() -> None:
    whole, base = await begun(LARGE)
    store = Yielding()
    store._data = whole._data
    both = [commit(store, KEYS, base, MANY, ALICE), commit(store, KEYS, base, LARGER, BOB)]
    results = await asyncio.gather(*both, return_exceptions=True)
    done = [result for result in results if isinstance(result, Committed)]
    assert [type(result) for result in results if result not in done] == [ConflictError]
    await check_whole(store, done[0].cluster, 2)


@pytest.mark.parametrize("lost", range(1, 10))
async def test_a_piece_whose_answer_was_lost_is_written_again(lost: int) -> None:
    store, base = await begun(LARGE)

    async def lose() -> None:
        poor.lost_after = 1

    poor = Interrupted(store, before=lose, after_calls=lost - 1)
    await commit(poor, KEYS, base, LARGER, ALICE)
    await check_whole(store, LARGER, 2)


async def test_pieces_whose_answers_stay_lost_are_no_commit() -> None:
    store, base = await begun(LARGE)
    poor = Interrupted(store)
    poor.lost_after = 1000
    with pytest.raises(StoreUnavailable, match="nothing was committed, and it is safe to try again"):
        await commit(poor, KEYS, base, LARGER, ALICE, patience_s=0.3)
    await commit(store, KEYS, await known(store), moved(LARGE, 1), BOB)
    await check_whole(store, moved(LARGE, 1), 2)


async def test_what_rides_along_with_a_big_commit_is_done_or_refused_with_its_last_transaction() -> None:
    store, base = await begun(LARGE)
    with pytest.raises(UnsafeChange, match=PENDING):
        await commit(store, KEYS, base, LARGER, ALICE, conditions=[Modified(PENDING, 7)])
    riding = [Put(PENDING, b"soon")]
    done = await commit(store, KEYS, base, MANY, ALICE, conditions=[Modified(PENDING, 0)], operations=riding)
    entry = await store.get(PENDING)
    assert entry is not None
    assert entry.mod_revision == done.head_revision
    await check_whole(store, MANY, 2)


@pytest.mark.parametrize("what", ["missing", "no JSON", "altered"])
async def test_a_record_whose_parts_are_not_whole_is_named(what: str) -> None:
    store, base = await begun(LARGE)
    key = KEYS.history_part(1, base.head.id, 0)
    entry = await store.get(key)
    assert entry is not None
    if what == "altered":
        await by_hand(store, Put(key, entry.value.replace(b'"port": 80', b'"port": 90', 1)))
        assert broken_links(await records(store, KEYS), base.head) == (
            "record 1 was altered: its hash is not that of its content",
        )
        return
    await by_hand(store, Delete(key) if what == "missing" else Put(key, b"{"))
    why = "of the record's . parts are there" if what == "missing" else "its parts are not a record"
    for reading in (records(store, KEYS), record(store, KEYS, 1)):
        with pytest.raises(ConfigError, match=f"{KEYS.history(1)}: .*{why}"):
            await reading


async def test_a_big_configuration_altered_by_hand_is_given_back_by_its_history() -> None:
    store, base = await begun(LARGE)
    await by_hand(store, DeletePrefix(KEYS.config(base.head.generation)))
    stray = await known(store)
    assert (stray.cluster, len(stray.strays)) == (LARGE, 103)
    await commit(store, KEYS, stray, LARGE, BOB)
    await check_whole(store, LARGE, 2)


async def test_a_lost_head_of_a_big_configuration_is_not_taken_for_a_new_cluster() -> None:
    store, _ = await begun(LARGE)
    await by_hand(store, Delete(KEYS.head))
    with pytest.raises(UnsafeChange, match="put the head back"):
        await commit(store, KEYS, None, EMPTY, ALICE)


async def test_a_mark_that_clusterd_did_not_write_hurts_nothing() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    await by_hand(store, Put(KEYS.staging("x"), b"{"))
    await commit(store, KEYS, base, EMPTY, ALICE)
    assert (await known(store)).cluster == EMPTY


async def test_what_cannot_be_tidied_up_now_is_tidied_up_by_the_next_commit() -> None:
    store, base = await begun(LARGE)
    done = await commit(Untidy(store), KEYS, base, LARGER, ALICE)
    assert len(await garbage(store)) == 103 + 1  # the objects of the old generation, and a mark
    await commit(store, KEYS, done, moved(LARGER, 1), BOB)
    await check_whole(store, moved(LARGER, 1), 3)


async def test_tidying_up_leaves_a_generation_whose_head_somebody_puts_back_meanwhile() -> None:
    store, base = await begun(LARGE)
    await commit(Untidy(store), KEYS, base, LARGER, ALICE)
    await tidy(Interrupted(store, before=lambda: by_hand(store, Put(KEYS.head, as_json(base.head)))), KEYS)
    assert len((await store.snapshot(KEYS.config(base.head.generation))).entries) == len(base.objects)
    stands = await known(store)
    assert (stands.cluster, stands.strays) == (LARGE, ())


async def test_a_generation_that_was_made_upon_another_is_no_leftover_of_a_first_commit() -> None:
    store, base = await begun(LARGE)
    await commit(Untidy(store), KEYS, base, LARGER, ALICE)
    lost = (Delete(KEYS.head), DeletePrefix(KEYS.history_prefix), DeletePrefix(KEYS.config(base.head.generation)))
    await by_hand(store, *lost)
    with pytest.raises(UnsafeChange, match="put the head back"):
        await commit(store, KEYS, None, EMPTY, ALICE)
