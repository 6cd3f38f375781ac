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
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from clusterd import desired as wish
from clusterd import election
from clusterd.clock import boottime_s
from clusterd.configuration import Committed
from clusterd.election import Action, Answer, AskPeers, Claim, Configured, State, active_until
from clusterd.errors import ApplyError, ClusterdError, ConfigError
from clusterd.health import Verdict
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.store.contract import Store
from watchers import feeds, publisher
from watchers.configuration_follower import ConfigurationFollower
from watchers.kernel_follower import KernelFollower, Wanted
from watchers.kernel_writer import KernelWriter
from watchers.last_good import LastGood, write_atomically
from watchers.lock import Lock
from watchers.peers import Peers
from watchers.prober_link import ProberLink
from watchers.prober_messages import Identity, Report, targets, trusted
from watchers.problems import Problems
from watchers.publisher import Publisher
from watchers.status import Status, notices
from watchers.tasks import Tasks
from watchers.undoer import Undoer

log = logging.getLogger("clusterd.router")

TICK_S = 0.1
FIRST_READ_S = 1.5  # how long a lease from before a restart is asked for before the kernel is touched
HANDOVER_S = 2.0  # how long etcd is waited for when stopping


@dataclass(frozen=True, slots=True)
class Places:
    """The files of a router."""

    last_good: Path
    lease: Path
    lvs_cf: Path


@dataclass(frozen=True, slots=True)
class _Settled:
    """The kernel was made to follow, or could not be."""


_Event = election.Event | Committed | ConfigError | None | Report | _Settled


