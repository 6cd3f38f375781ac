"""Editors at the same time, through `commit` on a store in memory: no update is ever lost."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd.configuration import Committed, commit, read, records
from clusterd.document import from_data
from clusterd.errors import ConflictError, StoreUnavailable
from clusterd.history import Author, Signature, broken_links, replayed
from clusterd.model import Cluster
from clusterd.store.contract import Condition, Entry, Operation, Outcome, Since, Snapshot
from clusterd.store.memory import MemoryStore
from tests.clusterd.big import MANY, check_whole
from tests.clusterd.commits import ALICE, KEYS, NOW, Interrupted, known
from tests.clusterd.examples import clusters, manual

OBJECTS = 4


@dataclass(frozen=True)
class Edit:
    """One value that somebody wants: no two edits want the same, so the history tells whose it is."""

    place: int
    port: int

    def done(self, cluster: Cluster) -> Cluster:
        data = cluster.model_dump(mode="json", by_alias=True)
        data["virtuals"][f"v{self.place}"]["port"] = self.port
        return from_data(data)


class Shared(MemoryStore):
    """A connection on which others come between any two calls, and whose answers get lost now and then."""

    def __init__(self, other: MemoryStore, dice: random.Random) -> None:
        super().__init__()
        self._data = other._data
        self._dice = dice

    async def _others(self) -> None:
        for _ in range(self._dice.randrange(4)):
            await asyncio.sleep(0)

    async def get(self, key: str) -> Entry | None:
        await self._others()
        return await super().get(key)

    async def snapshot(self, *prefixes: str) -> Snapshot:
        await self._others()
        return await super().snapshot(*prefixes)

    async def since(self, prefix: str, revision: int) -> Since:
        await self._others()
        return await super().since(prefix, revision)

    async def transact(self, conditions: Sequence[Condition], operations: Sequence[Operation]) -> Outcome:
        await self._others()
        self.answers_lost = self._dice.random() < 0.02
        return await super().transact(conditions, operations)


def served() -> dict[str, Any]:
    virtual = {"interface": "eth0", "port": 80}
    return {"virtuals": {f"v{place}": {"address": f"10.0.0.{1 + place}/24", **virtual} for place in range(OBJECTS)}}


async def editor(store: MemoryStore, edits: Sequence[Edit]) -> None:
    """Make each edit, again and again while others are first."""
    for edit in edits:
        done = False
        while not done:
            base = await read(store, KEYS)
            assert base is not None
            try:
                await commit(store, KEYS, base, edit.done(base.cluster), ALICE)
                done = True
            except ConflictError:
                pass
            except StoreUnavailable as error:
                assert "nothing was committed" in str(error)  # noqa: PT017 - and then it is made again


@pytest.mark.parametrize("seed", range(30))
async def test_of_random_editors_at_the_same_time_every_edit_is_done_once_and_none_is_lost(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - a seeded schedule, no secret
    store = MemoryStore()
    await commit(store, KEYS, None, from_data(served()), ALICE)
    edits = [Edit(dice.randrange(OBJECTS), 1000 + number) for number in range(dice.randrange(2, 16))]
    editors = dice.randrange(2, 5)
    await asyncio.gather(*(editor(Shared(store, dice), edits[first::editors]) for first in range(editors)))

    committed = await known(store)
    past = await records(store, KEYS)
    assert broken_links(past, committed.head) == ()
    assert replayed(past) == committed.objects
    told = [(name, change.after["port"]) for one in past[1:] for name, change in one.changes.items()]
    assert sorted(told) == sorted((f"virtuals/v{edit.place}", edit.port) for edit in edits)
    last = {f"v{place}": 80 for place in range(OBJECTS)} | {name.removeprefix("virtuals/"): port for name, port in told}
    assert {name: virtual.port for name, virtual in committed.cluster.virtuals.items()} == last


@given(clusters(), clusters(), clusters(), st.integers(0, 3))
@settings(max_examples=150)
async def test_of_two_edits_upon_the_same_state_one_is_done_and_the_other_told(
    before: Cluster, one: Cluster, other: Cluster, calls: int
) -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, before, ALICE)
    bob = Signature(Author(user="bob", host="r2"), NOW)
    results: list[Committed | ConflictError] = []

    async def first() -> None:
        results.append(await commit(store.connect(), KEYS, base, other, bob))

    second = Interrupted(store, before=first, after_calls=calls)
    try:
        results.append(await commit(second, KEYS, base, one, ALICE))
    except ConflictError as error:
        results.append(error)
    stands = await known(store)
    done = [result for result in results if isinstance(result, Committed) and result is not base]
    assert stands.cluster == (done[-1].cluster if done else before)
    assert stands.number == 1 + len(done)
    assert len(done) <= 1
    assert broken_links(await records(store, KEYS), stands.head) == ()


@pytest.mark.parametrize("calls", range(3))
async def test_a_small_edit_and_a_big_one_at_the_same_time_are_both_done_in_the_end(calls: int) -> None:
    store = MemoryStore()
    base = await commit(store, KEYS, None, manual(), ALICE)
    data = manual().model_dump(mode="json", by_alias=True)
    data["virtuals"]["web"]["port"] = 81
    small = from_data(data)
    slow = Interrupted(store, before=lambda: commit(store.connect(), KEYS, base, small, ALICE), after_calls=calls)
    with pytest.raises(ConflictError):
        await commit(slow, KEYS, base, MANY, ALICE)
    await commit(slow, KEYS, await known(store), MANY, ALICE)
    await check_whole(store, MANY, 3)
