"""An active router that is isolated makes way: it orders that its locks go to a router that says that it is ready.

Where no other one is ready it stays: half a service is better than none.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

from clusterd.errors import ClusterdError
from clusterd.keys import Keys
from clusterd.reports import ORDER_S, Switchover, router_report
from clusterd.store.contract import Store
from watchers import orders
from watchers.logs import tagged

log = logging.getLogger("clusterd.router")

LOOK_S = 0.2
AGAIN_S = 1.0


class Isolation:
    """Makes way for the router `me`.

    `why` tells what it does not reach, `held` the tokens of the locks that it has by group, `others` the routers in the
    order in which they are asked.
    """

    def __init__(
        self,
        me: str,
        store: Store,
        keys: Keys,
        why: Callable[[], tuple[str, ...]],
        held: Callable[[], Mapping[str, int]],
        others: Callable[[], Iterable[str]],
    ) -> None:
        self._me, self._store, self._keys = me, store, keys
        self._why, self._held, self._others = why, held, others

    async def run(self) -> None:
        """Make way whenever it is time to, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self._why() and self._held():
                try:
                    await self._make_way()
                except ClusterdError as error:
                    about = tagged("trouble", about="isolation")
                    log.warning("isolated, and etcd was not told: %s", error, extra=about)
                await asyncio.sleep(AGAIN_S)

    async def _make_way(self) -> None:
        to = await self._ready_one()
        why = ", ".join(self._why())
        if not to or not why:
            return
        lease = await self._store.grant(ORDER_S)
        for group, token in self._held().items():
            wish = Switchover(group=group, to=to, token=token, by=orders.asker(self._me), why=why)
            if await orders.give(self._store, self._keys, wish, lease.lease_id):
                about = tagged("makes way", group=group, to=to)
                log.warning("%s: making way for %s (group %s)", why, to, group, extra=about)

    async def _ready_one(self) -> str:
        for other in self._others():
            entry = await self._store.get(self._keys.router(other))
            if entry and router_report(entry.value).ready:
                return other
        return ""
