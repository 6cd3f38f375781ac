"""An isolated active router orders that its locks go to one that is ready, once, and else stays."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress

import pytest

from clusterd.keys import Keys
from clusterd.store.contract import Put
from clusterd.store.memory import MemoryStore
from watchers import isolation
from watchers.isolation import Isolation

KEYS = Keys("test")


class Rig:
    """An active router r1, and what the others say of themselves."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.why: tuple[str, ...] = ("eth0 has no carrier",)
        self.held: Mapping[str, int] = {"default": 7, "shop": 9}

    async def says(self, router: str, ready: bool) -> None:
        await self.store.transact([], [Put(KEYS.router(router), json.dumps({"ready": ready}).encode())])

    async def orders(self, others: Iterable[str] = ("r2", "r3")) -> dict[str, dict[str, object]]:
        """Let it work for a while and return what it ordered, by group."""
        work = Isolation("r1", self.store, KEYS, lambda: self.why, lambda: self.held, lambda: others).run()
        with suppress(TimeoutError):
            await asyncio.wait_for(work, 4 * isolation.LOOK_S)
        found = {group: await self.store.get(KEYS.switchover(group)) for group in ("default", "shop")}
        return {group: json.loads(entry.value) for group, entry in found.items() if entry}


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_each_lock_goes_to_the_first_router_that_is_ready(rig: Rig) -> None:
    await rig.says("r2", ready=False)
    await rig.says("r3", ready=True)
    orders = await rig.orders()
    assert {group: (order["to"], order["token"]) for group, order in orders.items()} == {
        "default": ("r3", 7),
        "shop": ("r3", 9),
    }
    assert (orders["shop"]["by"], orders["shop"]["why"]) == ("router r1", "eth0 has no carrier")


async def test_where_nobody_else_is_ready_it_stays(rig: Rig) -> None:
    await rig.says("r2", ready=False)
    assert await rig.orders() == {}


async def test_a_router_that_reaches_everything_or_holds_nothing_orders_nothing(rig: Rig) -> None:
    await rig.says("r2", ready=True)
    rig.why = ()
    assert await rig.orders() == {}
    rig.why, rig.held = ("eth0 has no carrier",), {}
    assert await rig.orders() == {}


async def test_what_somebody_ordered_already_stands(rig: Rig) -> None:
    await rig.says("r2", ready=True)
    await rig.store.transact([], [Put(KEYS.switchover("shop"), b'{"to": "r3", "token": 9}')])
    orders = await rig.orders()
    assert (orders["default"]["to"], orders["shop"]["to"]) == ("r2", "r3")
