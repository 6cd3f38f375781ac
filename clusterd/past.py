"""What was before, from the records of the commits: earlier objects, and who last changed each field.

Only the records are read, not etcd's own old revisions, so compaction takes nothing away.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusterd.changes import Change, changes
from clusterd.errors import ConfigError, Problem
from clusterd.history import Head, Record, digest, there


@dataclass(frozen=True, slots=True)
class Origin:
    """The last commit that changed something, and to which value; None where it took it away."""

    path: str
    value: Any
    record: Record


def rewound(objects: Mapping[str, Any], later: Iterable[Record], head: Head, number: int) -> dict[str, Any]:
    """Return the objects as commit `number` left them: those of the head without what `later` records changed.

    Raises ConfigError where the records from `number` + 1 to the head are not all there, or one was altered.
    """
    by_number = {record.number: record for record in later}
    result, following = dict(objects), head.hash
    for each in range(head.number, number, -1):
        record = by_number.get(each)
        if record is None or record.hash != following or record.hash != digest(record):
            what = "is missing" if record is None else "was altered"
            said = f"the record of commit {each} {what}, so what was before is not known; see `clusterd audit verify`"
            raise ConfigError([Problem(0, "", said)])
        following = record.parent
        for name, change in record.changes.items():
            result.pop(name, None)
            if change.before is not None:
                result[name] = change.before
    return result


def blamed(records: Sequence[Record], path: str) -> tuple[Origin, ...]:
    """Return the origins of all fields at a path and below it that were ever set, by their paths.

    Where none of them was, it is the commit that made (or took away) what is around them, if there is one.
    """
    origins: dict[str, Origin] = {}
    made: dict[str, Origin] = {}
    for record in sorted(records, key=lambda record: record.number):
        for change in _changes(record):
            _take_away(origins, change.path)
            for where, value in _fields(change.path, change.after):
                origins[where] = Origin(where, value, record)
            if change.before is None or change.after is None:
                _take_away(made, change.path)
                made[change.path] = Origin(change.path, change.after, record)
    below = [origins[where] for where in sorted(origins) if _within(where, path)]
    found = tuple(origin for origin in below if origin.value is not None or origin.path == path)
    if found:
        return found
    around = [where for where in made if _within(path, where)]
    return (made[max(around, key=len)],) if around else ()


def _changes(record: Record) -> tuple[Change, ...]:
    before = {name: change.before for name, change in record.changes.items() if change.before is not None}
    return changes(before, there(record.changes))


def _fields(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _fields(f"{path}/{key}", inner)
    else:
        yield path, value


def _take_away(known: dict[str, Origin], path: str) -> None:
    for where in [where for where in known if _within(where, path)]:
        del known[where]


def _within(path: str, around: str) -> bool:
    return not around or path == around or path.startswith(f"{around}/")
