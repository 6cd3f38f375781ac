"""Every error that a caller may tell apart, named by what the caller should do next."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with a text that a person wrote.

    `path` is where in the document (``virtuals/web/port``, "" for the whole), `line` counts from 1 (0: not known).
    """

    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = [f"line {self.line}"] if self.line else []
        where += [self.path] if self.path else []
        return ": ".join([*where, self.message])


class ClusterdError(Exception):
    """Anything that clusterd reports to a person by its message alone."""


class ConfigError(ClusterdError):
    """The input is not valid: correct it. Carries all problems at once, in the order of their lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConflictError(ClusterdError):
    """Somebody else wrote first: read again and redo."""


class StoreError(ClusterdError):
    """etcd answered and refused (permission, too large, wrong request): repeating it will not help."""


class StoreUnavailable(ClusterdError):
    """etcd did not answer, and nothing was written: wait and try again. The only error that is retried."""


class Uncertain(ClusterdError):
    """A write was sent and its answer was lost: it may have happened. Look it up, never repeat it blindly."""


class Compacted(ClusterdError):
    """The wanted revision was compacted away: take a new snapshot. `revision` is the oldest one still there."""

    def __init__(self, revision: int) -> None:
        self.revision = revision
        super().__init__(f"etcd has compacted its history up to revision {revision}")


class UnsafeChange(ClusterdError):
    """Refused by a brake: nothing was done."""


class ApplyError(ClusterdError):
    """The kernel refused an operation, or a tool that speaks to it failed."""


def wrong(path: str, message: str) -> ConfigError:
    """Return the error for one wrong thing in what was typed."""
    return ConfigError([Problem(0, path, message)])
