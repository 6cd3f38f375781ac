from collections.abc import Sequence

import pytest

from clusterd.configuration import commit, read, records
from clusterd.errors import ConflictError, StoreError, StoreUnavailable, Uncertain
from clusterd.history import (
    broken_links,
)
from clusterd.store.contract import Condition, Operation, Outcome
from clusterd.store.memory import MemoryStore
from tests.clusterd.commits import ALICE, BOB, KEYS, Interrupted, known, with_weight
from tests.clusterd.examples import manual


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
