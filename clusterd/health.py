"""From single checks to a verdict: is this real server up?

One check proves little: a lost packet is not a dead server, and one good answer is not a recovered one. So a verdict
changes only after several equal observations in a row, and a server that failed may have to be good for a while:

    observed   ok   ok   --   --   ok   --   --   --   ok   ok   ok   ok
    verdict    up   up   up   up   up   up   up  DOWN down down  UP   up      fall = 3, rise = 3

Nothing here waits, reads a clock or opens a connection: time is an argument. Any clock that never goes back will do,
as long as one record sees only one.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

from clusterd.model import Timing

_COUNTS_AS = {initial: f"counts as {initial} until checks say otherwise" for initial in ("up", "down")}  # each once


@dataclass(frozen=True, slots=True)
class Observation:
    """What one check found out. `detail` says it to a person, without the server's name: "connection refused".

    An observation that is not conclusive says nothing about the server: the check itself could not be made (no file
    descriptor was left, the process was held up). It counts neither as a success nor as a failure.
    """

    ok: bool
    detail: str
    conclusive: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a server takes part, since when, and what the deciding observation was."""

    up: bool
    since_s: float
    detail: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of one server: its verdict (None: never observed) and the run of equal observations.

    `Record(verdict)` is a server whose verdict is known and whose counting starts anew.
    """

    verdict: Verdict | None = None
    successes: int = 0  # in a row; 0 after a failure
    failures: int = 0  # in a row; 0 after a success
    good_since_s: float = 0.0  # when the run of successes began; means nothing while there are none

    @property
    def doubtful(self) -> bool:
        """An up server that has failed, but not often enough yet: worth another look soon."""
        return self.verdict is not None and self.verdict.up and self.failures > 0


def begun(known: Verdict | None, timing: Timing, now_s: float) -> Record:
    """Return the record of a server that is new here: with the verdict known from elsewhere, else as `initial` says."""
    if known is not None or timing.initial == "unknown":
        return Record(known)
    return _counting_as(timing.initial, now_s)


@lru_cache(2)
def _counting_as(initial: str, now_s: float) -> Record:
    """Return the record of those that come at the same time: one for all of them, until they are checked."""
    return Record(Verdict(initial == "up", now_s, _COUNTS_AS[initial]))


def step(record: Record, observation: Observation, timing: Timing, now_s: float) -> Record:
    """Return the record after one more observation, made at `now_s`.

    The first conclusive observation of a server without a verdict is its verdict. After that `timing.fall` failures in
    a row take it down, and `timing.rise` successes in a row over at least `timing.reentry_s` seconds bring it back.
    A verdict that stays keeps its `since_s` and its `detail`.
    """
    if not observation.conclusive:
        return record
    counted = _counted(record, observation.ok, now_s)
    if record.verdict is None or (record.verdict.up != observation.ok and _decided(counted, timing, now_s)):
        return replace(counted, verdict=Verdict(observation.ok, now_s, observation.detail))
    return counted


def _counted(record: Record, ok: bool, now_s: float) -> Record:
    if not ok:
        return Record(record.verdict, failures=record.failures + 1)
    good_since_s = record.good_since_s if record.successes else now_s
    return Record(record.verdict, successes=record.successes + 1, good_since_s=good_since_s)


def _decided(record: Record, timing: Timing, now_s: float) -> bool:
    """Return whether the present run is long enough to turn a verdict over."""
    if record.failures:
        return record.failures >= timing.fall
    return record.successes >= timing.rise and now_s - record.good_since_s >= timing.reentry_s
