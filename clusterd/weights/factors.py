"""What has a say in a real server's weight beside configuration and verdicts: every factor with reason and time."""

from collections.abc import Iterator

from clusterd.model import Virtual
from clusterd.weights.courses import Course
from clusterd.weights.values import Factor, Sighting


def factors(course: Course, virtual: Virtual, rise: float, kept_s: float | None, seen: Sighting) -> Iterator[Factor]:
    """Yield what has a say. `rise` is what slow start leaves of the weight, `kept_s` since when fail open keeps it."""
    if seen.forced:
        yield Factor("forced", "down", seen.why, course.changed_s)
    if kept_s is not None:
        share = f"{virtual.fail_open:.0%}"
        yield Factor("fail open", "stays although its check fails", f"at least {share} of the servers stay", kept_s)
    if course.drained_s is not None and (virtual.drain_deadline_s is not None or course.wish):
        yield _drain(course, virtual.drain_deadline_s)
    if rise < 1 and course.joined_s is not None:
        yield Factor("slow start", f"× {rise:.3g}", "it came back", course.joined_s)
    if virtual.load.source != "none" and course.serving:
        yield _load(course, virtual.load.source, seen)


def _drain(course: Course, deadline_s: float | None) -> Factor:
    since_s, wish = course.drained_s or 0.0, course.wish or "the document says so"
    if course.gone:
        return Factor("drained", "it has left the pool", f"{wish}; its connections or their time are over", since_s)
    waits = "weight 0" if deadline_s is None else f"weight 0 until it has no connection, at most {deadline_s:g} s"
    return Factor("drained", waits, wish, since_s)


def _load(course: Course, source: str, seen: Sighting) -> Factor:
    steering = course.steering
    says = f"{source}: × {steering.factor:.3g}"
    if not steering.fresh and steering.factor == 1.0:
        return Factor("load", f"{source}: no data, so a static weight", seen.silence or "nothing was read yet", 0.0)
    return Factor("load", says, steering.why or "no reason to change it", steering.since_s)
