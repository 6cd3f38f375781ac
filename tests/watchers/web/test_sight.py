"""What the console knows, and how soon."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.watchers.web.rig import Rig
from watchers.web.sight import Now


@asynccontextmanager
async def following(rig: Rig) -> AsyncIterator[None]:
    task = asyncio.create_task(rig.sight.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(rig: Rig, holds: Callable[[Now], object], within_s: float = 5.0) -> Now:
    """Return what is known as soon as this holds of it."""
    async with asyncio.timeout(within_s):
        now = rig.sight.now
        while not holds(now):
            now = await rig.sight.after(now.number)
    return now


async def test_what_changes_in_etcd_is_known_soon(rig: Rig) -> None:
    async with following(rig):
        await rig.change("virtuals/web/servers/rs1/weight", 9)
        now = await until(rig, lambda now: now.base and now.base.number == 2)
        assert now.view
        assert now.view.virtuals[0].servers[0].weight == 9


async def test_without_a_change_nothing_is_told_anew(rig: Rig) -> None:
    number = rig.sight.now.number
    before = rig.sight.now.at
    await rig.sight.look()
    assert rig.sight.now.number == number
    assert before
    assert rig.sight.now.at
    assert rig.sight.now.at >= before


async def test_trouble_is_told_and_so_is_its_end(rig: Rig) -> None:
    async with following(rig):
        rig.etcd.down = True
        now = await until(rig, lambda now: now.trouble)
        assert now.view
        rig.etcd.down = False
        assert not (await until(rig, lambda now: not now.trouble)).told_by