class Router:
    """One router. `run` ends when `stop` was called and the addresses and the lock are handed over."""

    def __init__(self, name: str, store: Store, keys: Keys, writer: KernelWriter, places: Places) -> None:
        self._name, self._store, self._keys, self._writer, self._places = name, store, keys, writer, places
        self._events: asyncio.Queue[_Event] = asyncio.Queue()
        self._tasks, self._problems = Tasks(), Problems()
        self._over = asyncio.Event()
        self._state = State(name)
        self._role_since = _utc()
        self._handing_over = False
        self._considering = asyncio.Lock()
        self._followed: LastGood | None = None
        self._checked = 0  # how many real servers it has checked
        self._configuration = ConfigurationFollower(store, keys, self._problems, places.last_good, places.lvs_cf)
        self._kernel = KernelFollower(
            writer,
            self._wanted,
            lambda: active_until(self._state),
            lambda: self._events.put_nowait(_Settled()),
            self._problems,
            self._tasks,
        )
        self._lock = Lock(store, keys.active(), name)
        self._undoer = Undoer(store, keys, lambda: self._state.acting, self._problems)
        self._publisher = Publisher(store)
        self._prober = ProberLink(self._events.put_nowait)
        self._peers = Peers(name, self._events.put_nowait)

    def stop(self) -> None:
        """Hand over and end."""
        self._events.put_nowait(election.Stop())

    async def run(self) -> None:
        """Work until stopped. Raises ApplyError where the kernel has no IPVS."""
        await self._writer.open()
        try:
            await self._begin()
            await self._over.wait()
        finally:
            await self._tasks.end()
            await self._prober.close()
            self._peers.close()
            await self._writer.close()

    # --- beginning and ending -------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        self._state = election.start(self._name, self._state.ttl_s, boottime_s())
        good = self._configuration.start()
        if good:
            await self._configure(good)
        inherited = await self._inherit()
        if good:
            self._kernel.changed()
        put = self._events.put_nowait
        self._tasks.supervise("lease", lambda: feeds.lease(self._store, inherited, self._timing, put))
        self._tasks.supervise("lock", lambda: feeds.lock(self._store, self._keys.active(), put))
        self._tasks.supervise("commits", lambda: feeds.commits(self._store, self._keys, put))
        self._tasks.supervise("publisher", self._publisher.run)
        self._tasks.supervise("pending commits", self._undoer.watch)
        self._tasks.supervise("undoing", self._undoer.run)
        self._tasks.supervise("clock", self._clock)
        self._tasks.supervise("decisions", self._decide)

    async def _inherit(self) -> int:
        """Return the lease that this router had before it was restarted, if it still lives; else 0.

        Whoever restarts quickly enough goes on as if nothing had happened: the lock is still its own.
        """
        try:
            lease_id = int(self._places.lease.read_text())
            async with asyncio.timeout(FIRST_READ_S):
                lease = await self._store.refresh(lease_id)
                lock = await self._lock.read()
        except (OSError, ValueError, TimeoutError, ClusterdError):
            return 0
        if lease.ttl_s <= 0:
            return 0
        log.info("going on with lease %x from before the restart", lease_id)
        self._elect(election.LeaseSeen(lease_id, lease.ttl_s, lease.sent_s, granted=True))
        self._elect(lock)
        return lease_id

    async def _hand_over(self) -> None:
        """The addresses are gone: give the lock away, take our own keys along, and end."""
        try:
            async with asyncio.timeout(HANDOVER_S):
                if self._state.token:
                    await self._lock.give_away(self._state.token)
                if self._state.lease_id:
                    await self._store.revoke(self._state.lease_id)
        except (TimeoutError, ClusterdError) as error:
            log.warning("etcd was not told of the hand-over, the lease will end by itself: %s", error)
        self._places.lease.unlink(missing_ok=True)
        self._over.set()

    async def _end_anyway(self) -> None:
        await asyncio.sleep(2 * HANDOVER_S)
        log.error("the addresses could not be removed; the kernel does it when their time is over")
        self._over.set()

    # --- events ---------------------------------------------------------------------------------------------------

    async def _clock(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._events.put_nowait(election.Tick())

    async def _decide(self) -> None:
        while True:
            await self._take(await self._events.get())
            self._publish()

    async def _take(self, event: _Event) -> None:
        match event:
            case Committed() | ConfigError() | None:
                self._tasks.spawn(self._consider(event))
            case Report():
                server = f"{event.virtual}/{event.server}"
                log.info("%s is %s: %s", server, "up" if event.verdict.up else "down", event.verdict.detail)
                self._kernel.changed()
                self._publish_health()
            case _Settled():
                self._settled()
            case election.Stop():
                self._stop(event)
            case election.Tick():
                self._elect(event)
                self._kernel.tick()
            case election.LeaseSeen():
                self._elect(event)
                if self._state.acting and not self._kernel.converged:
                    self._kernel.look()  # what came too late for the last claim may be in time for this one
            case _:
                self._elect(event)

    def _stop(self, event: election.Stop) -> None:
        self._elect(event)
        self._kernel.let_go(wish.floating(self._followed.cluster) if self._followed else ())
        self._kernel.look()
        self._tasks.spawn(self._end_anyway() if self._followed else self._hand_over())

    def _settled(self) -> None:
        self._tasks.spawn(self._configuration.save())
        if self._state.stopping and self._kernel.without_addresses and not self._handing_over:
            self._handing_over = True
            self._tasks.spawn(self._hand_over())
        ready = self._ready()
        if ready != self._state.ready:
            self._elect(election.Ready(ready))

    def _ready(self) -> bool:
        """Whether this router could serve: its kernel is as the last commit wants, and every server was checked."""
        if not self._followed or not self._kernel.converged:
            return False
        checked = len(self._prober.verdicts) == self._checked
        return checked and self._kernel.applied_number == self._configuration.seen_number

    # --- the election ---------------------------------------------------------------------------------------------

    def _elect(self, event: election.Event) -> None:
        before = self._state
        self._state, actions = election.step(before, event, boottime_s())
        for action in actions:
            self._perform(action)
        if self._state.lease_id != before.lease_id:
            self._tasks.spawn(self._remember_lease(self._state.lease_id))
        if self._state.acting != before.acting:
            self._change_role(self._state.acting)

    def _change_role(self, active: bool) -> None:
        log.info("this router is %s now (token %d)", "active" if active else "not active", self._state.token)
        self._role_since = _utc()
        floating = wish.floating(self._followed.cluster) if self._followed else ()
        if active:
            self._kernel.take_over(floating)
        else:
            self._kernel.let_go(floating)
        self._kernel.changed()

    def _perform(self, action: Action) -> None:
        match action:
            case Claim():
                self._tasks.spawn(self._claim(action))
            case AskPeers():
                self._peers.ask(action)
            case Answer():
                self._peers.answer(action)

    async def _claim(self, action: Claim) -> None:
        for event in await self._lock.claim(action.lease_id):
            self._events.put_nowait(event)

    async def _remember_lease(self, lease_id: int) -> None:
        try:
            await asyncio.to_thread(write_atomically, self._places.lease, f"{lease_id}\n", 0o600)
        except OSError as error:
            log.warning("%s: %s", self._places.lease, error)

    def _timing(self) -> tuple[int, float]:
        beat = (self._followed.cluster if self._followed else Cluster()).settings.heartbeat
        return beat.deadtime_s, min(beat.keepalive_s, beat.deadtime_s / 3)

    # --- the configuration ----------------------------------------------------------------------------------------

    async def _consider(self, seen: Committed | ConfigError | None) -> None:
        async with self._considering:  # one after the other, in the order in which they were seen
            good = await self._configuration.consider(seen)
            if good:
                await self._configure(good)
                self._kernel.changed()

    async def _configure(self, good: LastGood) -> None:
        """Tell the prober, the peers and the election what is followed from now on."""
        cluster = good.cluster
        wanted = targets(cluster, {} if self._followed else await self._trusted(cluster))
        await self._prober.watch(wanted)
        self._checked, self._followed = len(wanted), good
        if self._state.acting:
            self._kernel.take_over(wish.floating(cluster))
        others = {
            name: [str(address) for address in (router.private, router.public) if address]
            for name, router in cluster.routers.items()
            if name != self._name
        }
        try:
            await self._peers.configure(good.secret, others, cluster.settings.heartbeat.port)
            self._problems.about("peers")
        except OSError as error:
            self._problems.about("peers", f"the peer channel's port cannot be used: {error}")
        members = tuple(election.Member(name, router.priority) for name, router in cluster.routers.items())
        beat = cluster.settings.heartbeat
        self._elect(Configured(members, cluster.settings.on_store_loss, beat.deadtime_s))
        unknown = f"the configuration has no router {self._name}: this one never claims"
        self._problems.about("name", *([] if self._name in cluster.routers else [unknown]))
        self._problems.about("notices", *notices(cluster))
        self._publish_health()

    async def _trusted(self, cluster: Cluster) -> dict[Identity, Verdict]:
        try:
            return trusted(cluster, await self._writer.read(wish.scope(cluster)), time.time())
        except ApplyError as error:
            log.error("reading the kernel: %s", error)
            return {}

    # --- what follows from all that -------------------------------------------------------------------------------

    def _wanted(self) -> Wanted | None:
        """Return what should exist now."""
        if not self._followed:
            return None
        cluster = self._followed.cluster
        up = {identity: verdict.up for identity, verdict in self._prober.verdicts.items()}
        plane = wish.desired(cluster, up, self._state.acting)
        return Wanted(self._followed.number, plane, wish.scope(cluster))

    def _publish(self) -> None:
        status = Status(
            role="active" if self._state.acting else "backup",
            since=self._role_since,
            token=self._state.token,
            head=self._configuration.seen_number,
            applied=self._kernel.applied_number,
            converged=self._kernel.converged,
            problems=self._problems.all(),
        )
        self._publisher.want("status", {self._keys.router(self._name): publisher.encoded(status.fields())})
        self._publisher.under(self._state.lease_id)

    def _publish_health(self) -> None:
        self._publisher.want("health", publisher.health(self._keys, self._name, self._prober.verdicts))


def _utc() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
