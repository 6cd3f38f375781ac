"""Commits that are undone by themselves: unless confirmed (`--confirmed`), or when their time is over (`--for`).

A pending key is written in the commit's own transaction, and deleted in the transaction that undoes it, so it is undone
exactly once, whoever does it. Undoing takes back what that commit changed, field by field; what somebody has changed
again since stays as they made it.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Literal

from pydantic import AwareDatetime, Field, ValidationError

from clusterd.errors import ConfigError, Problem
from clusterd.history import ObjectChange, there, utc
from clusterd.model import Value


class Pending(Value):
    """Commit `number` is undone at `due`: unless it is confirmed before, or because it was for a time only."""

    number: int = Field(ge=1)
    due: AwareDatetime
    reason: Literal["confirm", "expire"]

    def as_json(self) -> bytes:
        """Return it as etcd keeps it."""
        return f'{{"number": {self.number}, "due": "{utc(self.due)}", "reason": "{self.reason}"}}'.encode()

    def told(self) -> str:
        """Say it to a person."""
        if self.reason == "confirm":
            return f"commit {self.number} is undone at {utc(self.due)} unless `clusterd confirm` comes before"
        return f"commit {self.number} is undone at {utc(self.due)}, when its time is over"

    def why_undone(self) -> str:
        """Return the message of the commit that undoes it."""
        return f"undoes commit {self.number}, " + (
            "which was not confirmed in time" if self.reason == "confirm" else "whose time is over"
        )


def parsed(key: str, value: bytes) -> Pending:
    """Return what a pending key says. Raises ConfigError, with the key as the path."""
    try:
        return Pending.model_validate_json(value)
    except ValidationError as error:
        raise ConfigError(
            [Problem(0, key, f"not a pending commit that clusterd wrote: {error.errors()[0]['msg']}")]
        ) from None


def due(waiting: Mapping[str, Pending], now: datetime) -> tuple[str, ...]:
    """Return the keys whose time has come, the newest commit first: undoing goes backwards."""
    ready = [key for key, pending in waiting.items() if pending.due <= now]
    return tuple(sorted(ready, key=lambda key: -waiting[key].number))


class _Absent(Enum):
    """Stands for a key that is not there."""

    ABSENT = 0


_ABSENT = _Absent.ABSENT


def undone(objects: Mapping[str, Any], changes: Mapping[str, ObjectChange]) -> dict[str, Any]:
    """Return the objects without these changes of an earlier commit."""
    before = {name: change.before for name, change in changes.items() if change.before is not None}
    result: dict[str, Any] = _undone(dict(objects), before, there(changes))
    return result


def _undone(now: Any, before: Any, after: Any) -> Any:
    if before == after:
        return now
    if now == after:
        return before
    if not (isinstance(now, dict) and isinstance(before, dict) and isinstance(after, dict)):
        return now
    result = dict(now)
    for key in {**before, **after}:
        value = _undone(now.get(key, _ABSENT), before.get(key, _ABSENT), after.get(key, _ABSENT))
        if value is _ABSENT:
            result.pop(key, None)
        else:
            result[key] = value
    return result
