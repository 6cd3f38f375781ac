"""The cluster as it is now, for whoever shows it or acts on it."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from clusterd import configuration
from clusterd.configuration import Committed
from clusterd.errors import Compacted, StoreUnavailable
from clusterd.keys import Keys
from clusterd.observing import local, observe
from clusterd.overview import Observed, Overview, overview, with_counters
from clusterd.store.contract import Store


@dataclass(frozen=True, slots=True)
class Look:
    """What is committed, what there is beside it, both at one look, and the revision of the latter."""

    base: Committed
    seen: Observed
    view: Overview
    revision: int

    @property
    def next_revision(self) -> int:
        """From where to watch for what changed since."""
        return min(self.base.revision, self.revision) + 1


async def look(store: Store, keys: Keys, known: Committed | None = None) -> Look | None:
    """Return the cluster as it is, None where nothing is committed.

    `known` is what was committed when it was looked at before. What is big takes a while, in another thread. Raises
    ConfigError and the store's errors.
    """
    base = await configuration.read(store, keys, known)
    if base is None:
        return None
    seen, revision = await observe(store, keys, base)
    view = await asyncio.to_thread(overview, keys.cluster, base.number, base.cluster, seen)
    return Look(base, seen, view, revision)


async def counted(view: Overview, socket: Path) -> Overview:
    """Return the overview with the connections and rates of the router on this host, where there is one."""
    here = await local(socket)
    return with_counters(view, here.overview) if here and here.overview.cluster == view.cluster else view


async def changed(store: Store, keys: Keys, revision: int, within_s: float) -> None:
    """Return when something of the cluster changed from a revision on (0: not known), and after a while in any case."""
    try:
        async with asyncio.timeout(within_s):
            if not revision:
                await asyncio.sleep(within_s)
            async with aclosing(store.watch(keys.prefix, revision)) as batches:
                await anext(batches)
    except (TimeoutError, Compacted, StoreUnavailable):
        return
