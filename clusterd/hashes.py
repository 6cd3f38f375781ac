"""The hash of a whole configuration, made of those of its objects by way of groups of them.

    object ──► hash ─┐
    object ──► hash ─┴─► hash of a group ─┐
    object ──► hash ───► hash of a group ─┴─► hash of the whole

Which group an object is of follows from its name. So whoever knows the hashes of what a commit left alone looks at
none of it again, and of other groups not even at the hashes: of thousands of objects these are long texts.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from clusterd.sharing import patched

_GROUPS = 64  # of 4,096 objects as many as objects in each. Every head's hash is made by them: they cannot be others


def canonical_hash(data: Any) -> str:
    """Return the SHA-256 of data as JSON with sorted keys and without spaces, in hexadecimal digits."""
    canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class Hashes:
    """The hashes of objects by name (``virtuals/web``), and of all of them together; `of` makes them."""

    _groups: Mapping[str, Mapping[str, str]] = field(compare=False)  # those of the groups tell
    _joined: Mapping[str, str]

    @classmethod
    def of(cls, hashes: Mapping[str, str]) -> "Hashes":
        """Return these."""
        return cls({}, {}).after(hashes)

    def after(self, fresh: Mapping[str, str], gone: Iterable[str] = ()) -> "Hashes":
        """Return the hashes with those that are new and without those that are gone, which need not be known."""
        news: dict[str, tuple[dict[str, str], list[str]]] = {}
        for name, value in fresh.items():
            news.setdefault(_group(name), ({}, []))[0][name] = value
        for name in gone:
            news.setdefault(_group(name), ({}, []))[1].append(name)
        touched = {group: patched(self._groups.get(group, {}), *new) for group, new in news.items()}
        there = {group: hashes for group, hashes in touched.items() if hashes}
        empty = touched.keys() - there.keys()
        joined = {group: canonical_hash(hashes) for group, hashes in there.items()}
        return Hashes(patched(self._groups, there, empty), patched(self._joined, joined, empty))

    @cached_property
    def whole(self) -> str:
        """The hash of the whole; the order of the objects does not matter."""
        return canonical_hash(self._joined)

    def others(self, after: "Hashes") -> set[str]:
        """Return the names of the objects that do not have the same hash in both."""
        groups = {group for group, _ in self._joined.items() ^ after._joined.items()}
        pairs = ((self._groups.get(group, {}), after._groups.get(group, {})) for group in groups)
        return {name for one, other in pairs for name, _ in one.items() ^ other.items()}


def _group(name: str) -> str:
    return f"{int(canonical_hash(name)[:2], 16) % _GROUPS:02x}"
