import json
from dataclasses import replace
from typing import Any

import pytest

from clusterd.configuration import commit, read, record, records
from clusterd.errors import ConfigError, UnsafeChange
from clusterd.history import (
    ObjectChange,
    as_json,
    broken_links,
    head_of,
    object_hashes,
    recorded,
)
from clusterd.store.contract import Delete, Modified, Operation, Put, Since
from clusterd.store.memory import MemoryStore
from tests.clusterd.commits import ALICE, BOB, EMPTY, KEYS, WEB, by_hand, known, with_weight
from tests.clusterd.examples import manual


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


@pytest.mark.parametrize(
    ("message", "weight", "strays", "recorded_as"),
    [
        ("", 2, 1, "writes back routers/s0"),
        ("", 2, 5, "writes back routers/s0, routers/s1, routers/s2 and 2 more"),
        ("why", 2, 1, "why (writes back routers/s0)"),
        ("why", 5, 1, "why (writes back routers/s0)"),
        ("", 5, 1, "virtuals/web/servers/rs1/weight 2 -> 5 (writes back routers/s0)"),
        ("", 5, 0, ""),
    ],
)
async def test_the_record_says_what_a_commit_writes_back(
    message: str, weight: int, strays: int, recorded_as: str
) -> None:
    store = MemoryStore()
    await commit(store, KEYS, None, manual(), ALICE)
    await by_hand(store, *(Put(KEYS.config_object(1, f"routers/s{n}"), b"{}") for n in range(strays)))
    await commit(store, KEYS, await known(store), with_weight(weight), replace(BOB, message=message))
    repaired = await known(store)
    found = await records(store, KEYS)
    assert (found[-1].message, repaired.head.message, repaired.strays) == (recorded_as, recorded_as, ())
    assert broken_links(found, repaired.head) == ()


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
    head = head_of(past, 1, object_hashes({**base.objects, "virtuals/web": later}))
    await by_hand(store, Put(WEB, json.dumps(later).encode()), Put(KEYS.head, as_json(head)))
    with pytest.raises(ConfigError, match=f"{WEB}/colour: unknown key"):
        await read(store, KEYS)


async def test_an_equal_value_that_was_written_in_another_way_is_no_stray_later() -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    beat = {"keepalive_s": 1, "deadtime_s": 3, "port": 5390}  # the model says 1.0
    objects = {**base.objects, "cluster": {**base.objects["cluster"], "heartbeat": beat}}
    head = base.head.model_copy(update={"config_hash": object_hashes(objects).whole})
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


@pytest.mark.parametrize("early", [True, False])
async def test_a_commit_while_it_is_looked_whether_there_was_one_is_not_missed(early: bool) -> None:
    """It is read at once, or what is read is of a revision before it, so that a watch from there on tells of it."""
    store = MemoryStore()
    await commit(store, KEYS, None, manual(), ALICE)
    base = await read(store, KEYS)
    assert base is not None
    again = [Put(KEYS.config_object(2, name), json.dumps(value).encode()) for name, value in base.objects.items()]
    head = await store.get(KEYS.head)
    assert head is not None
    flipped = Put(KEYS.head, head.value.replace(b'"generation": 1', b'"generation": 2'))

    class Flipping(MemoryStore):
        async def since(self, prefix: str, revision: int) -> Since:
            if early:
                await by_hand(store, flipped, *again)
            since = await store.since(prefix, revision)
            if not early:
                await by_hand(store, flipped, *again)
            return since

    flipping = Flipping()
    flipping._data = store._data
    found = await read(flipping, KEYS, base)
    flip = await store.get(KEYS.head)
    assert found is not None
    assert flip is not None
    assert (found.head.generation, found.revision) == (2, flip.mod_revision)
