"""How often a router refreshes its lease, and how often it reads again what it watches."""

import asyncio
from itertools import pairwise

import pytest

from clusterd.election import LeaseSeen
from clusterd.store.contract import Lease
from clusterd.store.memory import MemoryStore
from watchers import feeds
from watchers.feeds import RELIST_MOST_S, RELIST_S, relist_s


class Slow(MemoryStore):
    """Takes a while to answer a refresh."""

    async def refresh(self, lease_id: int) -> Lease:
        answer = await super().refresh(lease_id)
        await asyncio.sleep(0.06)
        return answer


async def test_an_answer_that_takes_long_does_not_delay_the_next_refresh() -> None:
    seen: list[LeaseSeen] = []
    keeping = asyncio.create_task(feeds.lease(Slow(), lambda: (3, 0.1), seen.append))
    while len(seen) < 8:
        await asyncio.sleep(0.01)
    keeping.cancel()
    between_s = [after.sent_s - before.sent_s for before, after in pairwise(seen[1:])]
    assert sorted(between_s)[len(between_s) // 2] < 0.14


@pytest.mark.parametrize(
    ("took_s", "most_s", "again_s"),
    [(0.01, RELIST_MOST_S, 30), (0.1, RELIST_MOST_S, 200), (5, RELIST_MOST_S, 300), (5, RELIST_S, 30)],
)
def test_what_takes_long_to_read_is_read_more_seldom_where_it_may(took_s: float, most_s: float, again_s: float) -> None:
    assert relist_s(took_s, most_s) == again_s
