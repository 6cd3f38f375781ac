"""The elections of a router: one for each group of addresses, all of them under the router's one lease.

Here each machine gets its events, and what it decides is done: the lock is claimed or given away, the other routers
are asked. Whoever owns this is told which group became active or inactive; the kernel is not our business.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from clusterd import election
from clusterd.clock import boottime_s
from clusterd.election import NEVER, Configured, Fast, LockSeen, Member, State
from clusterd.election.hand_over import given_up
from clusterd.errors import ClusterdError
from clusterd.groups import groups, priority
from clusterd.history import utc
from clusterd.keys import Keys
from clusterd.model import DEFAULT_GROUP, Cluster
from clusterd.reports import ALL, Switchover, switchover
from clusterd.store.contract import Lease, Store
from watchers import feeds
from watchers.deeds import Deeds
from watchers.events import Events
from watchers.feeds import Locks
from watchers.holding import Taken
from watchers.lease_file import LeaseFile
from watchers.logs import tagged
from watchers.margin import Margin
from watchers.peers import Peers
from watchers.takeovers import Takeovers
from watchers.tasks import Tasks

log = logging.getLogger("clusterd.router")

TICK_S = 0.1
RESTART_S = 10  # the lease of a router that is being restarted: so long it may take until the next process goes on


@dataclass(frozen=True, slots=True)
class About:
    """An event of one group's election."""

    group: str
    event: election.Event


@dataclass(frozen=True, slots=True)
class Orders:
    """The switchovers that are in force, by group."""

    by_group: Mapping[str, Switchover]


@dataclass(frozen=True, slots=True)
class Pauses:
    """The routers that are in a pause, or `all`."""

    routers: frozenset[str]


Event = election.Event | About | Locks | Orders | Pauses


