import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd.configuration import Committed, commit, read, record, records
from clusterd.document import from_data
from clusterd.errors import ConfigError, ConflictError, StoreError, StoreUnavailable, Uncertain, UnsafeChange
from clusterd.history import (
    Author,
    ObjectChange,
    Signature,
    as_json,
    broken_links,
    head_of,
    objects_hash,
    recorded,
    replayed,
)
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.store.contract import Condition, Delete, Modified, Operation, Outcome, Put
from clusterd.store.memory import MemoryStore
from tests.clusterd.examples import clusters, manual

KEYS = Keys("main")
NOW = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
ALICE = Signature(Author(user="alice", host="r1"), NOW, "as agreed")
BOB = Signature(Author(user="bob", host="r2"), NOW, "more for rs1")
EMPTY = from_data({})


def with_weight(weight: int) -> Cluster:
    """Return the manual's cluster with another weight of rs1."""
    data = manual().model_dump(mode="json", by_alias=True)
    data["virtuals"]["web"]["servers"]["rs1"]["weight"] = weight
    return from_data(data)


async def known(store: MemoryStore) -> Committed:
    """Return what is committed, which the test knows to be there."""
    committed = await read(store, KEYS)
    assert committed is not None
    return committed


async def by_hand(store: MemoryStore, *operations: Operation) -> None:
    """Write past clusterd, as somebody with etcdctl."""
    assert (await store.transact([], operations)).succeeded


