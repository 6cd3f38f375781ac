"""A dialogue without a network: what it says, and what it finds out when these come."""

from clusterd.checks import dialogue
from clusterd.checks.dialogue import Encrypt, Place, Step, Tell
from clusterd.health import Observation
from clusterd.model import Check

PLACE = Place("192.0.2.1", 4242, nonce=0x12345678, now_s=1_790_000_000.0)


class Unfinished(Exception):
    """The dialogue waits for more."""


def play(check: Check, *parts: bytes, place: Place = PLACE, steps: list[Step] | None = None) -> Observation:
    """Return what a check finds out when these come one after the other. Raises Unfinished. Steps go to `steps`."""
    talk = dialogue(place, check)
    coming = iter(parts)
    taken = [] if steps is None else steps
    try:
        step = next(talk)
        while True:
            taken.append(step)
            if isinstance(step, Tell):
                step = talk.send(b"")
            else:
                data = next(coming, None)
                if data is None:
                    raise Unfinished
                step = talk.send(data)
    except StopIteration as end:
        found = end.value
        assert isinstance(found, Observation)
        return found


def said(steps: list[Step]) -> list[bytes]:
    """Return what was said, without the waiting."""
    return [step.data if isinstance(step, Tell) else step for step in steps if isinstance(step, bytes | Tell) and step]


def encrypted(steps: list[Step]) -> list[Encrypt]:
    """Return where TLS was begun."""
    return [step for step in steps if isinstance(step, Encrypt)]
