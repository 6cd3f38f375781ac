"""Server-sent events: what comes when, how many there may be, and how they end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from tests.watchers.web.rig import Rig
from watchers.web import streams
from watchers.web.streams import Drawn


async def told(stream: AsyncIterator[str]) -> dict[str, Any]:
    """Return the parts of the next event that has some."""
    async for line in stream:
        if line.startswith("data: {"):
            return dict(json.loads(line.removeprefix("data: ")))
    raise AssertionError("the stream has ended")


async def test_all_parts_come_first_and_then_only_those_that_changed(rig: Rig) -> None:
    parts = {"a": "1", "b": "1"}
    async with aclosing(rig.streams.stream("x", lambda: dict(parts))) as stream:
        assert await told(stream) == {"a": "1", "b": "1"}
        parts["b"] = "2"
        await rig.put(rig.keys.router("r1"), role="backup")
        await rig.sight.look()
        assert await told(stream) == {"b": "2"}


async def test_a_line_without_news_is_kept_by_signs_of_life(rig: Rig) -> None:
    async with aclosing(rig.streams.stream("x", dict)) as stream:
        assert await anext(stream) == "retry: 2000\n\n"
        async with asyncio.timeout(5):
            assert [await anext(stream) for _ in range(3)] == [": still here\n\n"] * 3


async def test_a_stream_ends_with_its_session(rig: Rig) -> None:
    got = [line async for line in rig.streams.stream("x", lambda: None)]
    assert got[-1] == "event: over\ndata: over\n\n"
    assert len(rig.streams) == 0


async def test_all_streams_end_when_the_console_does(rig: Rig) -> None:
    async def read() -> list[str]:
        return [line async for line in rig.streams.stream("x", dict)]

    reading = [asyncio.create_task(read()) for _ in range(3)]
    await asyncio.sleep(0)
    while len(rig.streams) < 3:
        await asyncio.sleep(0)
    rig.streams.end()
    async with asyncio.timeout(5):
        await asyncio.gather(*reading)
    assert len(rig.streams) == 0


async def test_there_are_so_many_of_one_session_and_at_all(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST", 6)
    begun = [rig.streams.stream("x", dict) for _ in range(streams.MOST_EACH)]
    for each in begun:
        await anext(each)
    assert (rig.streams.full("x"), rig.streams.full("y")) == (True, False)
    others = [rig.streams.stream(name, dict) for name in ("y", "z")]
    for each in others:
        await anext(each)
    assert rig.streams.full("w")
    for each in (*begun, *others):
        await each.aclose()
    assert not rig.streams.full("x")


async def test_a_page_streams_its_own_parts_to_whoever_is_logged_in(rig: Rig) -> None:
    browser = await rig.logged_in("viewer")
    rig.streams.end()  # so that the answer ends
    assert (await browser.get("/live/monitoring")).headers["content-type"].startswith("text/event-stream")
    assert (await browser.get("/live/nothing")).status_code == 404
    assert (await rig.browser().get("/live/monitoring")).status_code == 401


async def test_where_there_is_no_room_it_is_said(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = await rig.logged_in("viewer")
    monkeypatch.setattr(streams, "MOST", 0)
    answer = await browser.get("/live/monitoring")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


@pytest.mark.parametrize(
    ("path", "part", "said"),
    [
        ("monitoring?q=web", "virtuals", "rs1"),
        ("topology", "topology", "<svg"),
        ("virtual?name=web", "one_virtual", "192.168.1.1:80"),
        ("plain", "state", "commit"),
    ],
)
async def test_the_parts_are_those_of_the_page(rig: Rig, path: str, part: str, said: str) -> None:
    browser = await rig.logged_in("viewer")
    token = browser.client.cookies["clusterd"]

    async def logged_out() -> None:
        while not len(rig.streams):
            await asyncio.sleep(0)
        rig.access._sessions.end(token)

    ending = asyncio.create_task(logged_out())
    answer = await browser.get(f"/live/{path}")
    await ending
    first = next(line for line in answer.text.splitlines() if line.startswith("data: {"))
    assert said in json.loads(first.removeprefix("data: "))[part]
    assert answer.text.endswith("event: over\ndata: over\n\n")


def test_many_who_look_at_one_page_cost_no_more_than_one() -> None:
    drawn, count = Drawn(), 0

    def draw() -> dict[str, str]:
        nonlocal count
        count += 1
        return {"a": str(count)}

    assert [drawn.parts(1, "page", draw) for _ in range(3)] == [{"a": "1"}] * 3
    assert drawn.parts(1, "another", draw) == {"a": "2"}
    assert drawn.parts(2, "page", draw) == {"a": "3"}
    for number in range(1000):
        drawn.parts(2, f"page {number}", draw)
    assert len(drawn._parts) <= streams.MOST_PAGES
