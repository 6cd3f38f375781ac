"""The pool of one virtual server: who is in it with which weight, and whether the sorry server answers instead.

IPVS has whole numbers only, so where weights change by parts (a source of load, a slow start), all weights of a virtual
server are `RESOLUTION` times the configured ones, or as much as fits into 65535: a scheduler only looks at how they
compare. Without either they are the configured numbers exactly.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from clusterd.model import Virtual
from clusterd.weights.controllers import PIRANHA_MOST, steered
from clusterd.weights.courses import Course, followed, risen, rises_again_s, slow_start
from clusterd.weights.factors import factors
from clusterd.weights.values import Factor, Sighting, Standing

RESOLUTION = 100
MOST = 65535
LOOK_S = 1.0  # connections of drained servers are counted so often
_UNSEEN = Sighting(None)


_standing = lru_cache(1024)(Standing)  # most are alike


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one virtual server. `kept` are those that stay although their checks fail, since when."""

    courses: Mapping[str, Course] = field(default_factory=dict)
    quorate: bool = True
    kept: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pool:
    """What each enabled real server has, whether the sorry server answers, and what somebody should know."""

    standings: Mapping[str, Standing]
    sorry: bool = False
    quorate: bool = True
    alarms: tuple[str, ...] = ()

    @property
    def notable(self) -> bool:
        """Whether there is more to it than the configuration and the verdicts."""
        return bool(self.alarms) or any(standing.factors for standing in self.standings.values())


def pool(memory: Memory, virtual: Virtual, seen: Mapping[str, Sighting], now_s: float) -> tuple[Memory, Pool, float]:
    """Return the next memory, the pool, and when time alone may change it (infinity: never)."""
    labels = [label for label, server in virtual.servers.items() if server.enabled]
    courses = _courses(memory, virtual, labels, seen, now_s)
    quorate = _quorate(memory.quorate, virtual, courses)
    waiting = any(course.up is not False and course.drained_s is None for course in courses.values())
    sorry = virtual.sorry_server is not None and not (quorate and waiting)
    kept = {} if sorry else _kept(memory.kept, virtual.fail_open, courses, seen, now_s)
    standings = {
        label: _standing(
            None if course.gone else _weight(label, course, virtual, (label in kept, sorry), now_s),
            _told(label, course, virtual, kept, seen.get(label, _UNSEEN), now_s),
        )
        for label, course in courses.items()
    }
    alarms = tuple(_alarms(virtual, courses, kept, quorate, seen))
    return Memory(courses, quorate, kept), Pool(standings, sorry, quorate, alarms), _again_s(virtual, courses, now_s)


def _courses(
    memory: Memory, virtual: Virtual, labels: list[str], seen: Mapping[str, Sighting], now_s: float
) -> dict[str, Course]:
    courses = {
        label: followed(
            memory.courses.get(label), seen.get(label, _UNSEEN), virtual, virtual.servers[label].drain, now_s
        )
        for label in labels
    }
    if virtual.load.source == "none":
        return courses
    known = [c.steering.average for c in courses.values() if c.serving and c.steering.fresh]
    counted = [average for average in known if average is not None]
    mean = sum(counted) / len(counted) if counted else 0.0
    start = slow_start(virtual)
    for label, course in courses.items():
        if course.serving and risen(course, start, now_s) == 1.0:
            reading = seen[label].reading
            courses[label] = replace(course, steering=steered(course.steering, reading, mean, virtual.load, now_s))
    return courses


def resolution(virtual: Virtual) -> float:
    """Return how many parts of the kernel's weight one of the configured weight is."""
    load = virtual.load
    if load.source == "none" and virtual.slow_start is None:
        return 1
    top = 1.0 if load.source == "none" else load.ceiling if load.controller == "smooth" else PIRANHA_MOST
    most = MOST / (top * max([1, *(server.weight for server in virtual.servers.values())]))
    return min(RESOLUTION, math.floor(most)) if most >= 1 else most


