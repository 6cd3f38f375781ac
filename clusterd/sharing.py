"""Mappings of thousands of things, of which a commit leaves most alone: what is other in the next, and how to make it.

Whoever makes a mapping of another takes over the very same objects, so that one glance at each tells what is other.
A mapping that others have is a value: nobody changes it, the next one is a copy. Each commit leads here several times,
so nothing here is a loop of Python's over what stays.
"""

from collections.abc import Iterable, Mapping
from itertools import compress
from operator import is_not
from typing import TypeVar

_T = TypeVar("_T")


def changed_keys(before: Mapping[str, object], after: Mapping[str, object]) -> frozenset[str]:
    """Return the keys under which two mappings do not have the very same object."""
    if before is after:
        return frozenset()
    fresh = compress(after, map(is_not, map(before.get, after), after.values()))
    return frozenset(fresh).union(before.keys() - after.keys())


def patched(known: Mapping[str, _T], fresh: Mapping[str, _T], gone: Iterable[str] = ()) -> dict[str, _T]:
    """Return what is known with what is new and without what is gone, which need not be known."""
    after = {**known, **fresh}
    for name in gone:
        after.pop(name, None)
    return after
