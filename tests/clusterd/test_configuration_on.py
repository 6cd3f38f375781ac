"""What is committed, read on from what is known: the same as by reading everything, but without doing so."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd.configuration import Committed, commit, read, read_on, records
from clusterd.configuration.objects import Objects
from clusterd.document import from_data
from clusterd.errors import ConfigError
from clusterd.model import Cluster
from clusterd.store.contract import Delete, Operation, Put, Snapshot
from clusterd.store.memory import MemoryStore
from tests.clusterd.big import big_data
from tests.clusterd.commits import ALICE, BOB, KEYS, WEB, by_hand, known, with_weight
from tests.clusterd.examples import manual
from tests.strategies import clusters


class Counting(MemoryStore):
    """A store that knows how often many keys were read."""

    snapshots = 0

    async def snapshot(self, *prefixes: str) -> Snapshot:
        self.snapshots += 1
        return await super().snapshot(*prefixes)


def same(one: Committed | None, other: Committed | None) -> bool:
    """Tell whether both say the same; revisions to watch from may differ."""
    assert one is not None
    assert other is not None
    return replace(one, revision=0) == replace(other, revision=0)


async def test_the_next_commit_is_read_from_its_record_alone() -> None:
    store = Counting()
    base = await commit(store, KEYS, None, from_data(big_data(40, 3)), ALICE)
    data = big_data(40, 3)
    data["virtuals"]["v0007"]["port"] = 81
    del data["virtuals"]["v0008"]
    await commit(store, KEYS, base, from_data(data), BOB)
    before = store.snapshots
    followed = await read_on(store, KEYS, base)
    assert store.snapshots == before
    assert same(followed, await read(store, KEYS))
    assert followed is not None
    assert followed.cluster.virtuals["v0001"] is base.cluster.virtuals["v0001"]


@pytest.mark.parametrize(
    ("written", "snapshots"),  # two: of the objects, and of the history that has the committed ones
    [
        (Put("/elsewhere", b""), 0),
        (Put(KEYS.config(1) + "virtuals/v0003", b"{}"), 2),
        (Put(KEYS.config(1) + "virtuals/another", b"{}"), 2),
        (Delete(KEYS.config(1) + "virtuals/v0003"), 2),
    ],
)
async def test_what_nobody_touched_is_not_read_again_and_whatever_was_is(written: Put | Delete, snapshots: int) -> None:
    store = Counting()
    await commit(store, KEYS, None, from_data(big_data(10, 3)), ALICE)
    before = await read(store, KEYS)
    await store.transact((), [written])
    store.snapshots = 0
    after = await read(store, KEYS, before)
    assert store.snapshots == snapshots
    assert after is not None
    assert after.strays == (written.key.removeprefix(KEYS.config(1)),) * bool(snapshots)
    assert after.revision == (await store.snapshot("")).revision


@given(clusters(), clusters(), st.booleans())
@settings(max_examples=60)
async def test_whatever_was_changed_reading_on_says_the_same_as_reading(
    one: Cluster, other: Cluster, compact: bool
) -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, one, ALICE)
    known = await read(store, KEYS, compact=compact)
    await commit(store, KEYS, base, other, BOB)
    following = await read_on(store, KEYS, known, compact=compact)
    assert following is not None
    assert isinstance(following.objects, Objects) is compact
    assert same(following, await read(store, KEYS))


async def test_a_record_in_parts_is_read_with_them() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    await commit(store, KEYS, base, from_data(big_data(150, 2, pages=11)), BOB)
    assert same(await read_on(store, KEYS, base), await read(store, KEYS))


async def test_of_several_commits_the_last_one_is_read() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    await commit(store, KEYS, await commit(store, KEYS, base, with_weight(5), BOB), with_weight(6), ALICE)
    assert same(await read_on(store, KEYS, base), await known(store))


async def test_without_a_commit_in_between_nothing_is_new() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    assert same(await read_on(store, KEYS, base), base)


@pytest.mark.parametrize(
    "written",
    [
        (Delete(KEYS.history(2)),),
        (Put(KEYS.history(2), b"{}"),),
        (Put(KEYS.history(2), b"\xff"),),
        (Put(WEB, b"{}"),),
    ],
)
async def test_what_was_written_past_the_commit_leads_astray_in_neither_way(written: Sequence[Operation]) -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    last = await commit(store, KEYS, base, with_weight(5), BOB)
    await by_hand(store, *written)
    followed = await read_on(store, KEYS, base)
    assert followed is not None
    assert (followed.number, followed.cluster) == (2, last.cluster)


async def test_a_record_of_another_commit_is_not_taken_for_the_next() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    await commit(store, KEYS, base, with_weight(5), BOB)
    (_, second) = await records(store, KEYS)
    altered = second.model_dump(mode="json")
    altered["changes"]["virtuals/web"]["after"]["port"] = 99
    await by_hand(store, Put(KEYS.history(2), json.dumps(altered).encode()))
    followed = await read_on(store, KEYS, base)
    assert followed is not None
    assert followed.cluster == with_weight(5)


async def test_strays_that_are_known_are_looked_at_again() -> None:
    store = MemoryStore()
    await commit(store, KEYS, None, manual(), ALICE)
    await by_hand(store, Put(WEB, b"{}"))
    astray = await known(store)
    assert astray.strays == ("virtuals/web",)
    await commit(store, KEYS, astray, with_weight(5), BOB)
    followed = await read_on(store, KEYS, astray)
    assert followed is not None
    assert followed.strays == ()


async def test_what_nobody_wrote_to_since_is_not_looked_into_again() -> None:
    store = MemoryStore()
    await commit(store, KEYS, None, manual(), ALICE)
    first = await known(store)
    again = await read(store, KEYS, first)
    assert again is not None
    assert (again.cluster, again.objects) == (first.cluster, first.objects)
    assert again.objects is first.objects


@pytest.mark.parametrize("written", [Put(WEB, b"{}"), Delete(WEB), Put(KEYS.config(1) + "virtuals/more", b"{}")])
async def test_what_somebody_wrote_past_the_commits_is_found_by_reading_everything_again(written: Operation) -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    first = await known(store)
    await by_hand(store, written)
    seen = await read(store, KEYS, first)
    assert seen is not None
    assert len(seen.strays) == 1
    last = await commit(store, KEYS, base, with_weight(5), BOB)
    followed = await read_on(store, KEYS, first)
    assert followed is not None
    assert followed.number == last.number
    told = await read(store, KEYS, followed)
    fresh = await read(store, KEYS)
    assert told is not None
    assert fresh is not None
    assert told.strays == fresh.strays


async def test_a_store_that_lost_everything_has_nothing() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    assert await read_on(MemoryStore(), KEYS, base) is None
    await by_hand(store, Put(KEYS.head, b"?"))
    with pytest.raises(ConfigError, match="head"):
        await read_on(store, KEYS, base)
