"""In what order the router's one task takes what waits for it."""

import asyncio

import pytest

from watchers.inbox import Inbox


async def test_what_comes_first_is_taken_before_all_others_however_many_wait() -> None:
    inbox: Inbox[str, int] = Inbox()
    for number in range(1000):
        inbox.put(number)
    inbox.put_first("lease")
    inbox.put_first("tick")
    assert len(inbox) == 1002
    assert [inbox.take() for _ in range(4)] == ["lease", "tick", 0, 1]


async def test_what_waits_already_is_not_added_once_more() -> None:
    inbox: Inbox[str, int] = Inbox()
    for _ in range(3):
        inbox.put_first_once("tick")
    assert inbox.take() == "tick"
    inbox.put_first_once("tick")
    assert len(inbox) == 1
    inbox.take()
    with pytest.raises(IndexError):
        inbox.take()


@pytest.mark.parametrize("kind", ["put", "put_first"])
async def test_whoever_waits_is_woken_by_the_next_event_and_by_no_earlier_one(kind: str) -> None:
    inbox: Inbox[int, int] = Inbox()
    inbox.put(1)
    await inbox.wait()
    inbox.take()
    waiting = asyncio.create_task(inbox.wait())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    getattr(inbox, kind)(2)
    await waiting
    assert inbox.take() == 2
