"""Long work leaves the event loop to others for as long as it had it itself."""

import asyncio
import time

from watchers.turns import TURN_S, Turns


async def work(turns: Turns, steps: int, step_s: float, done: list[float]) -> None:
    for _ in range(steps):
        time.sleep(step_s)  # noqa: ASYNC251 - it is work
        done.append(time.monotonic())
        await turns.give_way()


async def gaps_s(stop: asyncio.Event) -> list[float]:
    """Return how long the event loop let this wait each time."""
    found = []
    while not stop.is_set():
        began_s = time.monotonic()
        await asyncio.sleep(0)
        found.append(time.monotonic() - began_s)
    return found


async def test_others_have_half_of_the_time_and_wait_for_no_more_than_a_turn_and_a_step() -> None:
    stop, done = asyncio.Event(), list[float]()
    others = asyncio.create_task(gaps_s(stop))
    began_s = time.monotonic()
    await work(Turns(), 50, 0.002, done)
    took_s = time.monotonic() - began_s
    stop.set()
    waited = [gap for gap in await others if gap >= 0.002]
    assert took_s > 1.8 * 50 * 0.002
    assert waited
    assert sorted(waited)[len(waited) // 2] < TURN_S + 0.01


async def test_work_that_is_shorter_than_a_turn_is_not_interrupted() -> None:
    order: list[str] = []

    async def other() -> None:
        order.append("other")

    turns = Turns()
    waiting = asyncio.create_task(other())
    await turns.give_way()
    order.append("work")
    await waiting
    assert order == ["work", "other"]


async def test_time_spent_waiting_for_work_is_no_turn() -> None:
    turns = Turns()
    await asyncio.sleep(2 * TURN_S)
    assert turns.over
    turns.begin()
    assert not turns.over