class Elections:
    """The elections of the router `me`. `put` takes their events back to the task that owns this.

    `changed` is called with a group after this router became active or inactive in it.
    """

    def __init__(
        self,
        me: str,
        store: Store,
        keys: Keys,
        events: Events,
        put: Callable[[Event], None],
        changed: Callable[[str], None],
    ) -> None:
        self._me, self._store, self._keys, self._put, self._changed = me, store, keys, put, changed
        self._tasks = Tasks()
        self._states = {DEFAULT_GROUP: election.start(me, State(me).ttl_s, boottime_s())}
        self._leaving: set[str] = set()
        self._since: dict[str, str] = {}
        self._locks: Locks | None = None
        self._orders: Mapping[str, Switchover] = {}
        self._paused = False
        self._file = LeaseFile(Path(), self._in_doubt)
        self._inherited: Lease | None = None
        self._other_lease = asyncio.Event()
        self._beat = Cluster().settings.heartbeat
        self._peers = Peers(me, lambda group, event: put(About(group, event)))
        self.takeovers, self.margin = Takeovers(me, store, keys, events), Margin()
        self._deeds = Deeds(me, store, keys, self._peers, self.takeovers, lambda group, event: put(About(group, event)))

    # --- what others ask ------------------------------------------------------------------------------------------

    @property
    def active(self) -> frozenset[str]:
        """The groups in which this router is active."""
        return frozenset(group for group, state in self._states.items() if state.acting)

    @property
    def states(self) -> Mapping[str, State]:
        """The state of every group's election."""
        return self._states

    @property
    def own(self) -> State:
        """The state of the group that is always there, for what all groups share: the lease, stopping, readiness."""
        return self._states[DEFAULT_GROUP]

    @property
    def tick_s(self) -> float:
        """How often the elections want to know that time passes."""
        return min(TICK_S, self._beat.fast.interval_ms / 1000) if self._beat.fast else TICK_S

    def active_until(self, group: str) -> float:
        """Return until when this router may act for a group; a moment in the past where it may not."""
        state = self._states.get(group)
        return election.active_until(state) if state else float("-inf")

    def since(self, group: str) -> str:
        """Return since when this router has had its role in a group, UTC."""
        if group not in self._since:
            self._since[group] = utc(datetime.now(UTC))
        return self._since[group]

    # --- beginning and ending -------------------------------------------------------------------------------------

    async def begin(self, lease_file: Path) -> None:
        """Go on with the lease of before a restart, or begin without."""
        self._file = LeaseFile(lease_file, self._in_doubt)
        self._inherited = await self._inherit()

    def run(self) -> None:
        """Keep the lease and watch the locks, for ever.

        Whoever went on with a lease has cut what the kernel was told before down to its own claim by now: the locks are
        put back under a lease that is no longer than that.
        """
        store, keys, put, inherited = self._store, self._keys, self._put, self._inherited

        def ordered(values: Mapping[str, bytes]) -> None:
            put(Orders({group: switchover(group, value) for group, value in values.items()}))

        def paused(values: Mapping[str, bytes]) -> None:
            put(Pauses(frozenset(values)))

        self._tasks.supervise("lease", lambda: feeds.lease(store, self._timing, put, inherited, self._leases))
        self._tasks.supervise("locks", lambda: feeds.locks(store, keys, put))
        self._tasks.supervise("switchovers", lambda: feeds.values(store, keys.switchover_prefix, ordered))
        self._tasks.supervise("pauses", lambda: feeds.values(store, keys.pause_prefix, paused))

    async def end(self) -> None:
        """Stop all that runs here; the locks stay as they are."""
        await self._tasks.end()
        self._peers.close()

    async def lengthen(self) -> None:
        """Put the locks under a lease that lasts until the next process goes on with it. Raises the store's errors.

        Not with `heartbeat/fast`: others claim as soon as they miss us, so our addresses are to be gone soon as well.
        """
        short = self._beat.deadtime_s < RESTART_S and not self._beat.fast
        if self.active and short and not self._in_doubt():
            lease = await self._store.grant(RESTART_S)
            self.take(election.LeaseSeen(lease.lease_id, lease.ttl_s, lease.sent_s, granted=True, follows=True))
            while self._leases() != {lease.lease_id}:
                self._other_lease.clear()
                await self._other_lease.wait()

    async def refresh(self) -> None:
        """Refresh the lease now, and have it on disk. Raises the store's errors."""
        if self.own.lease_id:
            lease = await self._store.refresh(self.own.lease_id)
            self.take(election.LeaseSeen(lease.lease_id, lease.ttl_s, lease.sent_s))
            await self._keep_lease()

    async def hand_over(self) -> None:
        """Give the locks away, once the addresses are gone, and take our own keys along."""
        tokens = {group: state.token for group, state in self._states.items() if state.token}
        await self._file.forget()  # before: who is started again while this is on its way must not act
        await self._deeds.hand_over(tokens, self.own.lease_id)

    async def _inherit(self) -> Lease | None:
        """Return the lease that this router had before it was restarted, if it still lives.

        Whoever restarts quickly enough goes on as if nothing had happened: the locks are still its own. It is asked for
        half as long as a lease lasts: after that the kernel must be looked after in any case. What is claimed of it is
        what is configured, although it may be the longer one of a restart: a router that is killed now is killed.
        """
        try:
            lease_id, tokens = self._file.read()
            async with asyncio.timeout(max(self._beat.deadtime_s, RESTART_S) / 2):
                lease = await self._store.refresh(lease_id)
                locks = await feeds.read_locks(self._store, self._keys)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TimeoutError, ClusterdError) as error:
            why = str(error) or type(error).__name__
            log.warning("the lease from before the restart is left: %s", why, extra=tagged("lease left"))
            return None
        if lease.ttl_s <= 0:
            log.info("lease %x from before the restart has ended", lease_id, extra=tagged("lease left"))
            return None
        self._states = {group: replace(state, acted=tokens) for group, state in self._states.items()}
        log.info("going on with lease %x from before the restart", lease_id, extra=tagged("lease kept"))
        lasts_s = min(lease.ttl_s, self._beat.deadtime_s)
        self.take(election.LeaseSeen(lease_id, lasts_s, lease.sent_s, granted=True))
        self.take(locks)
        return lease

    # --- events and actions ---------------------------------------------------------------------------------------

    async def configure(self, cluster: Cluster, secret: bytes) -> None:
        """Follow another configuration. Raises OSError where the port for the other routers cannot be used."""
        beat = self._beat = cluster.settings.heartbeat
        wanted = groups(cluster)
        self._leave(set(self._states) - set(wanted))
        for group in wanted:
            if group not in self._states or group in self._leaving:
                self._join(group)
            self._step(group, _configured(cluster, group))
        others = {
            name: [str(a) for a in (router.private, router.public, router.private6, router.public6) if a]
            for name, router in cluster.routers.items()
            if name != self._me
        }
        await self._peers.configure(secret, others, beat.port)

    def _leave(self, gone: set[str]) -> None:
        """Give the locks of groups away that the configuration does not have any more."""
        for group in gone - self._leaving:
            self._leaving.add(group)
            self._step(group, election.Stop())

    def _join(self, group: str) -> None:
        """Begin the election of a group: what we may have promised in it before counts as if we had restarted."""
        own = self.own
        self._leaving.discard(group)
        self._states[group] = replace(
            election.start(self._me, own.ttl_s, boottime_s()),
            lease_id=own.lease_id,
            lease_until_s=own.lease_until_s,
            next_lease=replace(own.next_lease, asked_s=NEVER),
            ready=own.ready,
            ready_since_s=own.ready_since_s,
            paused=own.paused,
            stopping=own.stopping,
        )
        self._order(group)
        seen = self._locks.of(group) if self._locks else None
        if seen:
            self._step(group, seen)

    def take(self, event: Event) -> None:
        """Let an event happen: to one group's election, or to all."""
        match event:
            case Locks():
                self._locks = event if event.whole or not self._locks else _with(self._locks, event)
                for group in tuple(self._states):
                    seen = event.of(group)
                    if seen:
                        self._step(group, seen)
            case Orders(by_group):
                self._orders = by_group
                for group in tuple(self._states):
                    self._order(group)
            case Pauses(routers):
                for group in tuple(self._states):
                    self._step(group, election.Paused(not routers.isdisjoint((ALL, self._me))))
            case About(group, inner):
                if group in self._states:
                    self._step(group, inner)
            case _:
                if isinstance(event, election.LeaseSeen):
                    self.margin.note(self.own.lease_until_s, boottime_s())
                for group in tuple(self._states):
                    self._step(group, event)

    def taken(self, taken: Taken) -> None:
        """Take note that a group's addresses were announced."""
        self._tasks.spawn(self._deeds.took(taken))

    def _order(self, group: str) -> None:
        order = self._orders.get(group)
        self._step(group, election.Switchover(order.to, order.token) if order else election.Switchover("", 0))

    def _step(self, group: str, event: election.Event) -> None:
        before = self._states[group]
        after, actions = election.step(before, event, boottime_s())
        self._states[group] = after
        kept = (after.acting, after.lease_id, _in_doubt(after))
        if kept != (before.acting, before.lease_id, _in_doubt(before)):
            self._remember_lease()
        if after.lease_id != before.lease_id:
            self._other_lease.set()
        for action in actions:
            self._tasks.spawn(self._do(group, action, after))
        if after.acting != before.acting:
            self._deeds.role_changed(group, after)
            self._since[group] = utc(datetime.now(UTC))
            self._changed(group)
        if group in self._leaving and not after.token and not after.acting:
            self._leaving.discard(group)
            del self._states[group]

    async def _do(self, group: str, action: election.Action, state: State) -> None:
        if isinstance(action, election.GiveAway | election.Move):
            await self._file.forget()
        await self._deeds.do(group, action, state, self._orders.get(group))

    def _remember_lease(self) -> None:
        if self._in_doubt():
            self._file.drop()
        else:
            self._tasks.spawn(self._keep_lease())

    async def _keep_lease(self) -> None:
        tokens = [state.token for state in self._states.values() if state.acting]
        await self._file.keep(self.own.lease_id, tokens)

    def _in_doubt(self) -> bool:
        """Return whether nobody is to go on with the lease."""
        return self.own.stopping or any(map(_in_doubt, self._states.values()))

    def _leases(self) -> set[int]:
        return {state.lease_id for state in self._states.values()}

    def _timing(self) -> tuple[int, float]:
        beat = self._beat
        return beat.deadtime_s, min(beat.keepalive_s, beat.deadtime_s / 3)


def _configured(cluster: Cluster, group: str) -> Configured:
    settings, fast = cluster.settings, cluster.settings.heartbeat.fast
    return Configured(
        members=tuple(Member(name, priority(cluster, group, name)) for name in cluster.routers),
        policy=settings.on_store_loss,
        ttl_s=settings.heartbeat.deadtime_s,
        preempt_after_s=settings.preempt_after_s,
        fast=Fast(fast.interval_ms / 1000, fast.misses) if fast else None,
    )


def _in_doubt(state: State) -> bool:
    """Return whether a lock is ours only until it is given away, or moves to another lease."""
    return given_up(state) or state.next_lease.lease_id != 0


def _with(known: Locks, news: Locks) -> Locks:
    """Return what is known of all locks after some of them changed."""
    seen = {**known.seen, **news.seen}
    held: dict[str, LockSeen] = {group: replace(lock, revision=news.revision) for group, lock in seen.items()}
    return Locks(news.revision, held, former=known.former)
