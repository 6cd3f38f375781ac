"""The router service: one task owns all state. It takes an event, decides, and makes the kernel follow.

    etcd: lease, lock, commits ─┐                        ┌─ claim, release (store)
    prober: verdicts ───────────┤                        ├─ converge, renew, announce (kernel writer)
    peers: questions, promises ─┼─► queue ─► one task ───┼─ status and health keys (publisher)
    clock ticks, stop ──────────┘                        └─ questions and answers (peers)

It decides by pure functions: `election.step`, `desired`, `plan`, `acceptance.refusal`. Whatever does not answer delays
its own part and nothing else; only the lease decides over the claim to be active.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clusterd import desired as wish
from clusterd import election
from clusterd.configuration import Committed
from clusterd.dataplane.addresses import boottime_s
from clusterd.election import Action, Answer, AskPeers, Claim, ClaimFailed, Configured, State, active_until
from clusterd.errors import ApplyError, ClusterdError, ConfigError
from clusterd.health import Verdict
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.plane import Address, Destination, Operation, Plane, Scope, Verb
from clusterd.store.contract import Created, Delete, Put, Store
from renderers import lvscf
from watchers import feeds, last_good, publisher
from watchers.acceptance import refusal
from watchers.kernel_writer import Convergence, KernelWriter, addresses
from watchers.last_good import LastGood
from watchers.peers import Peers
from watchers.prober_link import ProberLink
from watchers.prober_messages import Identity, Report, targets
from watchers.publisher import Publisher
from watchers.renewal import Renewal
from watchers.status import Status, kernel_problems, notices

log = logging.getLogger("clusterd.router")

TICK_S = 0.1
LOOK_S = 30.0  # the kernel is read back so often even when nothing happens
RETRY_S = 1.0  # after the kernel refused something
FIRST_READ_S = 1.5  # how long the first lock and lease are waited for before the kernel is touched
HANDOVER_S = 2.0  # how long etcd is waited for when stopping
ANNOUNCE_S = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # after becoming active


@dataclass(frozen=True, slots=True)
class Places:
    """The files of a router."""

    last_good: Path
    lease: Path
    lvs_cf: Path


@dataclass(frozen=True, slots=True)
class _Converged:
    """An attempt to make the kernel follow has ended; `result` is an error where the kernel could not be spoken to."""

    number: int
    cluster: Cluster
    result: Convergence | ApplyError


_Event = election.Event | Committed | ConfigError | None | Report | _Converged


class Router:
    """One router. `run` ends when `stop` was called and the addresses and the lock are handed over."""

    def __init__(self, name: str, store: Store, keys: Keys, writer: KernelWriter, places: Places) -> None:
        self._name, self._store, self._keys, self._writer, self._places = name, store, keys, writer, places
        self._events: asyncio.Queue[_Event] = asyncio.Queue()
        self._publisher = Publisher(store)
        self._prober = ProberLink(self._events.put_nowait)
        self._peers = Peers(name, self._events.put_nowait)
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()

        self._state = State(name)
        self._good: LastGood | None = None
        self._scope = Scope()
        self._verdicts: dict[Identity, Verdict] = {}
        self._seen_number = 0
        self._applied_number = 0
        self._saved: LastGood | None = None
        self._role_since = _utc()
        self._renewal = Renewal()
        self._renewing = False
        self._converging = False
        self._changed = True  # something that the kernel should follow
        self._look = True  # the next convergence begins by reading the kernel
        self._look_again_s = 0.0
        self._converged = False
        self._handing_over = False
        self._problems: dict[str, tuple[str, ...]] = {}

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
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._prober.close()
            self._peers.close()
            await self._writer.close()

    # --- beginning and ending -------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        self._state = election.start(self._name, self._state.ttl_s, boottime_s())
        good = last_good.load(self._places.last_good)
        if good:
            log.info("starting from the last good configuration, commit %d", good.number)
            await self._follow_configuration(good)
        first_lease = await self._inherit()
        put = self._events.put_nowait
        self._supervise("lease", lambda: feeds.lease(self._store, first_lease, self._timing, put))
        self._supervise("lock", lambda: feeds.lock(self._store, self._keys.active(), put))
        self._supervise("commits", lambda: feeds.commits(self._store, self._keys, put))
        self._supervise("publisher", self._publisher.run)
        self._supervise("clock", self._clock)
        self._supervise("decisions", self._decide)

    async def _inherit(self) -> int:
        """Return the lease that this router had before it was restarted, if it still lives; else 0.

        Whoever restarts quickly enough goes on as if nothing had happened: the lock is still its own.
        """
        try:
            lease_id = int(self._places.lease.read_text())
            async with asyncio.timeout(FIRST_READ_S):
                lease = await self._store.refresh(lease_id)
                if lease.ttl_s <= 0:
                    return 0
                snapshot = await self._store.snapshot(self._keys.active())
        except (OSError, ValueError, TimeoutError, ClusterdError):
            return 0
        self._elect(election.LeaseSeen(lease_id, lease.ttl_s, lease.sent_s, granted=True))
        held = [entry for entry in snapshot.entries if entry.key == self._keys.active()]
        self._elect(feeds.lock_seen(snapshot.revision, held[0] if held else None))
        log.info("going on with lease %x from before the restart", lease_id)
        return lease_id

    async def _hand_over(self) -> None:
        """The addresses are gone: give the lock away, take our own keys along, and end."""
        try:
            async with asyncio.timeout(HANDOVER_S):
                if self._state.token:
                    key = self._keys.active()
                    await self._store.transact([Created(key, self._state.token)], [Delete(key)])
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
            if boottime_s() >= self._look_again_s:
                self._look_again_s = boottime_s() + LOOK_S
                self._changed = self._look = True
            self._events.put_nowait(election.Tick())

    async def _decide(self) -> None:
        while True:
            self._take(await self._events.get())
            self._follow()

    def _take(self, event: _Event) -> None:
        match event:
            case Committed() | ConfigError() | None:
                self._spawn(self._consider(event))
            case Report():
                self._report(event)
            case _Converged():
                self._settle(event)
            case election.Stop():
                self._elect(event)
                self._changed = self._look = True
                self._spawn(self._hand_over() if self._good is None else self._end_anyway())
            case _:
                self._elect(event)

    def _report(self, report: Report) -> None:
        server = f"{report.virtual}/{report.server}"
        log.info("%s is %s: %s", server, "up" if report.verdict.up else "down", report.verdict.detail)
        self._verdicts = self._prober.verdicts  # not the report's own: its server may have left meanwhile
        self._changed = True

    def _elect(self, event: election.Event) -> None:
        before = self._state
        self._state, actions = election.step(before, event, boottime_s())
        for action in actions:
            self._perform(action)
        if self._state.lease_id != before.lease_id:
            self._spawn(self._remember_lease(self._state.lease_id))
        if self._state.acting != before.acting:
            self._change_role(self._state.acting)

    def _perform(self, action: Action) -> None:
        match action:
            case Claim():
                self._spawn(self._claim(action))
            case AskPeers():
                self._peers.ask(action)
            case Answer():
                self._peers.answer(action)

    # --- the store ------------------------------------------------------------------------------------------------

    async def _claim(self, action: Claim) -> None:
        key = self._keys.active()
        try:
            claim = Put(key, self._name.encode(), action.lease_id)
            outcome = await self._store.transact([Created(key, 0)], [claim])
            if outcome.succeeded:
                token = outcome.revision
                self._events.put_nowait(election.LockSeen(token, self._name, token, action.lease_id))
                return
            snapshot = await self._store.snapshot(key)
            held = [entry for entry in snapshot.entries if entry.key == key]
            self._events.put_nowait(feeds.lock_seen(snapshot.revision, held[0] if held else None))
        except ClusterdError as error:
            log.warning("claiming the lock: %s", error)
        self._events.put_nowait(ClaimFailed())

    async def _remember_lease(self, lease_id: int) -> None:
        try:
            await asyncio.to_thread(last_good.write_atomically, self._places.lease, f"{lease_id}\n", 0o600)
        except OSError as error:
            log.warning("%s: %s", self._places.lease, error)

    # --- the configuration ----------------------------------------------------------------------------------------

    async def _consider(self, seen: Committed | ConfigError | None) -> None:
        """Follow what the store shows, unless that would be wrong."""
        self._seen_number = seen.number if isinstance(seen, Committed) else self._seen_number
        why_not = refusal(self._good, seen, str(self._places.last_good))
        strays = seen.strays if isinstance(seen, Committed) else ()
        told = [why_not] if why_not else []
        told += [f"{name} in etcd is not what was committed, the commit is followed" for name in strays]
        self._say("configuration", *told)
        if why_not or not isinstance(seen, Committed):
            return
        secret = self._good.secret if self._good else b""
        if not secret:
            try:
                entry = await self._store.get(self._keys.peer_key)
                secret = entry.value if entry else b""
            except ClusterdError as error:
                log.warning("reading the routers' common key: %s", error)
        newer = self._good is None or seen.number > self._good.number
        if newer or secret != (self._good.secret if self._good else b""):
            log.info("commit %d by %s: %s", seen.number, seen.head.author, seen.head.message or "no message")
            await self._follow_configuration(LastGood(seen.number, seen.head.hash, seen.cluster, secret))

    async def _follow_configuration(self, good: LastGood) -> None:
        cluster = good.cluster
        first = self._good is None
        self._good = good
        self._seen_number = max(self._seen_number, good.number)
        self._scope |= wish.scope(cluster)
        if first:
            await self._trust_the_pool(cluster)
        await self._prober.watch(targets(cluster, self._verdicts))
        self._verdicts = self._prober.verdicts
        self._say("notices", *notices(cluster))
        await self._configure_peers(good)
        members = tuple(election.Member(name, router.priority) for name, router in cluster.routers.items())
        beat = cluster.settings.heartbeat
        self._elect(Configured(members, cluster.settings.on_store_loss, beat.deadtime_s))
        here = self._name in cluster.routers
        self._say("name", *([] if here else [f"the configuration has no router {self._name}: this one never claims"]))
        self._changed = True

    async def _trust_the_pool(self, cluster: Cluster) -> None:
        """Take servers that are in the kernel's pool for up until a check says otherwise: a restart is no news."""
        try:
            actual = await self._writer.read(self._scope)
        except ApplyError as error:
            log.error("reading the kernel: %s", error)
            return
        known = Verdict(True, time.time(), "in the pool when this router service started")
        for target in targets(cluster, {}):
            virtual = cluster.virtuals[target.virtual]
            found = actual.get(wish.destination_key(virtual, target.server))
            if isinstance(found, Destination) and (found.weight or not virtual.servers[target.server].weight):
                self._verdicts.setdefault(target.identity, known)

    async def _configure_peers(self, good: LastGood) -> None:
        others = {
            name: [str(address) for address in (router.private, router.public) if address]
            for name, router in good.cluster.routers.items()
            if name != self._name
        }
        try:
            await self._peers.configure(good.secret, others, good.cluster.settings.heartbeat.port)
            self._say("peers")
        except OSError as error:
            self._say("peers", f"the peer channel's port cannot be used: {error}")

    def _timing(self) -> tuple[int, float]:
        beat = self._good.cluster.settings.heartbeat if self._good else Cluster().settings.heartbeat
        return beat.deadtime_s, min(beat.keepalive_s, beat.deadtime_s / 3)

    # --- the kernel -----------------------------------------------------------------------------------------------

    def _until_s(self) -> float:
        return active_until(self._state)

    def _wanted(self, cluster: Cluster, active: bool) -> Plane:
        return wish.desired(cluster, {identity: v.up for identity, v in self._verdicts.items()}, active)

    def _follow(self) -> None:
        """Make the kernel and the own keys follow what was decided."""
        if self._good and self._changed and not self._converging:
            self._changed, self._converging = False, True
            self._spawn(self._converge(self._good))
        if self._state.acting and not self._renewing and self._renewal.due(self._until_s(), boottime_s()):
            self._renewing = True
            self._spawn(self._renew())
        self._publish()

    async def _converge(self, good: LastGood) -> None:
        wanted, look = self._wanted(good.cluster, self._state.acting), self._look
        self._look = False
        result: Convergence | ApplyError
        try:
            result = await self._writer.converge(wanted, self._scope, self._until_s, look)
        except ApplyError as error:
            result = error
        self._events.put_nowait(_Converged(good.number, good.cluster, result))

    def _settle(self, event: _Converged) -> None:
        self._converging = False
        result = event.result
        if isinstance(result, Convergence):
            for operation in result.done:
                log.info("%s", operation)
            self._say("kernel", *kernel_problems(result.failures, result.left))
        else:
            self._say("kernel", str(result))
        self._converged = isinstance(result, Convergence) and result.converged
        if not self._converged:
            self._look_again_s = min(self._look_again_s, boottime_s() + RETRY_S)
        elif self._good and event.number == self._good.number:
            if event.number != self._applied_number:
                log.info("commit %d is applied", event.number)
            self._applied_number = event.number
            self._scope = wish.scope(event.cluster)
        if self._good and self._saved != self._good:
            self._saved = self._good
            self._spawn(self._save(self._good))
        checked = self._good and all(t.identity in self._verdicts for t in targets(self._good.cluster, {}))
        current = bool(self._converged and self._applied_number == self._seen_number and checked)
        if current != self._state.ready:
            self._elect(election.Ready(current))
        gone = isinstance(result, Convergence) and not addresses(result.actual)
        if self._state.stopping and gone and not self._handing_over:
            self._handing_over = True
            self._spawn(self._hand_over())

    def _change_role(self, active: bool) -> None:
        log.info("this router is %s now (token %d)", "active" if active else "not active", self._state.token)
        self._role_since = _utc()
        self._changed = True
        if not self._good:
            return
        floating = addresses(self._wanted(self._good.cluster, active=True))
        if active:
            self._spawn(self._take_over(floating))
        else:
            self._renewal = Renewal()
            self._spawn(self._write([Operation(Verb.DELETE, address) for address in floating]))

    async def _take_over(self, floating: tuple[Address, ...]) -> None:
        await self._write([Operation(Verb.ADD, address) for address in floating])
        begun_s = boottime_s()
        for after_s in ANNOUNCE_S:
            await asyncio.sleep(begun_s + after_s - boottime_s())
            if not self._state.acting:
                return
            await self._writer.announce(floating)

    async def _write(self, operations: list[Operation]) -> None:
        try:
            for failure in await self._writer.write(operations, self._until_s):
                log.error("%s", failure)
        except ApplyError as error:
            log.error("%s", error)

    async def _renew(self) -> None:
        assert self._good is not None  # noqa: S101 - only a router with a configuration is active
        floating = addresses(self._wanted(self._good.cluster, active=True))
        began_s, until_s = boottime_s(), self._until_s()
        try:
            failures = await self._writer.renew(floating, lambda: min(until_s, self._until_s()))
            self._say("renewal", *map(str, failures))
            self._renewal.done(until_s, began_s, boottime_s())
        except ApplyError as error:
            self._say("renewal", str(error))
        finally:
            self._renewing = False

    # --- files and keys -------------------------------------------------------------------------------------------

    async def _save(self, good: LastGood) -> None:
        problems = []
        try:
            await asyncio.to_thread(last_good.save, self._places.last_good, good)
        except OSError as error:
            problems.append(f"{self._places.last_good}: {error.strerror}; a restart while etcd is away would be blind")
        rendering = lvscf.render(good.cluster, good.number)
        try:
            await asyncio.to_thread(last_good.write_atomically, self._places.lvs_cf, rendering.text)
        except OSError as error:
            problems.append(f"{self._places.lvs_cf}: {error.strerror}")
        self._say("files", *problems)

    def _say(self, about: str, *problems: str) -> None:
        """Remember what is wrong about something, and log it when that is new."""
        for problem in problems:
            if problem not in self._problems.get(about, ()):
                log.warning("%s", problem)
        self._problems[about] = problems

    def _publish(self) -> None:
        status = Status(
            role="active" if self._state.acting else "backup",
            since=self._role_since,
            token=self._state.token,
            head=self._seen_number,
            applied=self._applied_number,
            converged=self._converged,
            problems=tuple(problem for about in self._problems.values() for problem in about),
        )
        keys = publisher.health(self._keys, self._name, self._verdicts)
        keys[self._keys.router(self._name)] = publisher.encoded(status.fields())
        self._publisher.want(keys, self._state.lease_id)

    # --- tasks ----------------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _supervise(self, what: str, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._spawn(_for_ever(what, make))


async def _for_ever(what: str, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        await _logged(make())
        log.error("%s ended and is begun again", what)
        await asyncio.sleep(RETRY_S)


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:  # a fault in one part must not end the others: the service's one broad except
        log.exception("this should not happen, please report it")


def _utc() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
