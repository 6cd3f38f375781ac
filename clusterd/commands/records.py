"""Records of commits, as commands tell of them."""

from collections.abc import Iterable, Mapping
from typing import Any

from clusterd import configuration
from clusterd.changes import Change, summary
from clusterd.commands.session import Session
from clusterd.commands.streams import printable
from clusterd.configuration import Committed
from clusterd.history import Record
from clusterd.keys import Keys
from clusterd.store.contract import Store

MOST_TOLD = 3


async def since(store: Store, keys: Keys, first: int, last: int) -> list[str]:
    """Return a line about each of the commits from `first` to `last`; of many only about the newest."""
    numbers = range(max(first, last - MOST_TOLD + 1), last + 1)
    lines = [told(one) for one in await configuration.numbered(store, keys, numbers) if one is not None]
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
        raise configuration.no_commit(number, session.committed().number)
    return found


def objects_after(session: Session, base: Committed, number: int) -> Mapping[str, Any]:
    """Return the objects as a commit left them; none for commit 0. ConfigError where that is not known."""
    return session.run(lambda store, keys: configuration.objects_after(store, keys, base, number))


def plain(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """Return changes as JSON has them."""
    return [{"path": change.path, "before": change.before, "after": change.after} for change in changes]
