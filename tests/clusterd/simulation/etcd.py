"""What matters of etcd for the election: revisions, leases, keys created under a lease, orders that expire, a watch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from clusterd.election import Event, LockSeen, Move, Paused, Switchover
from tests.clusterd.simulation.world import Act, Violation, World

T = TypeVar("T")
LATE_S = 0.3  # the kernel removes a timed address that late


@dataclass(slots=True)
class Lease:
    """A lease with its owner and its end."""

    owner: str
    ttl_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class News:
    """A change at a revision: of one group, and for one router where `router` is not "" ."""

    revision: int
    group: str
    event: Event
    router: str = ""


@dataclass
class Etcd:
    """An etcd as its clients see it. It is away as a whole or not at all; its members are its own business."""

    world: World
    has_addresses: Callable[[str, str], bool]
    groups: tuple[str, ...] = ("default",)
    revision: int = 1
    up: bool = True
    locks: dict[str, LockSeen] = field(default_factory=dict)
    orders: dict[str, Switchover] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    leases: dict[int, Lease] = field(default_factory=dict)
    excused_until_s: dict[str, float] = field(default_factory=dict)  # of those whose lease another router ended
    history: list[News] = field(default_factory=list)
    watchers: dict[str, Act] = field(default_factory=dict)
    _next_lease: int = 100
    _held_up: list[Act] = field(default_factory=list)

    def serve(self, work: Callable[[], T], answer: Callable[[T], None]) -> None:
        """Do a request and answer it; while there is no quorum it is lost, or done afterwards."""
        if self.up:
            answer(work())
        elif self.world.chance(0.3):
            self._held_up.append(lambda: answer(work()))

    def fail(self) -> None:
        """Lose the quorum: nothing is answered and no lease ends."""
        self.up = False

    def recover(self) -> None:
        """Elect a leader, which counts every lease from its beginning (lessor.go, Promote)."""
        self.up = True
        for number, lease in self.leases.items():
            lease.end_s = self.world.now_s + lease.ttl_s
            self._end_later(number)
        held_up, self._held_up = self._held_up, []
        for act in held_up:
            act()

    # --- requests -------------------------------------------------------------------------------------------------

    def grant(self, owner: str, ttl_s: float) -> tuple[int, float]:
        """Make a lease; return its number and its seconds."""
        self._next_lease += 1
        self.leases[self._next_lease] = Lease(owner, ttl_s, self.world.now_s + ttl_s)
        self._end_later(self._next_lease)
        return self._next_lease, ttl_s

    def refresh(self, number: int) -> float:
        """Return the seconds that the lease lives from now on, 0 where it has ended."""
        lease = self.leases.get(number)
        if lease is None:
            return 0.0
        lease.end_s = self.world.now_s + lease.ttl_s
        return lease.ttl_s

    def revoke(self, number: int) -> None:
        """End a lease and what is under it."""
        if self.leases.pop(number, None):
            for group in [group for group, lock in self.locks.items() if lock.lease_id == number]:
                self._free(group)

    def revoke_holder(self, group: str, token: int, number: int) -> None:
        """End the lease of a holder, if the lock still is the one of this token."""
        lock = self.locks.get(group)
        if lock and (lock.token, lock.lease_id) == (token, number):
            lease = self.leases[number]
            self.excused_until_s[lease.owner] = self.world.now_s + lease.ttl_s + LATE_S
            self.world.note(f"etcd: the lease of {lease.owner} is revoked")
            self.revoke(number)

    def claim(self, owner: str, group: str, number: int) -> LockSeen | None:
        """Create the lock under a lease, or return None where that is not possible."""
        if group in self.locks or number not in self.leases:
            return None
        if self.leases[number].owner != owner:
            raise Violation(f"{owner} claims under the lease of {self.leases[number].owner}")
        self.revision += 1
        self.locks[group] = LockSeen(self.revision, owner, self.revision, number)
        self._tell(group, self.locks[group])
        return self.locks[group]

    def move(self, owner: str, group: str, wish: Move) -> LockSeen:
        """Put a lock under another lease, if it is as the owner believes; return how it is."""
        lock = self.locks.get(group)
        if lock and (lock.token, lock.lease_id) == (wish.token, wish.lease_id) and wish.to_lease_id in self.leases:
            if lock.holder != owner:
                raise Violation(f"{owner} moves the lock of {lock.holder}")
            self.revision += 1
            self.locks[group] = LockSeen(self.revision, owner, lock.token, wish.to_lease_id)
            self._tell(group, self.locks[group])
        there = self.locks.get(group, LockSeen(0, ""))
        return LockSeen(self.revision, there.holder, there.token, there.lease_id)

    def release(self, owner: str, group: str, token: int) -> None:
        """Delete the lock if it still is the one of this token."""
        lock = self.locks.get(group)
        if lock and lock.token == token:
            if lock.holder != owner:
                raise Violation(f"{owner} deletes the lock of {lock.holder}")
            if self.has_addresses(owner, group):
                raise Violation(f"{owner} gives the lock away before its addresses")
            self._free(group)

    def order(self, group: str, order: Switchover, for_s: float) -> None:
        """Write an order that expires, unless there is one."""
        if group not in self.orders:
            self._order(group, order)
            self.world.after(for_s, lambda: self.take_back(group, order))

    def take_back(self, group: str, order: Switchover) -> None:
        """Delete an order, or let it expire."""
        if self.orders.get(group) == order:
            del self.orders[group]
            self._order(group, Switchover("", 0), there=False)

    def pause(self, router: str, paused: bool) -> None:
        """Write or delete a pause."""
        self.paused = self.paused | {router} if paused else self.paused - {router}
        self.revision += 1
        for group in self.groups:
            self._tell(group, Paused(paused), router)

    def seen(self) -> list[News]:
        """Return everything as a linearizable read shows it."""
        found = []
        for group in self.groups:
            lock = self.locks.get(group, LockSeen(0, ""))
            there = LockSeen(self.revision, lock.holder, lock.token, lock.lease_id)
            order = self.orders.get(group, Switchover("", 0))
            found += [News(self.revision, group, there), News(self.revision, group, order)]
        return found

    # --- what it does by itself -----------------------------------------------------------------------------------

    def _order(self, group: str, order: Switchover, there: bool = True) -> None:
        if there:
            self.orders[group] = order
        self.revision += 1
        self._tell(group, order)

    def _free(self, group: str) -> None:
        del self.locks[group]
        self.revision += 1
        self._tell(group, LockSeen(self.revision, ""))

    def _tell(self, group: str, event: Event, router: str = "") -> None:
        self.history.append(News(self.revision, group, event, router))
        self.world.note(f"etcd: {group} {event}")
        for watcher in self.watchers.values():
            watcher()

    def _end_later(self, number: int) -> None:
        lag_s = self.world.rng.choice((0.0, self.world.rng.uniform(0, 0.5)))  # it looks for ended leases now and then
        self.world.after(self.leases[number].end_s - self.world.now_s + lag_s, lambda: self._end(number))

    def _end(self, number: int) -> None:
        lease = self.leases.get(number)
        if lease is None or not self.up:
            return
        if lease.end_s > self.world.now_s:
            self._end_later(number)
        else:
            self.revoke(number)
