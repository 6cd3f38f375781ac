"""The elections of a router: one for each group of addresses, all of them under the router's one lease.

Here each machine gets its events, and what it decides is done: the lock is claimed or given away, the other routers
are asked. Whoever owns this is told which group became active or inactive; the kernel is not our business.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from clusterd import election
from clusterd.clock import boottime_s
from clusterd.election import Action, Answer, AskPeers, Claim, Configured, Member, State
from clusterd.errors import ClusterdError
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.store.contract import Store
from watchers import feeds
from watchers.feeds import Locks
from watchers.last_good import write_atomically
from watchers.lock import Lock
from watchers.peers import Peers
from watchers.tasks import Tasks

log = logging.getLogger("clusterd.router")

FIRST_READ_S = 1.5  # how long a lease from before a restart is asked for before the kernel is touched
HANDOVER_S = 2.0  # how long etcd is waited for when stopping
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class About:
    """An event of one group's election."""

    group: str
    event: election.Event


Event = election.Event | About | Locks


class Elections:
    """The elections of the router `me`. `put` takes their events back to the task that owns this.

    `changed` is called with a group after this router became active or inactive in it.
    """

    def __init__(
        self, me: str, store: Store, keys: Keys, put: Callable[[Event], None], changed: Callable[[str], None]
    ) -> None:
        self._me, self._store, self._keys, self._put, self._changed = me, store, keys, put, changed
        self._tasks = Tasks()
        self._states = {DEFAULT: election.start(me, State(me).ttl_s, boottime_s())}
        self._since: dict[str, str] = {}
        self._lease_file = Path()
        self._timing = Cluster().settings.heartbeat
        self._peers = Peers(me, lambda event: put(About(DEFAULT, event)))

    # --- what others ask ------------------------------------------------------------------------------------------

    @property
    def active(self) -> frozenset[str]:
        """The groups in which this router is active."""
        return frozenset(group for group, state in self._states.items() if state.acting)

    @property
    def lease_id(self) -> int:
        """This router's lease, 0 while it has none."""
        return self._default.lease_id

    @property
    def stopping(self) -> bool:
        """Whether this router is to end."""
        return self._default.stopping

    @property
    def ready(self) -> bool:
        """Whether the elections were told that this router could serve."""
        return self._default.ready

    @property
    def _default(self) -> State:
        return self._states[DEFAULT]

    def active_until(self, group: str) -> float:
        """Return until when this router may act for a group; a moment in the past where it may not."""
        state = self._states.get(group)
        return election.active_until(state) if state else float("-inf")

    def token(self, group: str) -> int:
        """Return the fencing token of a group's lock, 0 where it is not ours."""
        state = self._states.get(group)
        return state.token if state else 0

    def since(self, group: str) -> str:
        """Return since when this router has had its role in a group, UTC."""
        return self._since.setdefault(group, _utc())

    # --- beginning and ending -------------------------------------------------------------------------------------

    async def begin(self, lease_file: Path) -> None:
        """Go on with the lease of before a restart, or begin without; then keep it and watch the locks for ever."""
        self._lease_file = lease_file
        inherited = await self._inherit()
        self._tasks.supervise("lease", lambda: feeds.lease(self._store, inherited, self._refreshing, self._put))
        self._tasks.supervise("locks", lambda: feeds.locks(self._store, self._keys.active_prefix, self._put))

    async def end(self) -> None:
        """Stop all that runs here; the locks stay as they are."""
        await self._tasks.end()
        self._peers.close()

    async def hand_over(self) -> None:
        """Give the locks away, once the addresses are gone, and take our own keys along."""
        try:
            async with asyncio.timeout(HANDOVER_S):
                for group, state in self._states.items():
                    if state.token:
                        await self._lock(group).give_away(state.token)
                if self.lease_id:
                    await self._store.revoke(self.lease_id)
        except (TimeoutError, ClusterdError) as error:
            log.warning("etcd was not told of the hand-over, the lease will end by itself: %s", error)
        self._lease_file.unlink(missing_ok=True)

    async def _inherit(self) -> int:
        """Return the lease that this router had before it was restarted, if it still lives; else 0.

        Whoever restarts quickly enough goes on as if nothing had happened: the locks are still its own.
        """
        try:
            lease_id = int(self._lease_file.read_text())
            async with asyncio.timeout(FIRST_READ_S):
                lease = await self._store.refresh(lease_id)
                locks = await feeds.read_locks(self._store, self._keys.active_prefix)
        except (OSError, ValueError, TimeoutError, ClusterdError):
            return 0
        if lease.ttl_s <= 0:
            return 0
        log.info("going on with lease %x from before the restart", lease_id)
        self.take(election.LeaseSeen(lease_id, lease.ttl_s, lease.sent_s, granted=True))
        self.take(locks)
        return lease_id

    # --- events and actions ---------------------------------------------------------------------------------------

    async def configure(self, cluster: Cluster, secret: bytes) -> None:
        """Follow another configuration. Raises OSError where the port for the other routers cannot be used."""
        beat = self._timing = cluster.settings.heartbeat
        members = tuple(Member(name, router.priority) for name, router in cluster.routers.items())
        self.take(Configured(members, cluster.settings.on_store_loss, beat.deadtime_s))
        others = {
            name: [str(address) for address in (router.private, router.public) if address]
            for name, router in cluster.routers.items()
            if name != self._me
        }
        await self._peers.configure(secret, others, beat.port)

    def take(self, event: Event) -> None:
        """Let an event happen: to one group's election, or to all."""
        match event:
            case Locks():
                for group in self._states:
                    seen = event.of(group)
                    if seen:
                        self._step(group, seen)
            case About(group, inner):
                if group in self._states:
                    self._step(group, inner)
            case _:
                for group in tuple(self._states):
                    self._step(group, event)

    def _step(self, group: str, event: election.Event) -> None:
        before = self._states[group]
        after, actions = election.step(before, event, boottime_s())
        self._states[group] = after
        for action in actions:
            self._perform(group, action)
        if group == DEFAULT and after.lease_id != before.lease_id:
            self._tasks.spawn(self._remember_lease(after.lease_id))
        if after.acting != before.acting:
            role = "active" if after.acting else "not active"
            log.info("this router is %s in group %s now (token %d)", role, group, after.token)
            self._since[group] = _utc()
            self._changed(group)

    def _perform(self, group: str, action: Action) -> None:
        match action:
            case Claim(lease_id):
                self._tasks.spawn(self._claim(group, lease_id))
            case AskPeers():
                self._peers.ask(action)
            case Answer():
                self._peers.answer(action)

    async def _claim(self, group: str, lease_id: int) -> None:
        for event in await self._lock(group).claim(lease_id):
            self._put(About(group, event))

    def _lock(self, group: str) -> Lock:
        return Lock(self._store, self._keys.active(group), self._me)

    async def _remember_lease(self, lease_id: int) -> None:
        try:
            await asyncio.to_thread(write_atomically, self._lease_file, f"{lease_id}\n", 0o600)
        except OSError as error:
            log.warning("%s: %s", self._lease_file, error)

    def _refreshing(self) -> tuple[int, float]:
        beat = self._timing
        return beat.deadtime_s, min(beat.keepalive_s, beat.deadtime_s / 3)


def _utc() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
