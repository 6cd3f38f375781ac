"""What rides along in a commit's own transaction."""

import pytest

from clusterd.configuration import commit, read
from clusterd.errors import ConflictError, StoreUnavailable, UnsafeChange
from clusterd.store.contract import Created, Delete, Entry, Modified, Put
from clusterd.store.memory import MemoryStore
from tests.clusterd.commits import ALICE, BOB, EMPTY, KEYS, Interrupted, by_hand, known, with_weight
from tests.clusterd.examples import manual

PENDING = KEYS.prefix + "pending"


@pytest.mark.parametrize("first", [True, False])
async def test_what_rides_along_is_done_at_the_commits_revision(first: bool) -> None:
    store = MemoryStore()
    base = None if first else await commit(store, KEYS, None, EMPTY, ALICE)
    done = await commit(
        store, KEYS, base, manual(), ALICE, conditions=[Modified(PENDING, 0)], operations=[Put(PENDING, b"soon")]
    )
    entry = await store.get(PENDING)
    assert entry is not None
    assert (entry.value, entry.mod_revision) == (b"soon", done.revision)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", [Created, Modified])
async def test_a_condition_that_does_not_hold_refuses_the_commit_and_is_named(
    first: bool, kind: type[Created] | type[Modified]
) -> None:
    store = MemoryStore()
    base = None if first else await commit(store, KEYS, None, EMPTY, ALICE)
    await by_hand(store, Put(PENDING, b"another's"))
    before = await store.snapshot(KEYS.prefix)
    with pytest.raises(UnsafeChange, match=PENDING):
        await commit(store, KEYS, base, manual(), ALICE, conditions=[kind(PENDING, 0)], operations=[Delete(PENDING)])
    assert await store.snapshot(KEYS.prefix) == before


async def test_a_head_that_moved_is_a_conflict_whatever_else_does_not_hold() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    await commit(store, KEYS, base, EMPTY, BOB)
    with pytest.raises(ConflictError):
        await commit(store, KEYS, base, with_weight(5), ALICE, conditions=[Modified(PENDING, 7)])


async def test_a_condition_that_holds_again_when_it_is_looked_at_is_named_all_the_same() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    await by_hand(store, Put(PENDING, b"another's"))

    class Fleeting(MemoryStore):
        async def get(self, key: str) -> Entry | None:
            if key == PENDING:
                await by_hand(store, Delete(PENDING))
            return await store.get(key)

    fleeting = Fleeting()
    fleeting._data = store._data
    with pytest.raises(UnsafeChange, match=PENDING):
        await commit(fleeting, KEYS, base, EMPTY, ALICE, conditions=[Modified(PENDING, 0)])


async def test_an_unchanged_cluster_lets_nothing_ride() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    assert await commit(store, KEYS, base, manual(), BOB, operations=[Put(PENDING, b"soon")]) is base
    assert await store.get(PENDING) is None


async def test_a_lost_commit_is_known_not_to_be_done_even_where_its_rider_comes_to_hold_later() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    await by_hand(store, Put(PENDING, b"another's"))
    poor = Interrupted(store)
    poor.lost_before = 1
    with pytest.raises(StoreUnavailable, match="nothing was committed"):
        await commit(poor, KEYS, base, EMPTY, ALICE, conditions=[Modified(PENDING, 0)])
    await by_hand(store, Delete(PENDING))
    assert not (await store.transact(*poor.late[0])).succeeded
    assert (await known(store)).cluster == manual()
    assert await read(store, KEYS) is not None
