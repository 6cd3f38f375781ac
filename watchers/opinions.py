"""What this router and all other observers say of the real servers, and what follows when they do not agree.

It decides by pure functions (`clusterd.verdicts`) and keeps what they need: the verdicts of this router's own prober,
the others' health keys, and since when somebody sees up what this router sees down.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime

from clusterd.health import Verdict
from clusterd.model import Check, Cluster, others
from clusterd.reports import VerdictReport, verdict_report
from clusterd.verdicts import EXTERNAL, Decision, contradicted, decision, disagreement, heard, own_fault
from watchers.prober_messages import Identity
from watchers.problems import Problems


class Opinions:
    """The opinions as the router `me` knows them. `record` takes the kind of an event and a sentence."""

    def __init__(self, me: str, record: Callable[[str, str], None], problems: Problems) -> None:
        self._me, self._record, self._problems = me, record, problems
        self._cluster = Cluster()
        self._own: dict[Identity, Verdict] = {}
        self._others: dict[Identity, dict[str, VerdictReport]] = {}
        self._values: dict[
            str, bytes
        ] = {}  # by names of keys: most of a list is known already, and decoding takes time
        self._contradicted: dict[Identity, float] = {}
        self._told: set[Identity] = set()
        self._faulty_since_s: float | None = None
        self._settle_s = 0.0
        self._deaf = False

    def configure(self, cluster: Cluster, news: Mapping[Identity, Verdict | None], now_s: float) -> None:
        """Take what is followed from now on, and which of the own verdicts are others with it; None: it is gone."""
        if any(_check(self._cluster, name) != _check(cluster, name) for name in others(self._cluster, cluster)):
            checks = [each.check for each in cluster.virtuals.values()]
            self._settle_s = max((check.fall * check.interval_s + check.timeout_s for check in checks), default=0.0)
        alike, self._cluster = cluster.routers is self._cluster.routers, cluster
        for identity, verdict in news.items():
            if verdict:
                self._own[identity] = verdict
            else:
                self._own.pop(identity, None)
        self._note(news if alike else self._own.keys() | news.keys(), now_s)

    def learned(self, identity: Identity, verdict: Verdict, now_s: float) -> None:
        """Take in a verdict of the own prober."""
        self._own[identity] = verdict
        self._note([identity], now_s)

    def heard(self, news: Mapping[str, bytes | None], whole: bool, now_s: float) -> set[Identity]:
        """Take in health keys by their names below the prefix, None: gone, and return whom they are about.

        `whole` says that there are no others.
        """
        gone: dict[str, bytes | None] = dict.fromkeys(self._values.keys() - news.keys()) if whole else {}
        about = set()
        for name, value in {**news, **gone}.items():
            virtual, _, rest = name.partition("/")
            server, _, observer = rest.partition("/")
            if not observer or observer == self._me or self._values.get(name) == value:
                continue
            about.add((virtual, server))
            voices = self._others.setdefault((virtual, server), {})
            if value is None:
                del self._values[name], voices[observer]
            else:
                self._values[name] = value
                voices[observer] = verdict_report(observer, value)
        self._note(about, now_s)
        return about

    def listening(self, deaf: bool, now_s: float) -> bool:
        """Say whether other routers' words are old, and return whether that is new: then the own counts.

        What an external party said last holds on: silence is no news.
        """
        new, self._deaf = deaf != self._deaf, deaf
        if new:
            self._note(self._own, now_s)
        return new

    def decision(self, identity: Identity, active: str) -> Decision:
        """Return what counts of a real server while `active` is its group's active router."""
        own = self._own.get(identity)
        if own and not self._voices(identity):  # the usual thing where one router is alone, and there may be 50,000
            return Decision(own.up, own.detail, self._me)
        virtual = self._cluster.virtuals[identity[0]]
        return decision(virtual, self._reports(identity), self._me, active, self.faulty)

    @property
    def faulty(self) -> bool:
        """Whether this router is out of order itself: others see most of what it does not."""
        return own_fault(self._contradicted, len(self._own))

    def fault(self, now_s: float) -> tuple[str, ...]:
        """Return the sentence of that, once it has lasted long enough not to be the others who see it later."""
        if self._faulty_since_s is None or now_s < self._faulty_since_s + self._settle_s:
            return ()
        some = f"{len(self._contradicted)} of {len(self._own)} real servers cannot be reached"
        return (f"{some}, {' and '.join(self.better())} can",)

    def better(self) -> list[str]:
        """Return the routers that see up what this one does not, the one that sees most first."""
        count: dict[str, int] = {}
        for identity in self._contradicted:
            for one in self._reports(identity):
                if one.up and one.observer in self._cluster.routers:
                    count[one.observer] = count.get(one.observer, 0) + 1
        return sorted(count, key=lambda name: (-count[name], name))

    def tick(self, now_s: float) -> None:
        """Tell what has lasted long enough: once when it begins."""
        fault = self.fault(now_s)
        if fault and not self._problems.has("observing"):
            self._record("network fault", f"{self._me}: {fault[0]}: its own network is taken to be at fault")
        self._problems.about("observing", *fault)
        if self.faulty:
            return
        for identity, since_s in self._contradicted.items():
            if identity not in self._told and now_s >= since_s + self._settle_s:
                self._told.add(identity)
                self._record("disagreement", disagreement("/".join(identity), self._reports(identity), self._me))

    def _reports(self, identity: Identity) -> list[VerdictReport]:
        own = [reported(self._me, self._own[identity])] if identity in self._own else []
        return own + heard(self._cluster, self._voices(identity), self._me)

    def _voices(self, identity: Identity) -> Collection[VerdictReport]:
        voices = self._others.get(identity, {})
        if not self._deaf:
            return voices.values()
        return [voice for observer, voice in voices.items() if observer.startswith(EXTERNAL)]

    def _note(self, about: Iterable[Identity], now_s: float) -> None:
        for identity in about:
            own = self._own.get(identity)
            if own and not own.up and contradicted(self._reports(identity), self._me):
                self._contradicted.setdefault(identity, now_s)
            else:
                self._contradicted.pop(identity, None)
                self._told.discard(identity)
        if not self.faulty:
            self._faulty_since_s = None
        elif self._faulty_since_s is None:
            self._faulty_since_s = now_s


def _check(cluster: Cluster, name: str) -> Check | None:
    return cluster.virtuals[name].check if name in cluster.virtuals else None


def reported(observer: str, verdict: Verdict) -> VerdictReport:
    """Return a verdict as its key says it."""
    return VerdictReport(observer=observer, up=verdict.up, since=utc_s(verdict.since_s), detail=verdict.detail)


def utc_s(at_s: float) -> str:
    """Return seconds since 1970 as 2026-01-31T10:00:00Z."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
