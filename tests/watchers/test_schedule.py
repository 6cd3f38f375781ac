"""Calls at their times, in their order, and how late things were."""

import asyncio

from watchers.lateness import Lateness
from watchers.schedule import Schedule


async def test_times_come_in_their_order_and_not_before() -> None:
    loop, seen, done = asyncio.get_running_loop(), list[tuple[str, bool]](), asyncio.Event()

    def due(name: str, due_s: float) -> None:
        seen.append((name, loop.time() >= due_s - 0.001))
        if name == "c":
            done.set()

    schedule, now_s = Schedule(due), loop.time()
    for name, after_s in (("c", 0.09), ("a", 0.03), ("b", 0.06)):
        schedule.at(now_s + after_s, name)
    await asyncio.wait_for(done.wait(), 5)
    assert seen == [("a", True), ("b", True), ("c", True)]


async def test_the_time_of_what_was_cancelled_never_comes() -> None:
    seen, done = list[str](), asyncio.Event()

    def due(name: str, _: float) -> None:
        seen.append(name)
        if name == "last":
            done.set()

    schedule, now_s = Schedule(due), asyncio.get_running_loop().time()
    schedule.at(now_s, "cancelled").cancel()
    schedule.at(now_s, "other")
    schedule.at(now_s + 0.01, "last")
    await asyncio.wait_for(done.wait(), 5)
    assert seen == ["other", "last"]


async def test_one_may_add_further_ones_and_many_at_once_let_others_have_their_turn() -> None:
    loop, done, turns = asyncio.get_running_loop(), asyncio.Event(), 0

    def again(count: int, _: float) -> None:
        if count == 1000:
            done.set()
        schedule.at(loop.time(), count + 1)

    schedule = Schedule(again)
    schedule.at(loop.time(), 1)
    while not done.is_set():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 5


def test_lateness_is_told_by_shares() -> None:
    seen = Lateness()
    assert seen.at_most_s(0.99) == 0
    for _ in range(99):
        seen.add(0.0015)
    seen.add(9.0)
    assert (seen.total, seen.worst_s) == (100, 9.0)
    assert seen.at_most_s(0.99) == 0.002
    assert seen.at_most_s(1.0) == 9.0
