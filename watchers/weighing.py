"""What the weights and verdicts of a router's pools are made of, brought together: one thing for the router to ask.

own prober, health keys ──▶ opinions ──┐
load reader, load keys ────────────────┼──▶ pools ──▶ desired()
connections of drained servers ────────┘      └─────▶ weights keys, for `clusterd explain`
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from clusterd.clock import boottime_s
from clusterd.counters import Counters
from clusterd.desired import destination_key, scope
from clusterd.groups import groups
from clusterd.health import Verdict
from clusterd.keys import Keys
from clusterd.model import Cluster, others
from clusterd.plane import Key, Scope
from clusterd.reports import agent_reading, encoded
from clusterd.store.contract import Store
from clusterd.weights import Drains, Pool
from watchers import feeds
from watchers.load_link import LoadLink
from watchers.load_messages import LoadReport, asked, load_targets
from watchers.opinions import Opinions
from watchers.pools import Pools, published
from watchers.prober_messages import Identity
from watchers.tasks import Tasks

COUNT_S = 1.0
AT_ONCE = 20  # virtual servers, so that no lease has to wait
Count = Callable[[Scope], Awaitable[Mapping[Key, Counters]]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the router tells of itself.

    `holder` is the active router of a group, "" where there is none; `deaf` whether other routers' words are old, since
    etcd has not answered for long; `active` the groups in which this router is active; `count` reads the kernel's
    counters.
    """

    holder: Callable[[str], str]
    deaf: Callable[[], bool]
    active: Callable[[], frozenset[str]]
    count: Count


class Weighing:
    """`changed` is called when something else is wanted of the kernel."""

    def __init__(
        self, me: str, store: Store, keys: Keys, around: Surroundings, opinions: Opinions, changed: Callable[[], None]
    ) -> None:
        self._me, self._store, self._keys, self._around, self._changed = me, store, keys, around, changed
        self._cluster = Cluster()
        self._opinions = opinions
        self._pools = Pools(opinions, around.holder)
        self._link = LoadLink(self._load_read)
        self._holders: dict[str, str] = {}
        self._told: dict[str, tuple[Pool, bytes]] = {}

    @property
    def pools(self) -> Mapping[str, Pool]:
        """The pools as they were last worked out: a value, which nobody changes."""
        return self._pools.all

    def kept(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return how many servers stay although they are down, by virtual server, and how often that began."""
        return self._pools.kept(), dict(self._pools.could_not_depool)

    def run(self, tasks: Tasks) -> None:
        """Begin to listen, in the background."""
        health, load = self._keys.health_prefix, self._keys.load_prefix
        tasks.supervise("others' verdicts", lambda: feeds.changes(self._store, health, self._health_heard))
        tasks.supervise("agents", lambda: feeds.values(self._store, load, self._agents_heard))
        tasks.supervise("the load reader", self._link.run)
        tasks.supervise("counting connections", self._count)

    def configure(self, cluster: Cluster, news: Mapping[Identity, Verdict | None], drains: Drains) -> None:
        """Follow this from now on; `news` are the own verdicts that are others with it. Then comes `look_on`."""
        names = others(self._cluster, cluster)
        if any(asked(each, name) for each in (self._cluster, cluster) for name in names):
            self._link.ask(load_targets(cluster))
        self._cluster = cluster
        self._opinions.configure(cluster, news, boottime_s())
        self._pools.configure(cluster, drains)
        self._holders = self._holding()

    @property
    def behind(self) -> bool:
        """Whether there is more than one look has worked out."""
        return self._pools.touched

    def look_on(self, most: int) -> bool:
        """Work out what a configuration changed, of so many virtual servers; return whether there are more.

        What is wanted of the kernel then is asked for when the time has come.
        """
        self._pools.look(boottime_s(), most)
        return self._pools.touched

    def learned(self, identity: Identity, verdict: Verdict) -> None:
        """Take in a verdict of the own prober. What follows from it is found by the next look."""
        faulty = self._opinions.faulty
        self._opinions.learned(identity, verdict, boottime_s())
        self._touch({identity[0]}, faulty)

    def tick(self) -> None:
        """Do what time asks for."""
        now_s = boottime_s()
        holders = self._holding()
        if self._opinions.listening(self._around.deaf(), now_s) or holders != self._holders:
            self._holders = holders
            self._pools.touch_all()
        self._opinions.tick(now_s)
        self.look()

    def look(self) -> None:
        """Work out what may have changed, and say so."""
        if self._pools.look(boottime_s(), AT_ONCE):
            self._changed()

    def keys(self) -> dict[str, bytes]:
        """Return the keys that this router writes: of virtual servers of which it is active, where there is a story."""
        active, wanted = self._around.active(), {}
        for name, pool in self._pools.notable.items():
            if self._cluster.virtuals[name].group in active:
                known = self._told.get(name)
                if known is None or known[0] != pool:
                    known = self._told[name] = (pool, encoded(published(pool, boottime_s())))
                wanted[self._keys.weights(name, self._me)] = known[1]
        return wanted

    def _holding(self) -> dict[str, str]:
        return {group: self._around.holder(group) for group in groups(self._cluster)}

    def _touch(self, names: set[str], faulty: bool) -> None:
        if faulty == self._opinions.faulty:
            self._pools.touch(names)
        else:
            self._pools.touch_all()

    def _health_heard(self, news: Mapping[str, bytes | None], whole: bool) -> None:
        faulty = self._opinions.faulty
        about = self._opinions.heard(news, whole, boottime_s())
        self._touch({virtual for virtual, _ in about}, faulty)
        self.look()

    def _agents_heard(self, values: Mapping[str, bytes]) -> None:
        readings = {server: reading for server, value in values.items() if (reading := agent_reading(value))}
        self._pools.agents(readings)
        self.look()

    def _load_read(self, report: LoadReport) -> None:
        self._pools.read((report.virtual, report.server), report.reading, report.silence)
        self.look()

    async def _count(self) -> None:
        """Count the connections of drained servers where this router has the traffic, while there are any."""
        while True:
            await asyncio.sleep(COUNT_S)
            active = self._around.active()
            draining = {who: virtual for who, virtual in self._pools.draining().items() if virtual.group in active}
            if draining:
                counters = await self._around.count(scope(self._cluster))
                found = {who: counters.get(destination_key(virtual, who[1])) for who, virtual in draining.items()}
                self._pools.counted({who: (c.active or 0) + (c.inactive or 0) for who, c in found.items() if c})
                self.look()
