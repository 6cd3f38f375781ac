"""Whether a router could serve at this moment, and if not, why not. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """What a router finds of itself.

    `unchecked` counts the real servers without any verdict. `missing` are links and neighbours out of reach.
    `sync_since_s` is since when it takes in the others' connections, `window_s` how long it has to, None: not at all.
    """

    head: int
    applied: int
    converged: bool
    unchecked: int
    active: bool = False
    missing: tuple[str, ...] = ()
    sync_since_s: float | None = None
    window_s: float | None = None


def readiness(found: Found, now_s: float) -> tuple[str, ...]:
    """Return the reasons why a router is not ready, none where it is."""
    reasons = []
    if found.applied != found.head:
        reasons.append(f"commit {found.head} is not applied, commit {found.applied} is")
    if not found.converged:
        reasons.append("the kernel is not as the configuration wants it")
    if found.unchecked > 0:
        reasons.append(f"{found.unchecked} real servers were not checked yet")
    reasons += found.missing
    if found.window_s is not None and not found.active:
        since_s = found.sync_since_s
        if since_s is None:
            reasons.append("connections of the active router are not taken in")
        elif now_s < since_s + found.window_s:
            reasons.append(f"connections are taken in for less than {found.window_s:g} s")
    return tuple(reasons)
