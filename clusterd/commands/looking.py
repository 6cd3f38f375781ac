"""The cluster as it is now, for commands that show it or act on it."""

from dataclasses import dataclass

from clusterd import configuration
from clusterd.commands.session import Session
from clusterd.configuration import Committed
from clusterd.keys import Keys
from clusterd.observing import observe
from clusterd.overview import Observed, Overview, overview
from clusterd.store.contract import Store


@dataclass(frozen=True, slots=True)
class Look:
    """What is committed, what there is beside it, both at one look, and the revision of the latter."""

    base: Committed
    seen: Observed
    view: Overview
    revision: int


async def look(session: Session, store: Store, keys: Keys, known: Committed | None = None) -> Look:
    """Return the cluster as it is; `known` is what was committed when it was looked at before.

    Raises ConfigError where nothing is committed, and the store's errors.
    """
    base = await configuration.read(store, keys, known)
    if base is None:
        raise session.nothing_committed()
    seen, revision = await observe(store, keys, base)
    return Look(base, seen, overview(keys.cluster, base.number, base.cluster, seen), revision)
