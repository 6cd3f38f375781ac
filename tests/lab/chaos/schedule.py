"""What happens to the cluster in a run, and when: made of a seed alone, so a seed names its run. Pure.

Three lanes run beside each other for `seconds`:

    disruptions   --|router gone|settle|--|etcd gone|settle|--|cable out|settle|--|drift|--     never two at a time
    web servers   -----|rs1 stopped|--------|rs2 stopped|--------------|rs1 stopped|------     rs1 and rs2 alone
    edits         -e-e--e-e-e--e-e-e-e--e-e-e-e--e--e-e-e--e-e-e-e-e--e-e--e-e-e-e--e-e-e-     rs3 comes and goes here

Each fault says for how long a client's requests may fail from its beginning on, so what fails outside is a fault of
ours. That is only known because faults of the first lane keep apart: a takeover needs another router that is ready.
Web servers and edits keep apart too: one of the three real servers is always there and wanted.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

TTL_S = 3.0
_FIRST_S = 3.0  # nothing happens before
_TAKEOVER_S = TTL_S + 2.0  # the kernel's own timer, etcd's end of the lease, a claim, and the client hears of it
_REPAIR_S = 11.0  # the kernel is read every eight seconds
_CHECKED_S = 5.5  # two failures, two seconds apart
_CHECKED_ANEW_S = 8.0  # the same by a prober that has to start first


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that can go wrong. `hurts_s` is for how long from its beginning on requests may fail, 0 for never."""

    name: str
    shortest_s: float
    longest_s: float
    hurts_s: float = 0.0
    settles_s: float = 4.0  # after it is over, until the next one may come


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong at a moment, and is over `for_s` later. `target` is a real server, or nothing."""

    at_s: float
    for_s: float
    name: str
    target: str = ""
    hurts_s: float = 0.0

    @property
    def over_s(self) -> float:
        return self.at_s + self.for_s


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the document, as `clusterd set` takes it. Real server or service leaves the kernel where it cuts."""

    at_s: float
    setting: str
    cuts: bool = False


@dataclass(frozen=True, slots=True)
class Schedule:
    """All that happens in a run; both in the order of time."""

    seed: int
    seconds: float
    faults: tuple[Fault, ...]
    edits: tuple[Edit, ...]

    def steps(self) -> tuple[tuple[float, Fault, bool], ...]:
        """Return (moment, fault, whether it begins then), in the order of time: each begins once and is over once."""
        moments = [(f.at_s, f, True) for f in self.faults] + [(f.over_s, f, False) for f in self.faults]
        return tuple(sorted(moments, key=lambda step: (step[0], step[2], step[1].name)))


WEB_STOPPED = "web server stopped"
DISRUPTIONS: tuple[tuple[Kind, ...], ...] = (
    (
        Kind("active router killed", 4, 7, _TAKEOVER_S, 9),
        Kind("active router frozen", 6, 9, _TAKEOVER_S, 5),
        Kind("active router frozen for a moment", 0.3, 0.9),
        Kind("active router restarted", 0.1, 0.1, 0, 9),
        Kind("active router stopped", 3, 6, 0, 9),
        Kind("backup router killed", 3, 6, 0, 9),
        Kind("backup router frozen", 5, 8, 0, 5),
    ),
    (
        Kind("leader of etcd killed", 3, 6),
        Kind("follower of etcd killed", 3, 6),
        Kind("all of etcd killed", 3, 6, 0, 6),
        Kind("all of etcd frozen", 2, 6, 0, 6),
        Kind("leader of etcd and active router killed", 6, 8, 2 * TTL_S + 4, 9),
    ),
    (
        Kind("active router cut off from etcd", 6, 8, _TAKEOVER_S, 6),
        Kind("public cable of the active router pulled", 5, 8, _TAKEOVER_S, 6),
        Kind("all cables of the active router pulled", 6, 8, _TAKEOVER_S, 8),
        Kind("all cables of the backup router pulled", 4, 8, 0, 8),
    ),
    (
        Kind("active router: ipvsadm -C", _REPAIR_S, _REPAIR_S, _REPAIR_S, 1),
        Kind("active router: ipvsadm -d", _REPAIR_S, _REPAIR_S, 1.0, 1),
        Kind("active router: nft delete table", _REPAIR_S, _REPAIR_S, 0, 1),
        Kind("active router: ip addr del", 2, 2, 2, 1),
        Kind("active router: sysctl ip_forward=0", _REPAIR_S, _REPAIR_S, _REPAIR_S, 1),
        Kind("backup router: ipvsadm -C", _REPAIR_S, _REPAIR_S, 0, 1),
    ),
)


