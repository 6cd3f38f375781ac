"""Keeps the addresses that this router holds its own: puts back what somebody removes, and answers who claims them.

At once, but not more often than is good for the network: ten times in a row at most every 0.1 s, then once a second.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clusterd.plane import Address, AddressKey, Claimed, Removed
from watchers.problems import Problems

SHORTEST_S, LONGER_S, IN_A_ROW = 0.1, 1.0, 10
QUIET_S = 10.0  # after which it begins anew
TOLD_S = 60.0  # how long a claim that was heard counts as a problem


@dataclass(slots=True)
class Restraint:
    """How often something may be done."""

    row: int = 0
    last_s: float = float("-inf")

    def next_s(self, now_s: float) -> float:
        """Return when it may be done next."""
        if now_s - self.last_s >= QUIET_S:
            self.row = 0
        return max(now_s, self.last_s + (SHORTEST_S if self.row < IN_A_ROW else LONGER_S))

    def done(self, now_s: float) -> None:
        """Remember that it was done."""
        self.row, self.last_s = self.row + 1, now_s


@dataclass(slots=True)
class Guard:
    """`holding` tells what this router has now. `put_back` adds addresses again, `announce` tells the neighbours.

    `record` is called with the kind of what happened and a sentence, when it begins.
    """

    holding: Callable[[], Sequence[Address]]
    put_back: Callable[[tuple[Address, ...]], None]
    announce: Callable[[tuple[Address, ...]], None]
    record: Callable[[str, str], None]
    problems: Problems
    repairs: int = 0
    _restraints: dict[AddressKey, Restraint] = field(default_factory=dict)
    _due_s: dict[AddressKey, float] = field(default_factory=dict)
    _removed: set[AddressKey] = field(default_factory=set)
    _heard_s: dict[Claimed, float] = field(default_factory=dict)

    def noticed(self, notice: Removed | Claimed, now_s: float) -> None:
        """Take in what happened to an address."""
        if all(address.key != notice.key for address in self.holding()):
            return
        match notice:
            case Removed(key):
                if key not in self._removed:
                    self.record("drift", f"{key} was removed by somebody else, it is put back")
                self._removed.add(key)
            case Claimed(key, mac):
                if notice not in self._heard_s:
                    self.record("claim", f"another host ({mac}) claims {key}, it is announced again")
                self._heard_s[notice] = now_s
                self._tell(now_s)
        restraint = self._restraints.setdefault(notice.key, Restraint())
        self._due_s.setdefault(notice.key, restraint.next_s(now_s))
        self.tick(now_s)

    def tick(self, now_s: float) -> None:
        """Do what is due, and forget what is long ago."""
        due = {key for key, due_s in self._due_s.items() if due_s <= now_s}
        if due:
            for key in due:
                del self._due_s[key]
                self._restraints[key].done(now_s)
            held = [address for address in self.holding() if address.key in due]
            if gone := tuple(address for address in held if address.key in self._removed):
                self.repairs += len(gone)
                self.put_back(gone)
            if there := tuple(address for address in held if address.key not in self._removed):
                self.announce(there)
            self._removed -= due
        if self._heard_s:
            self._tell(now_s)

    def _tell(self, now_s: float) -> None:
        held = {address.key for address in self.holding()}
        self._heard_s = {
            claim: at_s for claim, at_s in self._heard_s.items() if now_s - at_s < TOLD_S and claim.key in held
        }
        self.problems.about("claims", *sorted(f"another host ({c.mac}) claims {c.key}" for c in self._heard_s))
