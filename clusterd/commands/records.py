"""Records of commits, as commands tell of them."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from clusterd import configuration
from clusterd.changes import Change, summary
from clusterd.commands.session import Session
from clusterd.commands.streams import printable, wrong
from clusterd.configuration import Committed
from clusterd.errors import ConfigError
from clusterd.history import Record
from clusterd.keys import Keys
from clusterd.past import rewound
from clusterd.reports import AppliedReport, applied_report
from clusterd.store.contract import Store

MOST_TOLD = 3
AT_ONCE = 100  # records that are read side by side


async def numbered(store: Store, keys: Keys, numbers: Iterable[int]) -> list[Record | None]:
    """Return the records with these numbers, None for one that is missing."""
    found: list[Record | None] = []
    wanted = list(numbers)
    for begin in range(0, len(wanted), AT_ONCE):
        some = wanted[begin : begin + AT_ONCE]
        found += await asyncio.gather(*(configuration.record(store, keys, number) for number in some))
    return found


async def applied(store: Store, keys: Keys, number: int) -> list[AppliedReport]:
    """Return when routers saw and applied a commit, as far as they still tell."""
    prefix = keys.applied(number, "")
    entries = (await store.snapshot(prefix)).entries
    return [applied_report(entry.key.removeprefix(prefix), entry.value) for entry in entries]


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


def recorded(session: Session, number: int) -> Record:
    """Return the record of a commit. ConfigError where there is none."""
    found = session.run(lambda store, keys: configuration.record(store, keys, number))
    if found is None:
        raise _no_commit(number, session.committed().number)
    return found


def objects_after(session: Session, base: Committed, number: int) -> Mapping[str, Any]:
    """Return the objects as a commit left them; none for commit 0. ConfigError where that is not known."""
    if number > base.number:
        raise _no_commit(number, base.number)
    if number == base.number:
        return base.objects

    async def later(store: Store, keys: Keys) -> list[Record | None]:
        return await numbered(store, keys, range(number + 1, base.number + 1))

    return rewound(base.objects, [one for one in session.run(later) if one is not None], base.head, number)


def plain(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """Return changes as JSON has them."""
    return [{"path": change.path, "before": change.before, "after": change.after} for change in changes]


def _no_commit(number: int, last: int) -> ConfigError:
    if number <= last:
        return wrong("", f"the record of commit {number} is missing; see `clusterd audit verify`")
    return wrong("", f"there is no commit {number}; the last one is {last}")