def schedule(seed: int, seconds: float) -> Schedule:
    """Return what happens in a run of so many seconds."""
    dice = random.Random(seed)  # noqa: S311 - it is to be repeated
    disruptions = tuple(_disruptions(dice, seconds))
    stopped = tuple(_prolonged(fault, disruptions) for fault in _web_servers(dice, seconds))
    faults = sorted((*disruptions, *stopped), key=lambda fault: fault.at_s)
    return Schedule(seed, seconds, tuple(faults), tuple(_edits(dice, seconds)))


def _disruptions(dice: random.Random, seconds: float) -> Iterator[Fault]:
    """Yield one of each row of the table after the other, by chance, and all of a row before any of it again."""
    decks: dict[int, list[Kind]] = {row: [] for row in range(len(DISRUPTIONS))}
    at_s = _FIRST_S
    while True:
        for row in dice.sample(range(len(DISRUPTIONS)), len(DISRUPTIONS)):
            decks[row] = decks[row] or dice.sample(DISRUPTIONS[row], len(DISRUPTIONS[row]))
            kind = decks[row].pop()
            fault = Fault(at_s, _between(dice, kind.shortest_s, kind.longest_s), kind.name, hurts_s=kind.hurts_s)
            at_s = round(max(fault.over_s, at_s + fault.hurts_s) + kind.settles_s, 1)
            if fault.over_s > seconds:
                return
            yield fault


def _web_servers(dice: random.Random, seconds: float) -> Iterator[Fault]:
    at_s = _FIRST_S + _between(dice, 1, 4)
    while True:
        fault = Fault(at_s, _between(dice, 6, 12), WEB_STOPPED, dice.choice(("rs1", "rs2")), _CHECKED_S)
        if fault.over_s > seconds:
            return
        yield fault
        at_s = round(fault.over_s + _between(dice, 10, 16), 1)  # it is to be in the pool again


def _prolonged(stopped: Fault, disruptions: Sequence[Fault]) -> Fault:
    """Return it with the time that it takes when a disruption begins or ends before its failure was found."""
    until_s = stopped.at_s + stopped.hurts_s
    for moment_s in sorted(moment_s for each in disruptions for moment_s in (each.at_s, each.over_s)):
        if stopped.at_s - TTL_S <= moment_s <= until_s:
            until_s = max(until_s, moment_s + _CHECKED_ANEW_S)
    until_s = min(until_s, stopped.over_s + 1)  # then it answers again
    return replace(stopped, hurts_s=round(until_s - stopped.at_s, 1))


def _edits(dice: random.Random, seconds: float) -> Iterator[Edit]:
    """Yield weights, drains, and what comes and goes; each edit is whole, so one that fails spoils none after it."""
    at_s, third, virtuals = 1.0, "in service", set[int]()
    while at_s < seconds:
        what = dice.choice(("weight", "weight", "third", "virtual"))
        if what == "weight":
            yield Edit(at_s, f"virtuals/web/servers/{dice.choice(('rs1', 'rs2'))}/weight={dice.randint(1, 9)}")
        elif what == "third":
            third = {"in service": "drained", "drained": "gone", "gone": "in service"}[third]
            settings = (
                f"{{address: 192.168.1.3, weight: {dice.randint(1, 9)}, drain: {str(third == 'drained').lower()}}}"
            )
            value = "" if third == "gone" else settings
            yield Edit(at_s, f"virtuals/web/servers/rs3={value}", third == "gone")
        else:
            number = dice.randint(1, 4)
            servers = "{rs1: {address: 192.168.1.1, port: 80}, rs2: {address: 192.168.1.2, port: 80}}"
            settings = f"{{address: 1.2.3.1/24, interface: eth0, port: {8000 + number}, servers: {servers}}}"
            yield Edit(at_s, f"virtuals/v{number}={'' if number in virtuals else settings}")
            virtuals ^= {number}
        at_s = round(at_s + _between(dice, 1, 2.5), 1)


def _between(dice: random.Random, least_s: float, most_s: float) -> float:
    return round(dice.uniform(least_s, most_s), 1)
