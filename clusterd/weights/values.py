"""What goes into a weight, and what comes out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """What a real server told of itself at `at_s`.

    `load` is its load average over one minute, `cores` how many processors share it. A server may say itself which
    `share` of its weight it wants (1: all of it), which counts instead. `drain` says why it wants no new connections,
    "" where it does. `at_s` None: it counts as long as it is there.
    """

    at_s: float | None
    load: float | None = None
    cores: int = 1
    share: float | None = None
    drain: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is known of one real server. `up` None: nobody has checked it yet.

    `forced` says that it is down because somebody wants that, not because of a check. `silence` says why there is no
    newer reading; `connections` are those it has at this router, None where that is not known.
    `drained_s` is since when the document drains it, None where it does not, or where that is not known.
    """

    up: bool | None
    why: str = ""
    forced: bool = False
    reading: Reading | None = None
    silence: str = ""
    connections: int | None = None
    drained_s: float | None = None


@dataclass(frozen=True, slots=True)
class Factor:
    """One thing that has a say beside the configured weight: what it says, why, and since when."""

    name: str
    says: str
    why: str
    since_s: float


@dataclass(frozen=True, slots=True)
class Standing:
    """What a real server has: its weight (None: not in the pool), and what else than the configuration made it so."""

    weight: int | None
    factors: tuple[Factor, ...] = ()
