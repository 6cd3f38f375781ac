"""The pools of all virtual servers as this router works them out: each when something about it may be new.

Verdicts, readings of load and connections come in; `look` decides by `clusterd.weights.pool` and says whether something
else is wanted of the kernel now. Nothing here waits.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from clusterd.clock import boottime_s
from clusterd.model import Cluster, Virtual, others
from clusterd.sharing import patched
from clusterd.weights import Drains, Factor, Memory, Pool, Reading, Sighting, pool
from watchers.opinions import Opinions, utc_s
from watchers.prober_messages import Identity

_NO_DRAINS: Drains = {}


class Pools:
    """`active` tells the active router of a group, "" where there is none or it is not known."""

    def __init__(self, opinions: Opinions, active: Callable[[str], str]) -> None:
        self._opinions, self._active = opinions, active
        self._cluster = Cluster()
        self._memories: dict[str, Memory] = {}
        self._leaving: set[str] = set()  # the virtual servers whose drained real servers leave in the end
        self._touched: dict[str, None] = {}  # the names of those that may be others, in their order
        self._again_s: dict[str, float] = {}  # when the others may be
        self._next_s = float("inf")  # none of them before that
        self.all: Mapping[str, Pool] = {}
        self.notable: dict[
            str, Pool
        ] = {}  # those of all of which there is more to tell than configuration and verdicts
        self.could_not_depool = Counter[str]()  # by virtual server: servers that had to stay although they are down
        self._readings: dict[Identity, Reading] = {}
        self._agents: Mapping[str, Reading] = {}
        self._silences: dict[Identity, str] = {}
        self._connections: Mapping[Identity, int] = {}
        self._drains: Drains = {}

    def configure(self, cluster: Cluster, drains: Drains = _NO_DRAINS) -> None:
        """Follow this from now on: memories stay, by the names of virtual and real servers."""
        before, self._cluster, self._drains = self._cluster, cluster, drains
        names = others(before, cluster)
        gone = names - cluster.virtuals.keys()
        for name in gone:
            for known in (self._memories, self._touched, self._again_s, self.notable, self.could_not_depool):
                known.pop(name, None)
            self._leaving.discard(name)
        if gone:
            self.all = patched(self.all, {}, gone)
        alike = cluster.routers is before.routers  # who else has a say in verdicts
        self.touch(names if alike else cluster.virtuals)

    def touch(self, names: Iterable[str]) -> None:
        """Say that these virtual servers may be others now."""
        for name in names:
            if name in self._cluster.virtuals:
                self._touched[name] = None

    def touch_all(self) -> None:
        """Say that all may be."""
        self.touch(self._cluster.virtuals)

    def read(self, identity: Identity, reading: Reading | None, silence: str) -> None:
        """Take in what a source of load gave of a real server, or why it gave nothing."""
        if reading:
            self._readings[identity] = reading
        self._silences[identity] = silence
        self.touch([identity[0]])

    def agents(self, readings: Mapping[str, Reading]) -> None:
        """Take in what all agents say, by the names of the real servers."""
        self._agents = readings
        self.touch(name for name, virtual in self._cluster.virtuals.items() if virtual.load.source == "agent")

    def counted(self, connections: Mapping[Identity, int]) -> None:
        """Take in how many connections drained real servers have."""
        self._connections = connections
        self.touch({virtual for virtual, _ in connections})

    def draining(self) -> dict[Identity, Virtual]:
        """Return the real servers that leave when they have no connection."""
        return {
            (name, label): self._cluster.virtuals[name]
            for name in self._leaving
            for label, course in self._memories[name].courses.items()
            if course.drained_s is not None and not course.gone
        }

    @property
    def touched(self) -> bool:
        """Whether there are virtual servers that may be others and were not worked out yet."""
        return bool(self._touched)

    def kept(self) -> dict[str, int]:
        """Return how many servers of which virtual server stay although they are down."""
        return {name: len(memory.kept) for name, memory in self._memories.items() if memory.kept}

    def look(self, now_s: float, most: int | None = None) -> bool:
        """Work out what may have changed by now, of so many virtual servers, and return whether it did."""
        if now_s >= self._next_s:
            self._touched |= dict.fromkeys(name for name, again_s in self._again_s.items() if again_s <= now_s)
            self._next_s = min((again_s for again_s in self._again_s.values() if again_s > now_s), default=float("inf"))
        fresh: dict[str, Pool] = {}
        for name in tuple(islice(self._touched, most)):
            virtual = self._cluster.virtuals[name]
            seen = {label: self._sighting(name, label, virtual) for label in virtual.servers}
            before = self._memories.get(name, Memory())
            memory, found, again_s = pool(before, virtual, seen, now_s)
            self._again_s[name] = again_s
            del self._touched[name]
            self._next_s = min(self._next_s, again_s)
            self._memories[name] = memory
            (self._leaving.discard if virtual.drain_deadline_s is None else self._leaving.add)(name)
            if memory.kept:
                self.could_not_depool[name] += len(memory.kept.keys() - before.kept.keys())
            if found == self.all.get(name):
                found = self.all[name]
            else:
                fresh[name] = found
            self.notable.pop(name, None)
            if found.notable:
                self.notable[name] = found
        if fresh:
            self.all = patched(self.all, fresh)
        return bool(fresh)

    def _sighting(self, name: str, label: str, virtual: Virtual) -> Sighting:
        identity = (name, label)
        if not (virtual.enabled and virtual.servers[label].enabled):
            return Sighting(None)
        decision = self._opinions.decision(identity, self._active(virtual.group))
        reading: Reading | None = None
        silence = self._silences.get(identity, "")
        if virtual.load.source == "agent":
            reading, silence = self._agents.get(label), "its agent says nothing"
        elif virtual.load.source != "none":
            reading = self._readings.get(identity)
        connections = self._connections.get(identity)
        since_s = self._drains.get(f"{name}/{label}")
        drained_s = None if since_s is None else since_s - time.time() + boottime_s()
        return Sighting(decision.up, decision.why, decision.forced, reading, silence, connections, drained_s)


def published(pool: Pool, now_s: float) -> dict[str, Any]:
    """Return a pool under its stable names. Its times become UTC; `now_s` is on the clock that they are of."""
    offset_s = time.time() - now_s

    def factor(one: Factor) -> dict[str, str]:
        since = utc_s(one.since_s + offset_s) if one.since_s else ""
        return {"name": one.name, "says": one.says, "why": one.why, "since": since}

    servers = {
        label: {"weight": standing.weight, "factors": [factor(one) for one in standing.factors]}
        for label, standing in pool.standings.items()
    }
    return {"servers": servers, "sorry": pool.sorry, "alarms": list(pool.alarms)}