def _weight(label: str, course: Course, virtual: Virtual, means: tuple[bool, bool], now_s: float) -> int | None:
    """Return a server's weight; `means`: whether it stays whatever checks say, and whether the sorry one answers."""
    kept, sorry = means
    if course.up is None:
        return None
    if not (course.up or kept):
        return 0 if virtual.quiesce else None
    configured = virtual.servers[label].weight
    if sorry or course.drained_s is not None or not configured:
        return 0
    share = risen(course, slow_start(virtual), now_s) * course.steering.factor
    return max(1, min(MOST, round(configured * share * resolution(virtual))))


def _quorate(before: bool, virtual: Virtual, courses: Mapping[str, Course]) -> bool:
    """Return whether enough is up: as keepalived counts it (check_daemon, update_quorum_state).

    A quorum that all servers together do not reach is reached by all of them. One that is not checked yet is not lost.
    """
    configured = {label: virtual.servers[label].weight for label in courses}
    total = sum(configured.values())
    if before:
        rest = sum(configured[label] for label, c in courses.items() if c.up is not False and c.drained_s is None)
        return rest >= min(virtual.quorum - virtual.hysteresis, total)
    return sum(configured[label] for label, c in courses.items() if c.serving) >= min(
        virtual.quorum + virtual.hysteresis, total
    )


def _kept(
    before: Mapping[str, float], share: float, courses: Mapping[str, Course], seen: Mapping[str, Sighting], now_s: float
) -> dict[str, float]:
    """Return who stays although its check failed, and since when: of those that were ever up, the last ones to fail."""
    could = _keepable(courses, seen)
    missing = math.ceil(share * len(could) - 1e-9) - sum(course.up is True for course in could.values())
    down = sorted((label for label in could if could[label].up is False), key=lambda label: -could[label].changed_s)
    return {label: before.get(label, now_s) for label in down[: max(0, missing)]}


def _keepable(courses: Mapping[str, Course], seen: Mapping[str, Sighting]) -> dict[str, Course]:
    """Return who counts for fail open: who was ever up. Where none was, and all are down, all do.

    So it is with a router that starts in the middle of that: it does not know who was up before.
    """
    wanted = {
        label: course
        for label, course in courses.items()
        if course.drained_s is None and not seen.get(label, _UNSEEN).forced
    }
    good = {label: course for label, course in wanted.items() if course.good}
    return good or (wanted if all(course.up is False for course in wanted.values()) else {})


def _told(
    label: str, course: Course, virtual: Virtual, kept: Mapping[str, float], seen: Sighting, now_s: float
) -> tuple[Factor, ...]:
    rise = risen(course, slow_start(virtual), now_s)
    return tuple(factors(course, virtual, rise, kept.get(label), seen))


def _alarms(
    virtual: Virtual,
    courses: Mapping[str, Course],
    kept: Mapping[str, float],
    quorate: bool,
    seen: Mapping[str, Sighting],
) -> Iterator[str]:
    if kept:
        yield f"fail open: {', '.join(kept)} stay in the pool although their checks fail"
    if not quorate and virtual.quorum > 1:
        yield f"less than the quorum of {virtual.quorum} is up"
    if virtual.load.source == "none":
        return
    for label, course in courses.items():
        if course.serving and not course.steering.fresh:
            why = seen.get(label, _UNSEEN).silence or "nothing was read yet"
            yield f"no load of {label} is known ({virtual.load.source}: {why}): its weight is static"


def _again_s(virtual: Virtual, courses: Mapping[str, Course], now_s: float) -> float:
    start = slow_start(virtual)
    moments = [rises_again_s(course, start, now_s) for course in courses.values()]
    if virtual.drain_deadline_s is not None and any(c.drained_s is not None and not c.gone for c in courses.values()):
        moments.append(now_s + LOOK_S)
    if virtual.load.source != "none" and courses:
        moments.append(now_s + virtual.load.change_s)
    return min(moments, default=math.inf)
