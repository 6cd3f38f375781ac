"""When checks begin: each server has a place of its own in the interval, by its name.

    interval    |         |         |         |
    web/rs1        x         x         x         x
    web/rs2      x         x     x x         x          the one in between: a quick second look after a failure

So 10,000 checks are spread evenly, always in the same way, however they were added, and a change of one moves no other.
Pure: time is an argument, in seconds on any clock that never goes back.
"""

import math
import zlib

from clusterd.health import Record
from clusterd.model import Timing

RECHECK_S = 0.2  # the soonest second look at a server that has just failed, unless `recheck_s` says otherwise
SHORTEST_PAUSE_S = 0.05  # between two checks of one server, whatever its interval


def phase_s(identity: tuple[str, str], timing: Timing) -> float:
    """Return the place of a server in its interval: 0 … interval_s × jitter."""
    fraction = zlib.crc32("\0".join(identity).encode()) / 2**32
    return fraction * timing.jitter * timing.interval_s


def next_place_s(phase: float, timing: Timing, after_s: float) -> float:
    """Return the first moment after `after_s` that is `phase` seconds into an interval."""
    begun = math.floor((after_s - phase) / timing.interval_s) + 1
    return max(begun * timing.interval_s + phase, math.nextafter(after_s, math.inf))


def next_start_s(record: Record, timing: Timing, phase: float, started_s: float, now_s: float) -> float:
    """Return when to check again after a check that was to begin at `started_s` and has ended now.

    At the server's next place in the interval; as soon as can be where a check took longer than its interval; after
    `recheck_s` where an up server has failed, so that `fall` failures are soon together.
    """
    soonest_s = now_s + SHORTEST_PAUSE_S
    if record.doubtful:
        return max(started_s + _recheck_s(timing, now_s - started_s), soonest_s)
    if now_s - started_s >= timing.interval_s:
        return soonest_s
    return max(next_place_s(phase, timing, started_s), soonest_s)


def _recheck_s(timing: Timing, took_s: float) -> float:
    if timing.recheck_s is not None:
        return min(timing.recheck_s, timing.interval_s)
    return min(max(timing.interval_s / 4, took_s + RECHECK_S), timing.interval_s)
