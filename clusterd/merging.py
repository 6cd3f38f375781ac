"""An edit that somebody else overtook: what they committed is read, and both are merged.

read ──► seen ──► typed: mine ──► commit ──► somebody was first: read theirs ──► merge(seen, mine, theirs)
                    ▲                                                              │
                    └── contradictions: typed again, having seen theirs ◄──────────┴──► commit that instead
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusterd import document
from clusterd.changes import shown
from clusterd.configuration import Committed
from clusterd.errors import ConfigError, ConflictError, Problem
from clusterd.merge import GONE, Conflict, Data, caught_up, changed, merge
from clusterd.model import Cluster


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
    """Somebody else committed what this edit contradicts.

    `theirs` is what is committed now, `both` the document of both edits, mine where they contradict each other.
    """

    def __init__(self, message: str, problems: Sequence[Problem], theirs: Committed, seen: Data, both: Data) -> None:
        self.problems = tuple(problems)
        self.theirs, self.both = theirs, both
        self._seen = seen
        super().__init__("\n".join([message, *(f"  {problem}" for problem in problems)]))

    def retyped(self, mine: Cluster) -> Wish:
        """Return the wish of somebody who has seen this, and typed again. Raises Overtaken where it is not over."""
        return _merged(self._seen, mine, self.theirs, f"commit {self.theirs.number} stays as it is:")


def wished(base: Committed | None, cluster: Cluster) -> Wish:
    """Return the wish of somebody who read `base`, and made this cluster of it."""
    return Wish(base, cluster, cluster)


def upon(wish: Wish, theirs: Committed, happened: str) -> Wish:
    """Return the wish on top of what others committed since; `happened` tells what that is.

    Raises Overtaken where both contradict each other.
    """
    before = wish.base.cluster if wish.base else Cluster()
    return _merged(_data(before) if wish.seen is None else wish.seen, wish.mine, theirs, happened)


def rejoined(seen: Cluster, mine: Cluster, now: Committed, happened: str) -> Wish:
    """Return the wish of somebody who has seen a cluster, made another of it, and commits upon what is there now.

    Raises Overtaken where both contradict each other.
    """
    return _merged(_data(seen), mine, now, happened)


def _merged(seen: Data, mine: Cluster, theirs: Committed, happened: str) -> Wish:
    found = merge(seen, _data(mine), _data(theirs.cluster))
    if found.conflicts:
        message = f"{happened}\nnothing of yours was written, both changed the same:"
        problems = [_problem(conflict) for conflict in found.conflicts]
        raise Overtaken(message, problems, theirs, caught_up(seen, found.conflicts), found.data)
    try:
        cluster = document.from_data(found.data)
    except ConfigError as error:
        message = f"{happened}\nnothing of yours was written, together with that it would not be valid:"
        raise Overtaken(message, error.problems, theirs, seen, found.data) from error
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
