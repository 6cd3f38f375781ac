"""What matters of etcd for the election: revisions, leases, one key that is created under a lease, a watch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from clusterd.election import LockSeen
from tests.clusterd.simulation.world import Act, Violation, World

T = TypeVar("T")


@dataclass(slots=True)
class Lease:
    """A lease with its owner and its end."""

    owner: str
    ttl_s: float
    end_s: float


@dataclass
class Etcd:
    """An etcd as its clients see it. It is away as a whole or not at all; its members are its own business."""

    world: World
    has_addresses: Callable[[str], bool]
    revision: int = 1
    up: bool = True
    lock: LockSeen | None = None
    leases: dict[int, Lease] = field(default_factory=dict)
    history: list[LockSeen] = field(default_factory=list)
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
        if self.leases.pop(number, None) and self.lock and self.lock.lease_id == number:
            self._changed(None)

    def claim(self, owner: str, number: int) -> LockSeen | None:
        """Create the lock under a lease, or return None where that is not possible."""
        if self.lock or number not in self.leases:
            return None
        if self.leases[number].owner != owner:
            raise Violation(f"{owner} claims under the lease of {self.leases[number].owner}")
        self._changed(LockSeen(self.revision + 1, owner, self.revision + 1, number))
        return self.lock

    def release(self, owner: str, token: int) -> None:
        """Delete the lock if it is still the one of this token."""
        if self.lock and self.lock.token == token:
            if self.lock.holder != owner:
                raise Violation(f"{owner} deletes the lock of {self.lock.holder}")
            if self.has_addresses(owner):
                raise Violation(f"{owner} gives the lock away before its addresses")
            self._changed(None)

    def seen(self) -> LockSeen:
        """Return the lock as a linearizable read shows it."""
        if self.lock is None:
            return LockSeen(self.revision, "")
        return LockSeen(self.revision, self.lock.holder, self.lock.token, self.lock.lease_id)

    # --- what it does by itself -----------------------------------------------------------------------------------

    def _changed(self, lock: LockSeen | None) -> None:
        self.revision += 1
        self.lock = lock
        self.history.append(lock or LockSeen(self.revision, ""))
        self.world.note(f"etcd: lock {lock.holder if lock else 'free'} at {self.revision}")
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
