"""Records of commits, as commands tell of them."""

import asyncio
from collections.abc import Iterable

from clusterd import configuration
from clusterd.changes import summary
from clusterd.commands.streams import printable
from clusterd.history import Record
from clusterd.keys import Keys
from clusterd.store.contract import Store

MOST_TOLD = 3


async def numbered(store: Store, keys: Keys, numbers: Iterable[int]) -> list[Record | None]:
    """Return the records with these numbers, None for one that is missing."""
    return list(await asyncio.gather(*(configuration.record(store, keys, number) for number in numbers)))


async def since(store: Store, keys: Keys, first: int, last: int) -> list[str]:
    """Return a line about each of the commits from `first` to `last`; of many only about the newest."""
    numbers = range(max(first, last - MOST_TOLD + 1), last + 1)
    lines = [told(one) for one in await numbered(store, keys, numbers) if one is not None]
    earlier = numbers.start - first
    return [f"{earlier} commits, and then", *lines] if earlier > 0 else lines


def told(record: Record) -> str:
    """Return who committed what and why, in one line."""
    why = f" ({record.message})" if record.message else ""
    what = summary(configuration.changes_of(record))
    return printable(f"commit {record.number} by {record.author} at {record.time}{why}: {what}")
