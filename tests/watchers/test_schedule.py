"""Calls at their times, in their order, and how late things were."""

import asyncio

from watchers.lateness import Lateness
from watchers.schedule import Schedule


async def test_calls_come_in_the_order_of_their_times_and_not_before() -> None:
    loop = asyncio.get_running_loop()
    seen: list[tuple[str, bool]] = []
    schedule = Schedule()
    now_s, done = loop.time(), asyncio.Event()

    def call(name: str, due_s: float) -> None:
        schedule.at(due_s, lambda: seen.append((name, loop.time() >= due_s - 0.001)))

    for name, after_s in (("c", 0.09), ("a", 0.03), ("b", 0.06)):
        call(name, now_s + after_s)
    schedule.at(now_s + 0.1, done.set)
    await asyncio.wait_for(done.wait(), 5)
    assert seen == [("a", True), ("b", True), ("c", True)]


async def test_what_was_cancelled_is_not_called() -> None:
    schedule, seen, done = Schedule(), list[str](), asyncio.Event()
    now_s = asyncio.get_running_loop().time()
    schedule.at(now_s, lambda: seen.append("no")).cancel()
    schedule.at(now_s, lambda: seen.append("yes"))
    schedule.at(now_s + 0.01, done.set)
    await asyncio.wait_for(done.wait(), 5)
    assert seen == ["yes"]


async def test_a_call_may_add_further_ones_and_many_at_once_let_others_have_their_turn() -> None:
    loop, count, turns = asyncio.get_running_loop(), 0, 0
    schedule, done = Schedule(), asyncio.Event()

    def again() -> None:
        nonlocal count
        count += 1
        if count == 1000:
            done.set()
        schedule.at(loop.time(), again)

    schedule.at(loop.time(), again)
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