@given(st.lists(clusters(), min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
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
    entries = (await store.snapshot(KEYS.prefix)).entries
    assert {entry.mod_revision for entry in entries} == {committed.revision}
    secret = next(entry.value for entry in entries if entry.key == KEYS.peer_key)
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


class Interrupted(MemoryStore):
    """A connection on which something happens before a transaction, or whose answers get lost."""

    def __init__(self, other: MemoryStore, before: Any = None) -> None:
        super().__init__()
        self._data = other._data
        self._before = before
        self.lost_before = 0  # so many next transactions never arrive
        self.lost_after = 0  # so many next transactions are done, but their answer is lost
        self.late: list[tuple[Sequence[Condition], Sequence[Operation]]] = []

    async def transact(self, conditions: Sequence[Condition], operations: Sequence[Operation]) -> Outcome:
        if self._before:
            before, self._before = self._before, None
            await before()
        if self.lost_before:
            self.lost_before -= 1
            self.late.append((conditions, operations))
            raise Uncertain("lost on its way")
        outcome = await super().transact(conditions, operations)
        if self.lost_after:
            self.lost_after -= 1
            raise Uncertain("lost on its way back")
        return outcome


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("barrier_lost", [False, True])
async def test_a_commit_whose_answer_was_lost_is_found(first: bool, barrier_lost: bool) -> None:
    store = MemoryStore()
    base = None if first else await commit(store, KEYS, None, manual(), ALICE)
    poor = Interrupted(store)
    poor.lost_after = 2 if barrier_lost else 1
    done = await commit(poor, KEYS, base, with_weight(7), ALICE)
    again = await known(store)
    assert (again.cluster, again.head) == (with_weight(7), done.head)
    assert (again.head_revision, again.number) == (done.head_revision, 1 if first else 2)
    assert len(await records(store, KEYS)) == again.number


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("barrier_lost", [0, 1])
async def test_a_commit_that_never_arrived_is_known_not_to_be_done_even_if_it_arrives_late(
    first: bool, barrier_lost: int
) -> None:
    store = MemoryStore()
    base = None if first else await commit(store, KEYS, None, manual(), ALICE)
    poor = Interrupted(store)
    poor.lost_before, poor.lost_after = 1, barrier_lost
    with pytest.raises(StoreUnavailable, match="nothing was committed"):
        await commit(poor, KEYS, base, with_weight(7), ALICE)
    late = await store.transact(*poor.late[0])
    assert not late.succeeded
    now = await read(store, KEYS)
    assert (now and now.head) == (base and base.head)
    done = await commit(store, KEYS, now, with_weight(7), ALICE)  # and it is safe to try again
    assert broken_links(await records(store, KEYS), done.head) == ()


async def test_a_lost_commit_whose_place_another_took_is_a_conflict() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    poor = Interrupted(store, before=lambda: commit(store.connect(), KEYS, base, with_weight(5), BOB))
    poor.lost_before = 1
    with pytest.raises(ConflictError, match="commit 2 by bob@r2"):
        await commit(poor, KEYS, base, with_weight(7), ALICE)


async def test_what_cannot_be_found_out_stays_uncertain_and_says_how_to_look_it_up() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    poor = Interrupted(store)
    poor.lost_after = 1000
    with pytest.raises(Uncertain, match=r"`clusterd log` shows commit 2 with the id [0-9a-f-]{36}"):
        await commit(poor, KEYS, base, with_weight(7), ALICE, patience_s=0.3)


async def test_a_refusal_while_looking_a_commit_up_leaves_it_uncertain() -> None:
    class Refusing(Interrupted):
        async def transact(self, conditions: Sequence[Condition], operations: Sequence[Operation]) -> Outcome:
            if self.late:
                raise StoreError("permission denied")
            return await super().transact(conditions, operations)

    store = MemoryStore()
    poor = Refusing(store)
    poor.lost_before = 1
    with pytest.raises(Uncertain, match="permission denied"):
        await commit(poor, KEYS, None, manual(), ALICE)


async def test_etcd_away_is_said_at_once() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    store.down = True
    with pytest.raises(StoreUnavailable):
        await read(store, KEYS)
    with pytest.raises(StoreUnavailable):
        await commit(store, KEYS, base, EMPTY, ALICE)


WEB = KEYS.config_object(1, "virtuals/web")


@pytest.mark.parametrize(
    ("written", "strays"),
    [
        (Put(WEB, b'{"address": "9.9.9.9/24", "interface": "eth0", "port": 80}'), ("virtuals/web",)),
        (Put(WEB, b"\xff not JSON"), ("virtuals/web",)),
        (Put(WEB, b"[" * 5000), ("virtuals/web",)),
        (Put(WEB, b'"\\ud800"'), ("virtuals/web",)),
        (Delete(WEB), ("virtuals/web",)),
        (Put(KEYS.config_object(1, "routers/r9"), b'{"public": "1.2.3.9"}'), ("routers/r9",)),
        (Put(KEYS.config_object(1, "what/is/this"), b"1"), ("what/is/this",)),
    ],
)
async def test_what_somebody_wrote_past_the_commits_is_not_believed_and_the_next_commit_repairs_it(
    written: Operation, strays: tuple[str, ...]
) -> None:
    store = MemoryStore()
    await commit(store, KEYS, None, EMPTY, ALICE)
    await commit(store, KEYS, await known(store), manual(), ALICE)
    await by_hand(store, written)
    stray = await known(store)
    assert (stray.cluster, stray.strays) == (manual(), strays)
    await commit(store, KEYS, stray, manual(), BOB)
    repaired = await known(store)
    assert (repaired.cluster, repaired.strays, repaired.number) == (manual(), (), 3)
    assert broken_links(await records(store, KEYS), repaired.head) == ()


async def test_a_key_touched_without_a_change_is_no_stray() -> None:
    store = MemoryStore()
    await commit(store, KEYS, None, manual(), ALICE)
    entry = await store.get(WEB)
    assert entry is not None
    await by_hand(store, Put(WEB, entry.value))
    assert (await known(store)).strays == ()


async def test_what_the_history_cannot_give_back_is_an_error_that_names_the_key() -> None:
    store = MemoryStore()
    await commit(store, KEYS, None, manual(), ALICE)
    await by_hand(store, Put(WEB, b"{}"), Delete(KEYS.history(1)))
    with pytest.raises(ConfigError, match=f"{WEB}: is not what commit 1 left here"):
        await read(store, KEYS)


@pytest.mark.parametrize("value", [b"", b"\xff", b"{}", b"[]", b'{"number": 1}', b'{"number": -1, "generation": 1}'])
async def test_a_head_that_clusterd_did_not_write_is_an_error_that_names_the_key(value: bytes) -> None:
    store = MemoryStore()
    await by_hand(store, Put(KEYS.head, value))
    with pytest.raises(ConfigError, match=f"{KEYS.head}: not a head that clusterd wrote"):
        await read(store, KEYS)


async def test_a_record_that_clusterd_did_not_write_is_an_error_that_names_the_key() -> None:
    store = MemoryStore()
    await by_hand(store, Put(KEYS.history(3), b"{}"))
    with pytest.raises(ConfigError, match=KEYS.history(3)):
        await records(store, KEYS)


async def test_committed_objects_of_another_version_are_an_error_that_names_the_key() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    later = {**base.objects["virtuals/web"], "colour": "red"}
    past = await record(store, KEYS, 1)
    assert past is not None
    head = head_of(past, 1, {**base.objects, "virtuals/web": later})
    await by_hand(store, Put(WEB, json.dumps(later).encode()), Put(KEYS.head, as_json(head)))
    with pytest.raises(ConfigError, match=f"{WEB}/colour: unknown key"):
        await read(store, KEYS)


async def test_an_equal_value_that_was_written_in_another_way_is_no_stray_later() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    beat = {"keepalive_s": 1, "deadtime_s": 3, "port": 5390}  # the model says 1.0
    objects = {**base.objects, "cluster": {**base.objects["cluster"], "heartbeat": beat}}
    head = base.head.model_copy(update={"config_hash": objects_hash(objects)})
    settings_key = KEYS.config_object(1, "cluster")
    await by_hand(store, Put(settings_key, json.dumps(objects["cluster"]).encode()), Put(KEYS.head, as_json(head)))
    await commit(store, KEYS, await known(store), with_weight(5), ALICE)
    entry = await store.get(settings_key)
    assert entry is not None
    assert b'"keepalive_s": 1,' in entry.value
    await by_hand(store, Delete(KEYS.history(1)))  # so that nothing could be given back
    assert (await known(store)).strays == ()


async def test_records_beyond_the_head_give_nothing_back() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    away = {"virtuals/web": ObjectChange(before=base.objects["virtuals/web"])}
    beyond = recorded(2, "id", ALICE, base.head.hash, away)
    await by_hand(store, Put(KEYS.history(2), as_json(beyond)), Put(WEB, b"{}"))
    assert (await known(store)).cluster == manual()


async def test_a_lost_head_is_not_taken_for_a_new_cluster() -> None:
    store = MemoryStore()
    await commit(store, KEYS, None, manual(), ALICE)
    await by_hand(store, Delete(KEYS.head))
    assert await read(store, KEYS) is None
    with pytest.raises(UnsafeChange, match="put the head back, or remove them"):
        await commit(store, KEYS, None, EMPTY, ALICE)


async def test_a_new_generation_is_followed_between_the_two_reads() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    objects = [Put(KEYS.config_object(2, name), json.dumps(value).encode()) for name, value in base.objects.items()]
    head = await store.get(KEYS.head)
    assert head is not None
    flipped = Put(KEYS.head, head.value.replace(b'"generation": 1', b'"generation": 2'))

    class Flipping(MemoryStore):
        async def snapshot(self, *prefixes: str) -> Any:
            if (await store.transact([Modified(KEYS.head, base.head_revision)], [])).succeeded:
                await by_hand(store, flipped, *objects)
            return await store.snapshot(*prefixes)

    flipping = Flipping()
    flipping._data = store._data
    committed = await read(flipping, KEYS)
    assert committed is not None
    assert (committed.head.generation, committed.cluster) == (2, manual())
