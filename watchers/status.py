"""What a router says of itself in its status key. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from clusterd.election import State
from clusterd.plane import Failure, Operation
from clusterd.reports import Followed

_MOST = 10


@dataclass(frozen=True, slots=True)
class Share:
    """What a router is for one group of addresses."""

    role: str  # active | backup
    token: int
    since: str


@dataclass(frozen=True, slots=True)
class Status:
    """One router as others see it: active where it is so in any group; `since` and `token` are of group `default`."""

    role: str  # active | backup | dry run
    since: str
    token: int
    groups: Mapping[str, Share]
    head: int
    applied: int
    follows: Followed
    converged: bool
    ready: bool
    not_ready: tuple[str, ...]  # why not
    problems: tuple[str, ...]
    undoes: bool  # whether it may commit, so that it can undo commits
    drift: str = ""  # what others changed last, and this router repaired
    drift_at: str = ""
    warnings: tuple[str, ...] = ()  # what is not wrong now, and has faults that are known

    def fields(self) -> dict[str, Any]:
        """Return the fields under their stable names."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        groups = {group: asdict(share) for group, share in self.groups.items()}
        return fields | {"groups": groups, "follows": self.follows.model_dump()}

    def line(self) -> str:
        """Return all of it in one line, for `systemctl status`."""
        state = f"{self.role}, commit {self.applied}" + (f" of {self.head}" if self.head != self.applied else "")
        wrong = self.problems or self.not_ready
        return state + (f"; {wrong[0]}" if wrong else "") + (f" (and {len(wrong) - 1} more)" if wrong[1:] else "")


def shares(states: Mapping[str, State], since: Callable[[str], str]) -> dict[str, Share]:
    """Return what a router is for each group, from the states of its elections and since when it has been that."""
    return {
        group: Share("active" if state.acting else "backup", state.token, since(group))
        for group, state in states.items()
    }


def kernel_problems(failures: Iterable[Failure], left: Iterable[Operation]) -> tuple[str, ...]:
    """Return what the kernel refused, and what differs without having been refused; the first ones of many."""
    refused = [f"the kernel refused: {failure}" for failure in failures]
    told = refused or [f"the kernel is not yet as wanted: {operation}" for operation in left]
    more = [f"and {len(told) - _MOST} more"] if len(told) > _MOST else []
    return tuple(told[:_MOST] + more)
