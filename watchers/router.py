"""The router service: one task owns all state. It takes an event, decides, and makes the kernel follow.

    etcd: lease, lock, commits ─┐                        ┌─ claim the lock, give it away (store)
    prober: verdicts ───────────┤                        ├─ converge, renew, announce (kernel follower)
    peers: questions, promises ─┼─► queue ─► one task ───┼─ status and health keys (publisher)
    clock ticks, stop ──────────┘                        └─ questions and answers (peers)

It decides by pure functions: `election.step`, `desired`, `plan`, `acceptance.refusal`. Whatever does not answer delays
its own part and nothing else; only the lease decides over the claim to be active.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

from clusterd import desired as wish
from clusterd import document, election
from clusterd.clock import boottime_s
from clusterd.configuration import Committed
from clusterd.errors import ApplyError, ClusterdError, ConfigError
from clusterd.groups import groups
from clusterd.health import Verdict
from clusterd.keys import Keys
from clusterd.metrics import Figures
from clusterd.model import DEFAULT_GROUP, Cluster, others
from clusterd.plane import Address, Answered, Claimed, LinkChanged, Notice, Removed, Scope
from clusterd.readiness import Found, readiness
from clusterd.reports import DRY_RUN, encoded
from clusterd.sharing import changed_keys
from clusterd.store.contract import Store
from clusterd.store.counted import CountedStore
from clusterd.wishes import Around, Role, Wish, around
from clusterd.wishes import wish as wished
from watchers import feeds, publisher
from watchers.applied_times import AppliedTimes
from watchers.configuration_follower import ConfigurationFollower
from watchers.deeds import HANDOVER_S
from watchers.elections import About, Elections
from watchers.elections import Event as ElectionEvent
from watchers.events import Events
from watchers.examining import Examining, question
from watchers.figures import Self, Sources, figures
from watchers.hearing import Hearing
from watchers.hooks import Change, Hooks
from watchers.inbox import Inbox
from watchers.isolation import Isolation
from watchers.kernel_follower import KernelFollower, Wanted
from watchers.kernel_writer import KernelWriter
from watchers.last_good import LastGood
from watchers.local_socket import Sight
from watchers.logs import tagged
from watchers.opinions import Opinions
from watchers.prober_link import ProberLink
from watchers.prober_messages import Identity, Report, assigned, trusted
from watchers.problems import Problems
from watchers.publisher import Publisher
from watchers.reachability import Reachability
from watchers.status import Status, shares
from watchers.tasks import Tasks
from watchers.turns import Turns, computed
from watchers.undoer import Undoer
from watchers.weighing import Surroundings, Weighing

log = logging.getLogger("clusterd.router")

STATUS_S = 1.0  # what only time has changed is told so often
LEAVING_S, PUBLISHED_S = 5.0, 2.0  # how long etcd is waited for when leaving
IN_ONE_GO = 25  # virtual or real servers, between two looks whether it is the others' turn
WHY_DRY = "dry run: nothing is written to this host's kernel, and it never carries an address"


@dataclass(frozen=True, slots=True)
class Places:
    """The files of a router."""

    last_good: Path
    lease: Path
    lvs_cf: Path


@dataclass(frozen=True, slots=True)
class _Settled:
    """The kernel was made to follow, or could not be."""


_Other = Committed | ConfigError | None | Report | _Settled


class Router:
    """One router. `run` ends when `stop` was called and the addresses and the lock are handed over."""

    def __init__(self, name: str, store: Store, keys: Keys, writer: KernelWriter, places: Places) -> None:
        self._store = store = CountedStore(store)
        self._name, self._keys, self._writer, self._places = name, keys, writer, places
        self._inbox: Inbox[ElectionEvent, _Other] = Inbox()
        self._tasks, self._problems = Tasks(), Problems()
        self._over = asyncio.Event()
        self._happened = Events(name, store, keys)
        self._elections = Elections(name, store, keys, self._happened, self._inbox.put_first, self._role_changed)
        self._not_ready: tuple[str, ...] = ("it has just started",)
        self._handing_over = self._leaving = False
        self._considering = asyncio.Lock()
        self._followed: LastGood | None = None
        self._around = Around()  # what follows from what is followed
        self._wish: Wish | None = None
        self._wishing = asyncio.Lock()  # one is made of the one before
        self._told: Status | None = None
        self._configuration = ConfigurationFollower(store, keys, self._problems, places.last_good, places.lvs_cf)
        self._kernel = KernelFollower(
            writer,
            self.wanted,
            self._elections.active_until,
            lambda: self._inbox.put(_Settled()),
            self._elections.taken,
            self._happened.record,
            self._problems,
            self._tasks,
        )
        self._reachability = Reachability(writer.without_carrier, lambda hosts: self._tasks.spawn(writer.ask(hosts)))
        self._isolation = Isolation(name, store, keys, self._missing, self._tokens, self._others)
        self._undoer = Undoer("clusterd-router", store, keys, lambda: bool(self._elections.active), self._problems)
        self._publisher = Publisher(store)
        self._hooks = Hooks(name, lambda: self._following.settings.notify, self._problems)
        self._applied = AppliedTimes(store, keys, name)
        self._examining = Examining(store, keys, name, self._to_examine)
        self._warnings: tuple[str, ...] = ()
        self._hearing = Hearing(boottime_s())
        self.decided_s = float("-inf")  # when it took an event last: every tick is one
        self._prober = ProberLink(self._inbox.put)
        self._opinions = Opinions(name, self._happened.record, self._problems)
        told = Surroundings(self._holder, self._deaf, lambda: self._elections.active, writer.count)
        self._weighing = Weighing(name, store, keys, told, self._opinions, self._kernel.changed)

    def stop(self) -> None:
        """Hand over and end."""
        self._inbox.put_first(election.Stop())

    def leave(self) -> None:
        """End, and leave kernel, lease and locks as they are: whoever is started at once goes on with them."""
        if not self._leaving:
            self._leaving = True
            self._tasks.spawn(self._leave())

    def warn_of(self, warnings: tuple[str, ...]) -> None:
        """Tell these in the status from now on: what is not wrong now, and has faults that are known."""
        self._warnings = warnings

    async def run(self) -> None:
        """Work until stopped. Raises ApplyError where the kernel has no IPVS."""
        await self._writer.open()
        try:
            self._writer.hear(self._noticed)
            await self._begin()
            await self._over.wait()
        finally:
            await self._tasks.end()
            await self._hooks.end()
            await self._elections.end()
            await self._prober.close()
            await self._writer.close()

    # --- beginning and ending -------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        lease = self._places.lease
        if self._writer.dry_run:
            self._problems.about("data plane", WHY_DRY)
            lease = lease.with_suffix(".dry")  # a lock that was held before is not gone on with
        good = self._configuration.start()
        if good:
            await self._configure(good)
        await self._elections.begin(lease)
        await self._shorten()
        self._elections.run()
        if good:
            self._kernel.changed()
        put = self._inbox.put
        self._tasks.supervise("commits", lambda: feeds.commits(self._store, self._keys, put))
        self._tasks.supervise(
            "given up commits", lambda: feeds.values(self._store, self._keys.adopted_prefix, self._given_up)
        )
        self._tasks.supervise("events", self._happened.run)
        self._tasks.supervise("publisher", self._publisher.run)
        self._tasks.supervise("applied times", self._applied.run)
        self._tasks.supervise("pending commits", self._undoer.watch)
        self._tasks.supervise("the right to undo", self._undoer.learn)
        self._tasks.supervise("undoing", self._undoer.run)
        self._tasks.supervise("questions of clusterd doctor", self._examining.follow)
        self._tasks.supervise("answers to clusterd doctor", self._examining.run)
        self._tasks.supervise("making way", self._isolation.run)
        self._weighing.run(self._tasks)
        self._tasks.supervise("clock", self._clock)
        self._tasks.supervise("decisions", self._decide)

    async def _shorten(self) -> None:
        """Cut what the process before this one told the kernel down to what is claimed now. Raises ApplyError."""
        for group in self._elections.active:
            until_s = partial(self._elections.active_until, group)
            failures = await self._writer.renew(self._floating(group), until_s)
            if failures:
                raise ApplyError("; ".join(map(str, failures)))

    async def _leave(self) -> None:
        """End what takes time while the lease is still refreshed; the last thing is the time for whoever comes next."""
        try:
            await self._hooks.end()
            await self._prober.close()
            async with asyncio.timeout(LEAVING_S):
                await self._configuration.save()
                await self._elections.lengthen()
            self._publish()  # our own keys go along
            with suppress(TimeoutError):
                async with asyncio.timeout(PUBLISHED_S):
                    await self._publisher.settled()
            async with asyncio.timeout(LEAVING_S):
                await self._elections.refresh()
                await self._kernel.renew()
        except (TimeoutError, ClusterdError) as error:
            why = str(error) or "etcd did not answer in time"
            log.warning("whoever comes next has less time: %s", why, extra=tagged("trouble", about="restart"))
        finally:
            self._over.set()

    async def _hand_over(self) -> None:
        await self._elections.hand_over()
        self._over.set()

    async def _end_anyway(self) -> None:
        await asyncio.sleep(2 * HANDOVER_S)
        log.error("the addresses could not be removed; the kernel does it in time", extra=tagged("addresses stay"))
        self._over.set()

    # --- events ---------------------------------------------------------------------------------------------------

    async def _clock(self) -> None:
        while True:
            await asyncio.sleep(self._elections.tick_s)
            self._inbox.put_first_once(election.Tick())

    async def _decide(self) -> None:
        turns, tell_s = Turns(), 0.0
        while True:
            if not self._weighing.behind:
                await self._inbox.wait()
            turns.begin()
            news = False
            while len(self._inbox) and not turns.over:
                event = self._inbox.take()
                await self._take(event)
                news = news or not isinstance(event, election.Tick)
            self._weighing.look()
            self.decided_s = boottime_s()
            if news or self.decided_s >= tell_s:
                tell_s = self.decided_s + STATUS_S
                self._publish()
            await turns.give_way()

    async def _take(self, event: ElectionEvent | _Other) -> None:
        match event:
            case Committed() | ConfigError() | None:
                self._tasks.spawn(self._consider(event))
            case Report():
                virtual, server = event.identity
                tags = tagged("verdict", virtual=virtual, server=server, up=event.verdict.up)
                log.info(
                    "%s/%s is %s: %s",
                    virtual,
                    server,
                    "up" if event.verdict.up else "down",
                    event.verdict.detail,
                    extra=tags,
                )
                self._weighing.learned(event.identity, event.verdict)
                self._publish_health({event.identity: event.verdict})
            case _Settled():
                self._settled()
            case election.Stop():
                self._stop(event)
            case election.Tick():
                self._look_whether_ready()
                self._tell_what_is_clear()
                self._elections.take(event)
                self._weighing.tick()
                self._kernel.tick()
                self._reachability.tick(boottime_s())
            case election.LeaseSeen():
                self._hearing.heard(boottime_s(), self._lease_s)
                self._elections.take(event)
                if self._elections.active and not self._kernel.converged:
                    self._kernel.look()  # what came too late for the last claim may be in time for this one
            case _:
                self._elections.take(event)

    def _stop(self, event: election.Stop) -> None:
        self._elections.take(event)
        for group in tuple(self._elections.states):
            self._kernel.let_go(group, self._floating(group))
        self._tasks.spawn(self._end_anyway() if self._followed else self._hand_over())

    def _settled(self) -> None:
        self._tasks.spawn(self._configuration.save())
        self._applied.done(self._kernel.applied_number, self._kernel.planned[1])
        if self._elections.own.stopping and not self._handing_over:
            self._handing_over = all(self._kernel.clear_of(group) for group in self._elections.states)
            if self._handing_over:
                self._tasks.spawn(self._hand_over())
        self._tell_what_is_clear()
        self._look_whether_ready()

    def _tell_what_is_clear(self) -> None:
        """Tell the elections which lock can be given away: its addresses are not in the kernel."""
        for group, state in tuple(self._elections.states.items()):
            idle = state.token and not state.acting and not self._elections.own.stopping
            if idle and not state.hand_over.cleared and self._kernel.clear_of(group):
                self._elections.take(About(group, election.Cleared()))

    def _look_whether_ready(self) -> None:
        self._not_ready = self._why_not_ready()
        ready = not self._not_ready
        if ready != self._elections.own.ready:
            self._elections.take(election.Ready(ready))

    def _why_not_ready(self) -> tuple[str, ...]:
        if self._writer.dry_run:
            return (WHY_DRY,)
        if not self._followed:
            return ("there is no configuration",)
        sync = self._followed.cluster.settings.sync
        found = Found(
            head=self._configuration.seen_number,
            applied=self._kernel.applied_number,
            converged=self._kernel.converged,
            unchecked=self._prober.unchecked,
            active=bool(self._elections.active),
            missing=self._missing(),
            sync_since_s=self._kernel.sync_since_s,
            window_s=sync.window_s if sync else None,
        )
        return readiness(found, boottime_s())

    # --- what is around -----------------------------------------------------------------------------------------------

    def _noticed(self, notices: Sequence[Notice]) -> None:
        of_addresses: list[Removed | Claimed] = []
        for notice in notices:
            match notice:
                case Answered(host):
                    self._reachability.answered(host, boottime_s())
                case LinkChanged():
                    self._reachability.look()
                    self._look_whether_ready()
                case Removed() | Claimed():
                    of_addresses.append(notice)
        if of_addresses:
            self._kernel.noticed(of_addresses)

    def _missing(self) -> tuple[str, ...]:
        return self._reachability.missing(boottime_s()) + self._opinions.fault(boottime_s())

    def _tokens(self) -> dict[str, int]:
        return {group: self._elections.states[group].token for group in self._elections.active}

    def _others(self) -> list[str]:
        """Return who could take over, those first that see real servers which this one does not."""
        routers = self._followed.cluster.routers if self._followed else {}
        better = self._opinions.better() if self._opinions.faulty else []
        rest = [name for name in routers if name != self._name]
        return sorted(rest, key=lambda name: (name not in better, -routers[name].priority))

    def _holder(self, group: str) -> str:
        state = self._elections.states.get(group)
        return self._name if state and state.acting else (state.holder or "") if state else ""

    def _deaf(self) -> bool:
        return self._hearing.deaf(boottime_s(), self._lease_s)

    @property
    def _lease_s(self) -> float:
        return self._following.settings.heartbeat.deadtime_s

    # --- the elections --------------------------------------------------------------------------------------------

    def _role_changed(self, group: str) -> None:
        if group in self._elections.active:
            self._take_over(group)
        else:
            self._kernel.let_go(group, self._floating(group))
        self._kernel.changed()
        self._hooks.changed(Change(group, group in self._elections.active, self._elections.states[group].token))

    def _take_over(self, group: str) -> None:
        daemons = wish.sync_daemons(self._following, sending=True).values()
        self._kernel.take_over(group, self._floating(group), daemons)

    def _floating(self, group: str) -> tuple[Address, ...]:
        return self._around.floating({group})

    @property
    def _following(self) -> Cluster:
        return self._followed.cluster if self._followed else Cluster()

    # --- the configuration ----------------------------------------------------------------------------------------

    async def _consider(self, seen: Committed | ConfigError | None) -> None:
        async with self._considering:  # one after the other, in the order in which they were seen
            good = await self._configuration.consider(seen)
            if good:
                came = (
                    seen if self._followed and isinstance(seen, Committed) else None
                )  # while this router followed one
                self._applied.seen(good.number, came.head.time if came else "")
                await self._configure(good)
                self._kernel.changed()

    def _given_up(self, hashes: Collection[str]) -> None:
        """Look again at what etcd shows, where a person said that it is right although it is not what was followed."""
        self._configuration.given_up = frozenset(hashes)
        if isinstance(self._configuration.seen, Committed):
            self._tasks.spawn(self._consider(self._configuration.seen))

    async def _configure(self, good: LastGood) -> None:
        """Tell everybody here what is followed from now on, and what is other with it."""
        before, cluster = self._following, good.cluster
        known = (before, self._around) if self._followed else (None, None)
        much = len(others(before, cluster)) > IN_ONE_GO
        here = await computed(much, lambda: around(cluster, *known))
        there, gone = await computed(much, lambda: assigned(before, cluster))
        verdicts: dict[Identity, Verdict] = {} if self._followed else await self._trusted(cluster)
        news: dict[Identity, Verdict | None] = {**dict.fromkeys(gone), **verdicts}
        self._prober.watch((), gone)
        self._weighing.configure(cluster, news, good.drains)
        turns, targets = Turns(), iter(there)
        while some := tuple(islice(targets, IN_ONE_GO)):
            self._prober.watch(replace(target, verdict=verdicts.get(target.identity)) for target in some)
            await turns.give_way()
        self._prober.start()
        while self._weighing.look_on(IN_ONE_GO):
            await turns.give_way()
        async with self._wishing:
            role, pools, last = self._role, self._weighing.pools, self._wish
            self._wish = await computed(much, lambda: wished(cluster, here, pools, role, last))
            self._followed = good
        if here is not self._around:
            self._around = here
            for group in self._elections.active & set(groups(cluster)):
                self._take_over(group)
            asked = cluster.settings.reachability
            self._reachability.configure(asked, (each.interface for each in here.carried), boottime_s())
            self._kernel.listen(asked.hosts)
        try:
            await self._elections.configure(self._candidates(cluster), good.secret)
            self._problems.about("peers")
        except OSError as error:
            self._problems.about("peers", f"the peer channel's port cannot be used: {error}")
        unknown = f"the configuration has no router {self._name}: this one never claims"
        self._problems.about("name", *([] if self._name in cluster.routers else [unknown]))
        self._publish_health(news)

    def _candidates(self, cluster: Cluster) -> Cluster:
        """Return the cluster with the routers that may be active, without this one where it is in a dry run."""
        if not self._writer.dry_run:
            return cluster
        rest = {name: router for name, router in cluster.routers.items() if name != self._name}
        return cluster.model_copy(update={"routers": rest})

    async def _trusted(self, cluster: Cluster) -> dict[Identity, Verdict]:
        try:
            return trusted(cluster, await self._writer.read(wish.scope(cluster)), time.time())
        except ApplyError as error:
            log.error("reading the kernel: %s", error, extra=tagged("kernel"))
            return {}

    # --- what follows from all that -------------------------------------------------------------------------------

    async def wanted(self) -> Wanted | None:
        """Return what should exist now, None while nothing is followed."""
        async with self._wishing:
            good, last = self._followed, self._wish
            if not good:
                return None
            here, pools, role = self._around, self._weighing.pools, self._role
            much = last is None or len(changed_keys(last.pools, pools)) > IN_ONE_GO
            self._wish = now = await computed(much, lambda: wished(good.cluster, here, pools, role, last))
            return Wanted(good.number, now.plane, now.around.scope, now.around.groups, now.news)

    @property
    def _role(self) -> Role:
        return Role(self._elections.active, self._kernel.carrying)

    def _status(self) -> Status:
        drift = self._happened.last("drift")
        return Status(
            role=DRY_RUN if self._writer.dry_run else "active" if self._elections.active else "backup",
            since=self._elections.since(DEFAULT_GROUP),
            token=self._elections.own.token,
            groups=shares(self._elections.states, self._elections.since),
            head=self._configuration.seen_number,
            applied=self._kernel.applied_number,
            follows=self._configuration.follows,
            converged=self._kernel.converged,
            ready=not self._not_ready,
            not_ready=self._not_ready,
            problems=self._problems.all(),
            undoes=self._undoer.may,
            warnings=self._warnings,
            **({"drift": drift.text, "drift_at": drift.time} if drift else {}),
        )

    def line(self) -> str:
        """Return how this router is, in one line."""
        return self._status().line() if self._followed else "waits for a configuration"

    async def sight(self) -> Sight | None:
        """Return what this router knows, for whoever asks on this host; None while it follows nothing."""
        if not self._followed:
            return None
        active = sorted(self._elections.active)
        return Sight(
            router=self._name,
            cluster_name=self._keys.cluster,
            followed=self._followed,
            status=self._status(),
            tokens={group: self._elections.states[group].token for group in active},
            until_s=max(map(self._elections.active_until, active), default=float("-inf")),
            heard_s=self._hearing.heard_s,
            verdicts=dict(self._prober.verdicts),
            pools=self._weighing.pools,
            events=self._happened.recent,
        )

    @property
    def problems(self) -> Problems:
        """What is wrong with this router."""
        return self._problems

    def figures(self) -> Figures:
        """Return this router in numbers."""
        parts = (self._store, self._elections, self._kernel, self._writer, self._weighing, self._prober)
        sources = Sources(*parts, self._applied, self._happened, self._problems)
        me = Self(self._keys.cluster, self._name, self._following, self._status(), self._hearing.heard_s)
        return figures(sources, me)

    def scope(self) -> Scope:
        """Return what of the kernel is this cluster's."""
        return wish.scope(self._following)

    def _to_examine(self) -> bytes | None:
        if not self._followed:
            return None
        return question(self._name, sorted(self._elections.active), document.objects(self._followed.cluster))

    def _publish(self) -> None:
        status = self._status()
        if status != self._told:
            self._told = status
            self._publisher.want("status", {self._keys.router(self._name): encoded(status.fields())})
        self._publisher.want("weights", self._weighing.keys())
        self._publisher.under(self._elections.own.lease_id)

    def _publish_health(self, news: Mapping[Identity, Verdict | None]) -> None:
        self._publisher.change(publisher.health(self._keys, self._name, news))
