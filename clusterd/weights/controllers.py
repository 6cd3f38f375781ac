"""From readings of load to a factor of the configured weight: two controllers, each a step from one factor to the next.

`smooth` compares the servers of one virtual server with each other, per processor, so that it acts when some are busier
than the rest and not when all are. With r the averaged load of a server per processor and m that of all of them:

    target = ((m + REST) / (r + REST)) ** GAIN        within floor … ceiling

REST keeps idle servers from being told apart by noise. The factor goes to the target in steps of at most `step`, not
sooner than `change_s` after the last one, and stays where it is while the target is within the dead band. It follows
the target and does not add errors up, so it cannot wind up, and returns to 1 when the reason is gone.

`piranha` is the formula of Piranha's nanny: with w the configured weight and l the load, l < 1 adds w/2 · cbrt(1 − l),
up to 10·w; l > 1 takes w/2 · cbrt(l − 1), down to w; less than w/4 is not done. Old readings change nothing.
"""

import math
from dataclasses import dataclass, replace

from clusterd.model import Load
from clusterd.weights.values import Reading

REST = 0.5
GAIN = 1.5
PIRANHA_MOST = 10.0
PIRANHA_STEP = 0.5
PIRANHA_LEAST = 0.25
NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class Steering:
    """What is remembered of one server's load, and the factor that came out.

    `average` is its load per processor, None: never read; `read_s` is the reading it was made with. `news` is whether
    that was not yet acted upon. `fresh` says whether there is a reading that counts.
    """

    factor: float = 1.0
    changed_s: float = NEVER
    average: float | None = None
    read_s: float = NEVER
    news: bool = False
    fresh: bool = False
    why: str = ""
    since_s: float = 0.0


UNSTEERED = Steering()


def read(steering: Steering, reading: Reading | None, load: Load, now_s: float) -> Steering:
    """Return the memory after a look at the latest reading, which may be an old one or none."""
    if reading is None:
        return replace(steering, fresh=False)
    at_s = now_s if reading.at_s is None else reading.at_s
    if now_s - at_s > load.stale_s:
        return replace(steering, fresh=False)
    if reading.load is None or at_s <= steering.read_s or (reading.at_s is None and _soon(steering, load, now_s)):
        return replace(steering, fresh=True)
    relative = reading.load / reading.cores
    if not steering.fresh or steering.average is None or load.controller == "piranha":
        average = relative
    else:
        part = 1 - math.exp(-(at_s - steering.read_s) / load.smoothing_s)
        average = steering.average + part * (relative - steering.average)
    return replace(steering, average=average, read_s=at_s, news=True, fresh=True)


def _soon(steering: Steering, load: Load, now_s: float) -> bool:
    return now_s - steering.read_s < load.interval_s


def steered(steering: Steering, reading: Reading | None, mean: float, load: Load, now_s: float) -> Steering:
    """Return the memory with the factor for now; `mean` is the averaged load per processor of all of the pool."""
    told = replace(steering, news=False)
    share = reading.share if reading and steering.fresh else None
    if share is None and load.controller == "piranha":
        return piranha(steering, reading, load, now_s) if steering.news and reading else told
    if share is not None:
        target, why = max(0.0, share), f"the server itself wants {share:.0%} of it"
    elif steering.fresh and steering.average is not None:
        target = smooth(steering.average, mean, load)
        why = f"load {steering.average:.2f} per processor, {mean:.2f} on average of all"
    else:
        target, why = 1.0, "no load that counts is known: back to the configured weight"
    if not _due(steering, target, load, now_s):
        return told
    least, most = steering.factor * (1 - load.step), steering.factor * (1 + load.step)
    factor = target if share is not None else min(max(target, least), most)
    return replace(told, factor=factor, changed_s=now_s, why=why, since_s=now_s)


def _due(steering: Steering, target: float, load: Load, now_s: float) -> bool:
    """Return whether the factor is to go on towards its target now."""
    if now_s < steering.changed_s + load.change_s:
        return False
    home = target == 1.0 and not steering.fresh  # stale data decay all the way
    band = 0.0 if home else load.dead_band
    return abs(target - steering.factor) > band * steering.factor


def smooth(average: float, mean: float, load: Load) -> float:
    """Return the factor that a server should have, by its load per processor and that of all."""
    target = math.pow((mean + REST) / (average + REST), GAIN)
    return min(max(target, load.floor), load.ceiling)


def piranha(steering: Steering, reading: Reading, load: Load, now_s: float) -> Steering:
    """Return the memory after one round of Piranha's formula. Processors do not count in it."""
    busy = reading.load or 0.0
    change = math.copysign(PIRANHA_STEP * math.cbrt(abs(1 - busy)), 1 - busy)
    target = min(max(steering.factor + change, 1.0), PIRANHA_MOST)
    told = replace(steering, news=False)
    if abs(target - steering.factor) < PIRANHA_LEAST or now_s < steering.changed_s + load.change_s:
        return told
    return replace(told, factor=target, changed_s=now_s, why=f"load {busy:.2f}, by Piranha's formula", since_s=now_s)
