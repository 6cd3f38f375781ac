"""One real server in the course of time: when it went and came back, its slow start, its drain, its load."""

import math
from dataclasses import dataclass, replace

from clusterd.model import Load, SlowStart, Virtual
from clusterd.weights.controllers import UNSTEERED, Steering, read
from clusterd.weights.values import Sighting

LINEAR_STEPS, DOUBLINGS = 10, 5
SETTLE_S = 2.0  # a count of connections says nothing before the weight of 0 is in the kernel


@dataclass(frozen=True, slots=True)
class Course:
    """What is remembered of one real server.

    `good` says that it has been up, so that a check can take it out; `joined_s` when it came back, None where it was
    there from the beginning. `drained_s` is since when it is drained, `wish` why, "" where the document says so, and
    `gone` whether it has left the pool for it.
    """

    up: bool | None
    changed_s: float
    good: bool = False
    joined_s: float | None = None
    drained_s: float | None = None
    wish: str = ""
    gone: bool = False
    steering: Steering = UNSTEERED

    @property
    def serving(self) -> bool:
        """Whether it can take new connections."""
        return self.up is True and self.drained_s is None


def followed(before: Course | None, seen: Sighting, virtual: Virtual, drain: bool, now_s: float) -> Course:
    """Return the memory of a server after another look at it; `drain` is whether the document drains it."""
    course = before or Course(seen.up, now_s, good=seen.up is True)
    if seen.up is True and course.up is not True:
        course = replace(course, up=True, changed_s=now_s, good=True, joined_s=now_s, steering=UNSTEERED)
    elif seen.up != course.up:
        course = replace(course, up=seen.up, changed_s=now_s, joined_s=None)
    if virtual.load.source != "none":
        course = replace(course, steering=read(course.steering, seen.reading, virtual.load, now_s))
    wish = seen.reading.drain if seen.reading and course.steering.fresh and not drain else ""
    if not (drain or wish):
        return course if course.drained_s is None else replace(course, drained_s=None, wish="", gone=False)
    since_s = course.drained_s
    if since_s is None:
        since_s = now_s if seen.drained_s is None else min(seen.drained_s, now_s)
    gone = course.gone or _empty(seen.connections, virtual.drain_deadline_s, now_s - since_s)
    return replace(course, drained_s=since_s, wish=wish, gone=gone)


def _empty(connections: int | None, deadline_s: float | None, drained_for_s: float) -> bool:
    """Return whether a drained server can leave: it has no connections, or their time is over."""
    if deadline_s is None:
        return False
    return drained_for_s >= deadline_s or (connections == 0 and drained_for_s >= SETTLE_S)


def slow_start(virtual: Virtual) -> SlowStart | None:
    """Return how a server starts: as it is said, else as Piranha's nanny does where that steers, else at once."""
    load: Load = virtual.load
    if virtual.slow_start is None and load.source != "none" and load.controller == "piranha":
        return SlowStart(duration_s=min(DOUBLINGS * load.interval_s, 86400), curve="doubling")
    return virtual.slow_start


def risen(course: Course, start: SlowStart | None, now_s: float) -> float:
    """Return what slow start leaves of the weight: 1 when it is over."""
    if start is None or course.joined_s is None:
        return 1.0
    part = (now_s - course.joined_s) / start.duration_s
    if part >= 1:
        return 1.0
    if start.curve == "linear":
        return max(1, math.floor(LINEAR_STEPS * part)) / LINEAR_STEPS
    return float(2 ** (math.floor(DOUBLINGS * part) - DOUBLINGS))


def rises_again_s(course: Course, start: SlowStart | None, now_s: float) -> float:
    """Return when slow start takes its next step; infinity when it is over."""
    if start is None or course.joined_s is None or now_s >= course.joined_s + start.duration_s:
        return math.inf
    each_s = start.duration_s / (LINEAR_STEPS if start.curve == "linear" else DOUBLINGS)
    return course.joined_s + each_s * (1 + math.floor((now_s - course.joined_s) / each_s))
