"""What the console knows: one task looks at the cluster, watches, and looks again; everybody who shows it waits here.

While etcd does not answer, the last look stays, with its time and the trouble; where a router runs on this host, what
that one tells is shown instead, since it goes on knowing.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from clusterd import console_users, document, looking
from clusterd.configuration import Committed
from clusterd.console_users import Users
from clusterd.errors import ClusterdError, StoreUnavailable
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.observing import local
from clusterd.overview import Overview
from clusterd.store.contract import Store
from watchers.feeds import Trouble

log = logging.getLogger("clusterd.web")

EVERY_S = 1.0  # so often it looks even when nothing changes: leases and rates do
LEAST_S = 0.2  # between two looks, and twice as long as one took


@dataclass(frozen=True, slots=True)
class Now:
    """What is known. `at` is when it was true, `trouble` why it may not be now; `number` grows with every change."""

    number: int = 0
    base: Committed | None = None
    cluster: Cluster | None = None
    view: Overview | None = None
    users: Users | None = None
    at: datetime | None = None
    trouble: str = ""
    away: bool = False  # the trouble is that etcd does not answer
    told_by: str = ""  # the router that tells it while etcd is away


class Sight:
    """Follows one cluster."""

    def __init__(self, store: Store, keys: Keys, socket: Path, clock: Callable[[], datetime] | None = None) -> None:
        self._store, self._keys, self._socket = store, keys, socket
        self._clock = clock or (lambda: datetime.now(UTC))
        self._news = asyncio.Condition()
        self.now = Now()

    async def run(self) -> None:
        """Look and watch for ever."""
        loop, trouble = asyncio.get_running_loop(), Trouble("reading the cluster")
        while True:
            began_s, revision = loop.time(), 0
            try:
                revision = await self.look()
                trouble.ends()
            except ClusterdError as error:
                trouble.begins(error)
                await self._without(error)
            await asyncio.sleep(LEAST_S + 2 * (loop.time() - began_s))
            await looking.changed(self._store, self._keys, revision, EVERY_S)

    async def look(self) -> int:
        """Look once, and return the revision to watch from. Raises ConfigError and the store's errors."""
        users = await console_users.read(self._store, self._keys)
        found = await looking.look(self._store, self._keys, self.now.base)
        if found is None:
            await self._tell(Now(users=users, at=self._clock()))
            return 0
        view = await looking.counted(found.view, self._socket)
        await self._tell(Now(base=found.base, cluster=found.base.cluster, view=view, users=users, at=self._clock()))
        return found.next_revision

    async def after(self, number: int) -> Now:
        """Wait until something is known that was not at `number`, and return it."""
        async with self._news:
            await self._news.wait_for(lambda: self.now.number > number)
        return self.now

    async def _without(self, error: ClusterdError) -> None:
        away = isinstance(error, StoreUnavailable)
        here = await local(self._socket) if away else None
        if here is None or here.overview.cluster != self._keys.cluster:
            await self._tell(replace(self.now, trouble=str(error), away=away, told_by=""))
            return
        cluster = self.now.cluster
        with suppress(ClusterdError):
            cluster = document.from_objects(here.objects)
        told = replace(self.now, trouble=str(error), away=away, told_by=here.router)
        await self._tell(replace(told, view=here.overview, cluster=cluster, at=self._clock()))

    async def _tell(self, now: Now) -> None:
        same = replace(now, number=self.now.number, at=self.now.at)
        async with self._news:
            if same == self.now:
                self.now = replace(same, at=now.at)
                return
            self.now = replace(now, number=self.now.number + 1)
            self._news.notify_all()
