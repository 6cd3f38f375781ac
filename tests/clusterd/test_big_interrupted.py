"""Whoever commits is ended at each step, before or after it took effect: what stands is one of the two documents."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from clusterd.configuration import commit, read
from clusterd.errors import StoreUnavailable
from clusterd.model import Cluster
from clusterd.store.memory import MemoryStore
from tests.clusterd.big import LARGE, LARGER, OTHER, Ending, begun, check_whole, moved
from tests.clusterd.commits import ALICE, BOB, KEYS, with_weight
from tests.clusterd.examples import manual

HALF = moved(LARGE, 50)
ENDINGS: list[Callable[[], BaseException]] = [
    asyncio.CancelledError,
    KeyboardInterrupt,
    lambda: StoreUnavailable("away"),
]
MOST_STEPS = 60


@dataclass(frozen=True)
class Case:
    """A commit of one cluster upon another, None for nothing, and the cluster that somebody commits next."""

    before: Cluster | None
    after: Cluster
    following: Cluster


SMALL = {
    "edit": Case(manual(), with_weight(5), with_weight(7)),
    "first": Case(None, manual(), with_weight(7)),
}
BIG = {
    "in-parts": Case(LARGE, HALF, moved(LARGE, 1)),
    "flip": Case(LARGE, LARGER, OTHER),
    "first-flip": Case(None, LARGE, manual()),
    "first-flip-twice": Case(None, LARGE, LARGER),
}


async def ended(case: Case, step: int, after: bool, ending: Callable[[], BaseException]) -> bool:
    """End a commit at a step and check what stands, then and after the next commit; false where it has no such step."""
    store, base = await begun(case.before) if case.before else (MemoryStore(), None)
    poor = Ending(store, step, after, ending)
    try:
        await commit(poor, KEYS, base, case.after, ALICE)
    except (asyncio.CancelledError, KeyboardInterrupt, StoreUnavailable):
        assert poor.ended
    stands = await read(store, KEYS)
    assert (stands and stands.cluster) in (case.before, case.after)
    assert stands is None or stands.strays == ()
    number = stands.number if stands else 0
    assert number - (base.number if base else 0) == (1 if stands and stands.cluster == case.after else 0)
    await commit(store, KEYS, stands, case.following, BOB)
    await check_whole(store, case.following, number + 1)
    return poor.ended


async def end_everywhere(case: Case, after: bool, shift: int) -> None:
    """End a commit at each of its steps, in one of the ways."""
    for step in range(1, MOST_STEPS):
        if not await ended(case, step, after, ENDINGS[(step + shift) % len(ENDINGS)]):
            return
    pytest.fail("the commit takes more steps than were tried")


@pytest.mark.parametrize("shift", range(len(ENDINGS)))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("case", SMALL.values(), ids=SMALL)
async def test_a_commit_that_ends_at_any_step_leaves_one_of_the_two_documents(
    case: Case, after: bool, shift: int
) -> None:
    await end_everywhere(case, after, shift)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("case", BIG.values(), ids=BIG)
async def test_a_big_commit_that_ends_at_any_step_leaves_one_of_the_two_documents_and_no_garbage(
    case: Case, after: bool
) -> None:
    await end_everywhere(case, after, 0)
