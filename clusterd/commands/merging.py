"""An edit that somebody else overtook: what they committed is read, and both are merged.

read ──► seen ──► typed: mine ──► commit ──► somebody was first: read theirs ──► merge(seen, mine, theirs)
                    ▲                                                              │
                    └── contradictions: typed again, having seen theirs ◄──────────┴──► commit that instead
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from clusterd import configuration, document
from clusterd.changes import shown
from clusterd.commands.records import since
from clusterd.commands.session import Session
from clusterd.configuration import Committed
from clusterd.errors import ConfigError, ConflictError, Problem
from clusterd.keys import Keys
from clusterd.merge import GONE, Conflict, Data, caught_up, changed, merge
from clusterd.model import Cluster
from clusterd.store.contract import Store


@dataclass(frozen=True, slots=True)
class Wish:
    """A cluster that somebody wants to be committed on top of `base`.

    `mine` is what they typed, `seen` the document that they knew (None: that of `base`): only what differs between
    these two is their wish. `cluster` has that, and what others committed meanwhile.
    """

    base: Committed | None
    cluster: Cluster
    mine: Cluster
    seen: Data | None = None


class Overtaken(ConflictError):
    """Somebody else committed what this edit contradicts."""

    def __init__(self, message: str, problems: Sequence[Problem], theirs: Committed, seen: Data) -> None:
        self.problems = tuple(problems)
        self._theirs = theirs
        self._seen = seen
        super().__init__("\n".join([message, *(f"  {problem}" for problem in problems)]))

    def retyped(self, mine: Cluster) -> Wish:
        """Return the wish of somebody who has seen this, and typed again. Raises Overtaken where it is not over."""
        return _merged(self._seen, mine, self._theirs, f"commit {self._theirs.number} stays as it is:")


def wished(base: Committed | None, cluster: Cluster) -> Wish:
    """Return the wish of somebody who read `base`, and made this cluster of it."""
    return Wish(base, cluster, cluster)


def refreshed(session: Session, wish: Wish, lost: ConflictError) -> Wish:
    """Return the wish on top of what is committed now, and tell what that is.

    Raises Overtaken where both contradict each other, and `lost` itself where there is nothing to merge with.
    """
    base = wish.base

    async def look(store: Store, keys: Keys) -> tuple[Committed | None, list[str]]:
        theirs = await configuration.read(store, keys)
        first = base.number + 1 if base else 1
        return theirs, await since(store, keys, first, theirs.number) if theirs else []

    theirs, lines = session.run(look)
    if base is None or theirs is None or theirs.number < base.number:
        raise lost
    happened = ["somebody else committed meanwhile:", *(f"  {line}" for line in lines)]
    seen = _data(base.cluster) if wish.seen is None else wish.seen
    merged = _merged(seen, wish.mine, theirs, "\n".join(happened))
    click.echo("\n".join([*happened, "merged with that"]), err=True)
    return merged


def _merged(seen: Data, mine: Cluster, theirs: Committed, happened: str) -> Wish:
    found = merge(seen, _data(mine), _data(theirs.cluster))
    if found.conflicts:
        message = f"{happened}\nnothing of yours was written, both changed the same:"
        problems = [_problem(conflict) for conflict in found.conflicts]
        raise Overtaken(message, problems, theirs, caught_up(seen, found.conflicts))
    try:
        cluster = document.from_data(found.data)
    except ConfigError as error:
        message = f"{happened}\nnothing of yours was written, together with that it would not be valid:"
        raise Overtaken(message, error.problems, theirs, seen) from error
    return Wish(theirs, cluster, mine, seen)


def _data(cluster: Cluster) -> dict[str, Any]:
    return cluster.model_dump(mode="json", by_alias=True)


def _problem(conflict: Conflict) -> Problem:
    base = conflict.base
    yours, theirs = (_side(base, side) for side in (conflict.mine, conflict.theirs))
    before = "" if isinstance(base, Mapping) else f", it was {_side(base, base)}"
    return Problem(0, "/".join(conflict.path), f"yours is {yours}, theirs is {theirs}{before}")


def _side(base: Any, value: Any) -> str:
    return str(value.value) if value is GONE else shown(changed(base, value))
