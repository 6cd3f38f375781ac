"""Two edits of one document at the same time: what comes of both, and where they contradict each other.

    base ──► mine            the same value on both sides, or a change on one side only: that is the merged value
      └────► theirs          different changes of one field, or one side took away what the other changed: a conflict

Mappings are merged key by key: objects by name, then field by field. Everything else, lists too, is one value. What
comes out has every field from somewhere, yet the rules between objects may be broken: validate it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Data = Mapping[str, Any]
Path = tuple[str, ...]


class Gone(Enum):
    """Stands for no value at all, which is not the same as null."""

    GONE = "nothing"


GONE = Gone.GONE


@dataclass(frozen=True, slots=True)
class Conflict:
    """One place that both sides changed, differently. A side is GONE where it has nothing at this place."""

    path: Path
    base: Any
    mine: Any
    theirs: Any


@dataclass(frozen=True, slots=True)
class Merged:
    """What comes of both edits; `data` has my value where there is a conflict."""

    data: dict[str, Any]
    conflicts: tuple[Conflict, ...]


def merge(base: Data, mine: Data, theirs: Data) -> Merged:
    """Return both edits of `base` in one. Changes of either side are never lost without a conflict that names them."""
    conflicts: list[Conflict] = []
    data = _mapping((), base, mine, theirs, conflicts)
    return Merged(data, tuple(conflicts))


def _mapping(path: Path, base: Data, mine: Data, theirs: Data, conflicts: list[Conflict]) -> dict[str, Any]:
    sides = {
        key: _value(Conflict((*path, key), base.get(key, GONE), mine.get(key, GONE), theirs.get(key, GONE)), conflicts)
        for key in {**theirs, **mine}
    }
    return {key: value for key, value in sides.items() if value is not GONE}


def _value(at: Conflict, conflicts: list[Conflict]) -> Any:
    if at.mine == at.theirs or at.theirs == at.base:
        return at.mine
    if at.mine == at.base:
        return at.theirs
    if isinstance(at.mine, Mapping) and isinstance(at.theirs, Mapping):
        base = at.base if isinstance(at.base, Mapping) else {}
        return _mapping(at.path, base, at.mine, at.theirs, conflicts)
    conflicts.append(at)
    return at.mine


def caught_up(base: Data, conflicts: Iterable[Conflict]) -> dict[str, Any]:
    """Return the base of an edit that goes on after its conflicts were seen: it has their values at these places.

    So what stands there from now on is a decision: theirs when left equal to it, else mine.
    """
    data = dict(base)
    for conflict in conflicts:
        *around, last = conflict.path
        here = data
        for step in around:
            inner = here.get(step)
            here[step] = here = dict(inner) if isinstance(inner, Mapping) else {}
        if conflict.theirs is GONE:
            here.pop(last, None)
        else:
            here[last] = conflict.theirs
    return data


def changed(base: Any, value: Any) -> Any:
    """Return the part of a value that is not in `base`, the whole value where they cannot be compared."""
    if not (isinstance(base, Mapping) and isinstance(value, Mapping)):
        return value
    kept = {key: changed(base.get(key), inner) for key, inner in value.items() if base.get(key, GONE) != inner}
    return kept | {key: None for key in base if key not in value}
