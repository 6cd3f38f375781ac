"""What a run may not have done, found in what was seen of it. Pure: each finding is a sentence, and none is good."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.lab.client import ArpLog, Polls, Request

SURPRISE = "this should not happen"
LIMIT_S = 1.0  # how long the client waits: what began so long before a window may have ended in it
_SLACK = 6  # descriptors, threads: what a pool may still take
_SLACK_KB = 16_000
_GROWTH = 1.15


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which requests were announced to fail."""

    begin_s: float
    end_s: float
    why: str

    def covers(self, request: Request) -> bool:
        """Whether a request that failed may have failed for it."""
        return self.begin_s - LIMIT_S <= request.start_s <= self.end_s


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A commit that the command said was done."""

    number: int
    id: str


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the processes of one router's service take together."""

    processes: int
    descriptors: int
    threads: int
    resident_kb: int


def failed(polls: Polls) -> tuple[Request, ...]:
    """Return the requests that failed."""
    return tuple(request for request in polls.requests if request.end_s is None)


def counted(polls: Polls, windows: Sequence[Window]) -> tuple[int, ...]:
    """Return how many failed requests each window covers."""
    return tuple(sum(window.covers(request) for request in failed(polls)) for window in windows)


def outside(polls: Polls, windows: Sequence[Window], began_s: float) -> tuple[str, ...]:
    """Return when requests failed that no window covers."""
    alone = [r.start_s - began_s for r in failed(polls) if not any(window.covers(r) for window in windows)]
    moments = ", ".join(f"{moment_s:.2f}" for moment_s in alone[:20])
    return (f"{len(alone)} requests failed outside of every announced window, at second {moments}",) if alone else ()


def doubled(log: ArpLog) -> tuple[str, ...]:
    """Return how two routers answered for one address."""
    twice, turns = len(log.dual_answers()), log.alternations()
    found = [f"{twice} of {log.probes} ARP probes were answered by two routers"] if twice else []
    return (*found, f"the address went to and fro {turns} times within a second") if turns else tuple(found)


def lost(acknowledged: Iterable[Acknowledged], history: Sequence[Acknowledged]) -> tuple[str, ...]:
    """Return what is wrong with the history of all commits, the oldest first, given those that were acknowledged."""
    found = []
    numbers = [each.number for each in history]
    if numbers != list(range(1, len(numbers) + 1)):
        found.append(f"the history's numbers are {numbers}")
    times = Counter(each.id for each in history)
    found += [f"commit {id_} is in the history {count} times" for id_, count in times.items() if count > 1]
    known = {each.id: each.number for each in history}
    for each in acknowledged:
        if known.get(each.id) != each.number:
            found.append(f"commit {each.number} ({each.id}) was acknowledged and is not in the history in its place")
    return tuple(found)


def grown(router: str, before: Footprint, after: Footprint) -> tuple[str, ...]:
    """Return what a router's service takes more of than a pool's last thread explains."""
    found = []
    for name in ("processes", "descriptors", "threads"):
        was, is_ = getattr(before, name), getattr(after, name)
        if is_ > was + (0 if name == "processes" else _SLACK):
            found.append(f"{router} has {is_} {name}, {was} at the beginning")
    if after.resident_kb > before.resident_kb * _GROWTH + _SLACK_KB:
        found.append(f"{router} takes {after.resident_kb} kB of memory, {before.resident_kb} at the beginning")
    return tuple(found)


def surprised(router: str, log: str) -> tuple[str, ...]:
    """Return how often a router's service met what its authors took for impossible."""
    times = log.count(SURPRISE)
    return (f"{router} says {times} times: {SURPRISE}",) if times else ()


def orphaned(keys_of: Mapping[str, int]) -> tuple[str, ...]:
    """Return the leases in etcd that no key has: whoever granted them forgot them."""
    return tuple(f"lease {lease} has no key" for lease, keys in keys_of.items() if not keys)
