"""What was committed before, from the records of the commits."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from clusterd.changes import summary
from clusterd.configuration.reading import Committed, changes_of, record
from clusterd.errors import ConfigError, wrong
from clusterd.history import Record
from clusterd.keys import Keys
from clusterd.past import rewound
from clusterd.store.contract import Store

MOST_TOLD = 3  # commits of others
AT_ONCE = 100  # records that are read side by side


async def numbered(store: Store, keys: Keys, numbers: Iterable[int]) -> list[Record | None]:
    """Return the records with these numbers, None for one that is missing."""
    found: list[Record | None] = []
    wanted = list(numbers)
    for begin in range(0, len(wanted), AT_ONCE):
        some = wanted[begin : begin + AT_ONCE]
        found += await asyncio.gather(*(record(store, keys, number) for number in some))
    return found


async def objects_after(store: Store, keys: Keys, base: Committed, number: int) -> Mapping[str, Any]:
    """Return the objects as a commit left them; none for commit 0. ConfigError where that is not known."""
    if number > base.number:
        raise no_commit(number, base.number)
    if number == base.number:
        return base.objects
    later = await numbered(store, keys, range(number + 1, base.number + 1))
    return rewound(base.objects, [one for one in later if one is not None], base.head, number)


async def since(store: Store, keys: Keys, first: int, last: int) -> list[str]:
    """Return a line about each of the commits from `first` to `last`; of many only about the newest."""
    numbers = range(max(first, last - MOST_TOLD + 1), last + 1)
    lines = [told(one) for one in await numbered(store, keys, numbers) if one is not None]
    earlier = numbers.start - first
    return [f"{earlier} commits, and then", *lines] if earlier > 0 else lines


def told(record: Record) -> str:
    """Return who committed what and why, in one line; what people wrote stands in it as they did."""
    why = f" ({record.message})" if record.message else ""
    return f"commit {record.number} by {record.author} at {record.time}{why}: {summary(changes_of(record))}"


def no_commit(number: int, last: int) -> ConfigError:
    """Return the error for a commit that is not there, where the last one has the number `last`."""
    if number <= last:
        return wrong("", f"the record of commit {number} is missing; see `clusterd audit verify`")
    return wrong("", f"there is no commit {number}; the last one is {last}")
