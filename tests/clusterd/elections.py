"""A router whose clock and events are the test's."""

from clusterd.election import (
    Claim,
    Configured,
    Event,
    Fast,
    LeaseSeen,
    LockSeen,
    Member,
    Policy,
    Ready,
    Tick,
    start,
    step,
)

ME, OTHER, THIRD = Member("r1", 100), Member("r2", 100), Member("r3", 50)
LEASE, TTL_S = 77, 3.0


class Router:
    """A router whose clock and events are the test's. It starts at 0 s, when nothing is known yet."""

    def __init__(self, *members: Member, policy: Policy = "failsafe", ttl_s: float = TTL_S, name: str = "r1") -> None:
        self.now_s = 0.0
        self.state = start(name, ttl_s, 0.0)
        self.take(Configured(members or (ME, OTHER), policy, ttl_s))
        self.take(Ready(True))

    def configure(self, *members: Member, preempt_after_s: float | None = None, fast: Fast | None = None) -> None:
        policy, ttl_s = self.state.policy, self.state.ttl_s
        self.take(Configured(members or self.state.members, policy, ttl_s, preempt_after_s, fast))

    def beats(self, *at_s: float) -> tuple[object, ...]:
        """Let its clock tick at these moments, its lease being fresh; return what it did."""
        done: list[object] = []
        for moment_s in at_s:
            self.take(LeaseSeen(self.state.lease_id, TTL_S, moment_s), moment_s)
            done += self.take(Tick(), moment_s)
        return tuple(done)

    def take(self, event: Event, at_s: float | None = None) -> tuple[object, ...]:
        self.now_s = self.now_s if at_s is None else at_s
        self.state, actions = step(self.state, event, self.now_s)
        return actions

    def active(self, at_s: float) -> bool:
        self.take(Tick(), at_s)
        return self.state.acting

    def claims_at(self, *tries_s: float) -> float | None:
        """Return the first of these moments at which it claims, its lease being fresh."""
        for at_s in tries_s:
            self.take(LeaseSeen(self.state.lease_id, TTL_S, at_s), at_s)
            if Claim(self.state.lease_id) in self.take(Tick(), at_s) or self.state.claiming:
                return at_s
        return None


def waiting(at_s: float = 10.0, *members: Member, name: str = "r1", policy: Policy = "failsafe") -> Router:
    """Return a router with a lease that sees the lock held by r2."""
    router = Router(*members, name=name, policy=policy)
    router.take(LeaseSeen(LEASE, TTL_S, at_s, granted=True), at_s)
    router.take(LockSeen(5, "r2", 5, 66), at_s)
    return router


def holder(at_s: float = 10.0, *members: Member, policy: Policy = "failsafe") -> Router:
    """Return a router that has held the lock since `at_s`."""
    router = waiting(at_s, *members, policy=policy)
    router.take(LockSeen(6, "r1", 6, LEASE), at_s)
    assert router.state.acting
    return router
