"""Whose verdicts count: from what every observer says of a real server to one decision. Pure.

Observers are the routers, and external parties whose names begin with `external-`. An external party can only force a
server down, under every policy; its key's end is the end of that.

A router that sees many servers down that another one sees up is itself out of order: its network, not theirs. Until
that is over it takes the others' word for those servers, claims last, and makes way for who sees better.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from clusterd.model import Cluster, Virtual
from clusterd.reports import VerdictReport

EXTERNAL = "external-"
LEAST_FAULTS = 2  # one server that only one router cannot reach may be either's fault


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a server takes part (None: nobody has checked it), why, and whether somebody forces it down."""

    up: bool | None
    why: str = ""
    by: str = ""  # the observer whose word it is, where it is one's
    forced: bool = False


def heard(cluster: Cluster, reports: Iterable[VerdictReport], me: str) -> list[VerdictReport]:
    """Return what those say who have a say at `me`: itself, the configured routers, and external parties."""
    return [
        report
        for report in reports
        if report.observer in cluster.routers or report.observer == me or report.observer.startswith(EXTERNAL)
    ]


def decision(
    virtual: Virtual, reports: Iterable[VerdictReport], me: str, active: str, faulty: bool = False
) -> Decision:
    """Return what counts at the router `me` while `active` is its group's active router ("": none).

    `faulty` says that `me` is out of order itself: where another router sees the server up, its own does not count.
    """
    voices = {report.observer: report for report in reports if report.up is not None}
    for observer, voice in voices.items():
        if observer.startswith(EXTERNAL) and not voice.up:
            return Decision(False, f"{observer} forces it down: {voice.detail or 'no detail'}", observer, forced=True)
    routers = {name: voice for name, voice in voices.items() if not name.startswith(EXTERNAL)}
    if faulty and contradicted(routers.values(), me):
        routers = {name: voice for name, voice in routers.items() if name != me or voice.up}
    if not routers:
        return Decision(None)
    if virtual.verdicts == "active":
        return _one(routers, me, active)
    up = [name for name, voice in routers.items() if voice.up]
    down = [name for name in routers if name not in up]
    if virtual.verdicts == "any":
        return Decision(bool(up), f"{_named(up)} up" if up else f"{_named(down)} down")
    needed = min(virtual.down_quorum, len(routers))
    return Decision(len(down) < needed, f"{len(down)} of {len(routers)} routers see it down, {needed} must")


def _one(routers: Mapping[str, VerdictReport], me: str, active: str) -> Decision:
    """Return the word of the active router, else of `me`, else of anyone."""
    name = next((one for one in (active, me) if one in routers), min(routers))
    return Decision(routers[name].up, routers[name].detail, name)


def _named(names: Iterable[str]) -> str:
    told = sorted(names)
    return f"{' and '.join(told)} see{'s' if len(told) == 1 else ''} it"


def contradicted(reports: Iterable[VerdictReport], me: str) -> bool:
    """Return whether `me` sees a server down and another router sees it up."""
    voices = [report for report in reports if not report.observer.startswith(EXTERNAL)]
    mine = any(one.observer == me and one.up is False for one in voices)
    return mine and any(one.up for one in voices if one.observer != me)


def own_fault(contradictions: Collection[object], checked: int) -> bool:
    """Return whether a router is out of order: others see up more than half of all that it checks, and it does not."""
    return len(contradictions) >= LEAST_FAULTS and 2 * len(contradictions) > checked


def disagreement(server: str, reports: Iterable[VerdictReport], me: str) -> str:
    """Return the sentence by which `me` tells that it sees a server down and others see it up."""
    others = {report.observer: report for report in reports if report.up and report.observer != me}
    can = sorted(name for name in others if not name.startswith(EXTERNAL))
    return f"{me} cannot reach {server}, {' and '.join(can)} can"
