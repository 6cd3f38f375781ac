"""An edit on its way into a commit: merged with what others did since it was begun, told as a difference, committed.

The page carries the number of the commit that the person saw. Only what differs between that and what they made of it
is their wish; nothing else of an edit is kept here.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from clusterd import brakes, configuration, document
from clusterd.changes import Change, changes
from clusterd.configuration import Committed
from clusterd.errors import wrong
from clusterd.history import Author, Signature
from clusterd.keys import Keys
from clusterd.merging import rejoined
from clusterd.model import Cluster
from clusterd.store.contract import Store


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a commit would do upon `base`. `held` says which brakes hold it, `meanwhile` what others committed."""

    base: Committed
    cluster: Cluster
    found: tuple[Change, ...]
    held: tuple[str, ...]
    meanwhile: tuple[str, ...]


async def read(store: Store, keys: Keys, known: Committed | None) -> Committed:
    """Return what is committed. ConfigError where nothing is."""
    base = await configuration.read(store, keys, known)
    if base is None:
        raise wrong("", f"cluster {keys.cluster} has no configuration yet: make one with clusterd init")
    return base


async def proposed(
    store: Store, keys: Keys, base: Committed, seen: int, make: Callable[[Cluster], Cluster]
) -> Proposal:
    """Return what committing would do, upon `base`, for somebody who saw commit number `seen` and made this of it.

    Raises ConfigError where that is not valid, Overtaken where it contradicts what others committed since.
    """
    happened: tuple[str, ...] = ()
    if seen == base.number:
        cluster = make(base.cluster)
    else:
        before = document.from_objects(await configuration.objects_after(store, keys, base, seen))
        happened = tuple(await configuration.since(store, keys, seen + 1, base.number))
        cluster = rejoined(before, make(before), base, "\n".join(happened)).cluster
    found = changes(base.objects, document.objects(cluster))
    return Proposal(base, cluster, found, brakes.held(base.cluster, cluster), happened)


async def commit(store: Store, keys: Keys, ready: Proposal, author: Author, message: str) -> Committed:
    """Commit it. Raises ConflictError where somebody else was first, and the store's errors."""
    signature = Signature(author, datetime.now(UTC), message)
    return await configuration.commit(store, keys, ready.base, ready.cluster, signature)


def author(name: str, address: str, here: str) -> Author:
    """Return a user of the console at this address as the author of a commit."""
    return Author(user=name, host=address, pid=os.getpid(), via=f"console on {here}")
