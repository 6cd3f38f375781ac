"""Keeps the addresses that this router holds its own: puts back what somebody removes, and answers who claims them.

At once, but not more often than is good for the network: ten times in a row at most every 0.1 s, then once a second.
Thousands of addresses may be removed by one command: whatever came together is answered, and told, together.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from clusterd.plane import Address, AddressKey, Claimed, Removed
from watchers.problems import Problems

SHORTEST_S, LONGER_S, IN_A_ROW = 0.1, 1.0, 10
QUIET_S = 10.0  # after which it begins anew
TOLD_S = 60.0  # how long a claim that was heard counts as a problem
MOST_NAMED = 10  # addresses in one event


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

    holding: Callable[[], Mapping[AddressKey, Address]]
    put_back: Callable[[tuple[Address, ...]], None]
    announce: Callable[[tuple[Address, ...]], None]
    record: Callable[[str, str], None]
    problems: Problems
    repairs: int = 0
    _restraints: dict[AddressKey, Restraint] = field(default_factory=dict)
    _due_s: dict[AddressKey, float] = field(default_factory=dict)
    _removed: set[AddressKey] = field(default_factory=set)
    _heard_s: dict[Claimed, float] = field(default_factory=dict)

    def noticed(self, notices: Collection[Removed | Claimed], now_s: float) -> None:
        """Take in what happened to addresses."""
        held = self.holding()
        gone: dict[AddressKey, None] = {}
        for notice in notices:
            if notice.key not in held:
                continue
            if isinstance(notice, Removed):
                gone[notice.key] = None
            else:
                self._claimed(notice, now_s)
            restraint = self._restraints.setdefault(notice.key, Restraint())
            self._due_s.setdefault(notice.key, restraint.next_s(now_s))
        self._tell_of([key for key in gone if key not in self._removed])
        self._removed.update(gone)
        self.tick(now_s)

    def _claimed(self, claim: Claimed, now_s: float) -> None:
        if claim not in self._heard_s:
            self.record("claim", f"another host ({claim.mac}) claims {claim.key}, it is announced again")
        self._heard_s[claim] = now_s

    def _tell_of(self, gone: Sequence[AddressKey]) -> None:
        """Record which addresses were removed."""
        if len(gone) == 1:
            self.record("drift", f"{gone[0]} was removed by somebody else, it is put back")
        elif gone:
            more = f" and {len(gone) - MOST_NAMED} more" if len(gone) > MOST_NAMED else ""
            named = ", ".join(map(str, gone[:MOST_NAMED]))
            self.record("drift", f"{named}{more} were removed by somebody else, they are put back")

    def tick(self, now_s: float) -> None:
        """Do what is due, and forget what is long ago."""
        due = [key for key, due_s in self._due_s.items() if due_s <= now_s]
        if due:
            for key in due:
                del self._due_s[key]
                self._restraints[key].done(now_s)
            held = self.holding()
            if gone := tuple(held[key] for key in due if key in held and key in self._removed):
                self.repairs += len(gone)
                self.put_back(gone)
            if there := tuple(held[key] for key in due if key in held and key not in self._removed):
                self.announce(there)
            self._removed.difference_update(due)
        if self._heard_s:
            self._look_at_claims(now_s)

    def _look_at_claims(self, now_s: float) -> None:
        held = self.holding()
        self._heard_s = {
            claim: at_s for claim, at_s in self._heard_s.items() if now_s - at_s < TOLD_S and claim.key in held
        }
        self.problems.about("claims", *sorted(f"another host ({c.mac}) claims {c.key}" for c in self._heard_s))
