"""Two configurations → what changed between them, line by line, for people.

    ~ virtuals/web/servers/rs1/weight: 2 -> 1
    + routers/r3: {public: 1.2.3.4}
    - virtuals/mail

What is left at its default is not told of something new or gone.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from clusterd import model
from clusterd.document import objects
from clusterd.model import Cluster

_CLASSES: Mapping[str, type[BaseModel]] = {
    "cluster": model.Settings,
    "routers": model.Router,
    "virtuals": model.Virtual,
}
_PLAIN = re.compile(r"[A-Za-z0-9/_.-][A-Za-z0-9/:_.+-]*")

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `before` is None for what is new, `after` is None for what is gone."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.path}: {shown(self.after)}" if self.after not in ({}, None) else f"+ {self.path}"
        if self.after is None:
            return f"- {self.path}"
        return f"~ {self.path}: {shown(self.before)} -> {shown(self.after)}"

    @property
    def summary(self) -> str:
        """The change in a few words: ``virtuals/web/port 80 -> 81``, ``+ routers/r3``."""
        if self.before is None or self.after is None:
            return f"{'+' if self.before is None else '-'} {self.path}"
        return f"{self.path} {shown(self.before)} -> {shown(self.after)}"


def between(before: Cluster, after: Cluster) -> tuple[Change, ...]:
    """Return what changed; nothing when both are equal."""
    return changes(objects(before), objects(after))


def changes(before: Data, after: Data) -> tuple[Change, ...]:
    """Return what changed between objects by name, as etcd keeps them (see `document.objects`)."""
    plain = objects(Cluster())
    old, new = {**plain, **before}, {**plain, **after}
    order = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    olds, news = ({name: side[name] for name in order if name in side} for side in (old, new))
    return tuple(_differences("", _Sides(olds, news, _sparse(olds), _sparse(news))))


def summary(found: Sequence[Change], most: int = 3) -> str:
    """Return the changes in one line; beyond the first few only their count."""
    told = [change.summary for change in found[:most]]
    rest = len(found) - len(told)
    return ", ".join(told) + (f" and {rest} more" if rest else "")


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both sides of one mapping: all of it, and only what is not at its default."""

    before: Data
    after: Data
    sparse_before: Data
    sparse_after: Data

    def inner(self, key: str) -> "_Sides":
        return _Sides(
            self.before[key], self.after[key], self.sparse_before.get(key, {}), self.sparse_after.get(key, {})
        )


def _differences(path: str, sides: _Sides) -> Iterator[Change]:
    for key in {**sides.before, **sides.after}:
        where = f"{path}/{key}" if path else key
        if key not in sides.after:
            if key in sides.sparse_before:
                yield Change(where, sides.sparse_before[key], None)
        elif key not in sides.before:
            if key in sides.sparse_after:
                yield from _added(where, sides.sparse_after[key])
        elif isinstance(sides.before[key], dict) and isinstance(sides.after[key], dict):
            yield from _differences(where, sides.inner(key))
        elif sides.before[key] != sides.after[key]:
            yield Change(where, sides.before[key], sides.after[key])


def _added(path: str, value: Any) -> Iterator[Change]:
    """Yield a new value; the named things inside it (a virtual server's real servers) have lines of their own."""
    if not isinstance(value, dict):
        yield Change(path, None, value)
        return
    named = {key: inner for key, inner in value.items() if _holds_named(inner)}
    yield Change(path, None, {key: inner for key, inner in value.items() if key not in named})
    for key, inner in named.items():
        for name, thing in inner.items():
            yield from _added(f"{path}/{key}/{name}", thing)


def _holds_named(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(inner, dict) for inner in value.values())


def _sparse(flat: Data) -> dict[str, Any]:
    """Return the objects without what is at its default; as they are where today's model does not know them."""
    sparse: dict[str, Any] = {}
    for name, value in flat.items():
        try:
            valid = _CLASSES[name.partition("/")[0]].model_validate(value)
        except (KeyError, ValidationError):
            sparse[name] = value
        else:
            sparse[name] = valid.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return sparse


def shown(value: Any) -> str:
    """Return plain data in one line, as the document writes it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(inner) for inner in value) + "]"
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)
