"""Records of commits, as commands tell of them."""

from collections.abc import Iterable, Mapping
from typing import Any

from clusterd import configuration
from clusterd.changes import Change
from clusterd.commands.session import Session
from clusterd.configuration import Committed
from clusterd.history import Record


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
