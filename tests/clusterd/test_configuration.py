import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd.configuration import Committed, commit, read, record, records
from clusterd.document import from_data
from clusterd.errors import ConflictError, StoreUnavailable
from clusterd.history import (
    broken_links,
    replayed,
)
from clusterd.model import Cluster
from clusterd.store.contract import Put
from clusterd.store.memory import MemoryStore
from tests.clusterd.commits import ALICE, BOB, EMPTY, KEYS, Interrupted, by_hand, known, with_weight
from tests.clusterd.examples import clusters, manual


@given(st.lists(clusters(), min_size=1, max_size=5))
@settings(max_examples=40)
async def test_what_was_committed_is_read_again_and_its_history_is_whole(versions: list[Cluster]) -> None:
    store = MemoryStore()
    base: Committed | None = None
    for version in versions:
        base = await commit(store, KEYS, base, version, ALICE)
        again = await known(store)
        assert again.cluster == version
        assert (again.head, again.objects, again.head_revision) == (base.head, base.objects, base.head_revision)
        past = await records(store, KEYS)
        assert broken_links(past, again.head) == ()
        assert replayed(past) == again.objects
        in_store = (await store.snapshot(KEYS.config(1))).entries
        assert {entry.key.removeprefix(KEYS.config(1)) for entry in in_store} == set(again.objects)


async def test_nothing_is_there_before_the_first_commit() -> None:
    assert await read(MemoryStore(), KEYS) is None
    assert await records(MemoryStore(), KEYS) == ()
    assert await record(MemoryStore(), KEYS, 1) is None


async def test_the_first_commit_makes_the_secret_of_the_routers_at_the_same_revision() -> None:
    store = MemoryStore()
    committed = await commit(store, KEYS, None, manual(), ALICE)
    entries = (await store.snapshot(KEYS.prefix, KEYS.secrets_prefix)).entries
    assert {entry.mod_revision for entry in entries} == {committed.revision}
    secret = next(entry.value for entry in entries if entry.key == KEYS.peer_key)
    assert not KEYS.peer_key.startswith(KEYS.prefix), "who reads all of a cluster would read it"
    assert len(bytes.fromhex(secret.decode())) == 32


async def test_a_commit_writes_only_what_changed_at_one_revision() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    done = await commit(store, KEYS, base, with_weight(5), BOB)
    written = [e.key for e in (await store.snapshot(KEYS.prefix)).entries if e.mod_revision > base.revision]
    assert written == [KEYS.config_object(1, "virtuals/web"), KEYS.head, KEYS.history(2)]
    assert (done.number, done.head.author, done.head.message) == (2, BOB.author, "more for rs1")
    last = await record(store, KEYS, 2)
    assert last is not None
    assert list(last.changes) == ["virtuals/web"]


async def test_values_in_etcd_are_json_in_the_order_of_the_document() -> None:
    store = MemoryStore()
    await commit(store, KEYS, None, manual(), ALICE)
    entry = await store.get(KEYS.config_object(1, "routers/r1"))
    assert entry is not None
    assert entry.value == b'{"public": "1.2.3.2", "private": "192.168.1.252", "priority": 100}'


async def test_an_unchanged_cluster_is_not_committed() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    assert await commit(store, KEYS, base, manual(), BOB) is base
    equal = from_data({**manual().model_dump(mode="json", by_alias=True), "cluster": manual().settings.model_dump()})
    assert await commit(store, KEYS, base, equal, BOB) is base


async def test_who_comes_second_is_told_who_was_first() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    await commit(store, KEYS, base, with_weight(5), BOB)
    before = await store.snapshot(KEYS.prefix)
    with pytest.raises(ConflictError) as caught:
        await commit(store, KEYS, base, with_weight(3), ALICE)
    assert await store.snapshot(KEYS.prefix) == before
    assert str(caught.value).splitlines() == [
        "somebody else was first, nothing of yours was written:",
        "  commit 2 by bob@r2 at 2026-11-02T10:00:00.000Z (more for rs1): virtuals/web/servers/rs1/weight 2 -> 5",
        "read again and redo",
    ]


async def test_two_first_commits_do_not_both_succeed() -> None:
    store = MemoryStore()
    others = Interrupted(store, before=lambda: commit(store.connect(), KEYS, None, EMPTY, BOB))
    with pytest.raises(ConflictError, match="commit 1 by bob@r2"):
        await commit(others, KEYS, None, manual(), ALICE)
    assert (await known(store)).cluster == EMPTY


async def test_a_head_that_somebody_touched_is_a_conflict_too() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    head = await store.get(KEYS.head)
    assert head is not None
    await by_hand(store, Put(KEYS.head, head.value))
    with pytest.raises(ConflictError, match="the head was written anew"):
        await commit(store, KEYS, base, EMPTY, ALICE)


async def test_etcd_away_is_said_at_once() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    store.down = True
    with pytest.raises(StoreUnavailable):
        await read(store, KEYS)
    with pytest.raises(StoreUnavailable):
        await commit(store, KEYS, base, EMPTY, ALICE)


async def test_what_is_known_already_is_taken_over_and_only_changes_are_looked_at() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    again = await read(store, KEYS, base)
    assert again is not None
    assert again.cluster is base.cluster
    await commit(store, KEYS, base, with_weight(5), BOB)
    changed = await read(store, KEYS, base)
    assert changed == await read(store, KEYS)
    assert changed is not None
    assert changed.cluster.virtuals["web"] != base.cluster.virtuals["web"]
    assert changed.cluster.routers["r1"] is base.cluster.routers["r1"]
    assert changed.cluster.settings is base.cluster.settings


@given(clusters(), clusters())
@settings(max_examples=40)
async def test_whatever_is_known_the_same_is_read(one: Cluster, other: Cluster) -> None:
    store, foreign = MemoryStore(), MemoryStore()
    base = await commit(store, KEYS, None, one, ALICE)
    unrelated = await commit(foreign, KEYS, None, other, ALICE)
    assert await read(store, KEYS, unrelated) == await read(store, KEYS)
    await commit(store, KEYS, base, other, ALICE)
    assert await read(store, KEYS, base) == await read(store, KEYS)
