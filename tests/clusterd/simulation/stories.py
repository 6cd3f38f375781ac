"""Scenarios with one kind of trouble in an otherwise good world, each with what has to come of it."""

from dataclasses import replace

from clusterd.election import Fast, Member, Switchover
from tests.clusterd.simulation.router import ORDER_S
from tests.clusterd.simulation.scenario import Kind, Scene, scene
from tests.clusterd.simulation.world import Violation, Weather

FAST = Fast(0.1, 3)
GROUP = "default"


def outage(seed: int, ttl_s: float) -> None:
    """Let etcd go away for long while every router runs. Raises Violation unless the holder keeps its addresses."""
    played = scene(seed)
    world = played.world
    world.weather = Weather(slow=0.02, lost=0.05)
    for router in played.routers.values():
        router.configured = replace(router.configured, ttl_s=ttl_s)
    played.step(12)
    first = played.active()
    played.etcd.fail()
    end_s = played.now_s + world.rng.uniform(5, 30)
    while played.now_s < end_s + 10:
        played.step(0.05)
        if played.now_s > end_s and not played.etcd.up:
            played.etcd.recover()
        if len(first[GROUP]) != 1 or played.active() != first:
            raise _violation(played, seed, f"etcd is away and {first} lost the addresses to {played.active()}")


def switchover(seed: int) -> None:
    """Order one group to another router. Raises Violation unless that one has it soon, and no third one ever."""
    played = scene(seed, Kind(groups=(GROUP, "shop"), fast=FAST if seed % 2 else None))
    played.step(14)
    before = played.active()
    holder = _holder(played, seed)
    to = played.world.rng.choice([name for name in played.routers if name != holder])
    played.etcd.order(GROUP, Switchover(to, played.etcd.locks[GROUP].token), ORDER_S)
    end_s = played.now_s + 1.0
    while played.now_s < end_s:
        played.step(0.02)
        if not set(played.active()[GROUP]) <= {holder, to} or played.active()["shop"] != before["shop"]:
            raise _violation(played, seed, f"{to} should have it, not {played.active()}")
    if played.active()[GROUP] != [to]:
        raise _violation(played, seed, f"{to} should have it by now, not {played.active()}")


def sudden_death(seed: int) -> None:
    """Cut the holder's power in fast mode. Raises Violation unless another has the addresses before its lease ends."""
    played = scene(seed, Kind(fast=FAST))
    played.step(14)
    holder = _holder(played, seed)
    played.routers[holder].cut_power()
    played.step(1.2)
    if len(played.active()[GROUP]) != 1:
        raise _violation(played, seed, f"{holder} is dead, and {played.active()} is active")


def slow_backups(seed: int) -> None:
    """Let backups stand still in fast mode. Raises Violation when the holder, which lives, loses its lock."""
    played = scene(seed, Kind(fast=FAST))
    rng = played.world.rng
    played.step(14)
    holder = _holder(played, seed)
    for _ in range(10):
        backup = rng.choice([router for name, router in played.routers.items() if name != holder])
        backup.pause()
        played.step(rng.uniform(0.2, 1.5))
        backup.resume()
        played.step(rng.uniform(0.2, 1.5))
        if played.active()[GROUP] != [holder]:
            raise _violation(played, seed, f"{holder} lives, and {played.active()} is active")


def another_ttl(seed: int) -> None:
    """Commit another TTL. Raises Violation unless all leases last so long soon, and the holder never lost its lock."""
    played = scene(seed, Kind(groups=(GROUP, "shop")))
    played.step(14)
    before, ttl_s = played.active(), played.world.rng.choice((2.0, 4.0, 12.0))
    token = played.etcd.locks[GROUP].token
    for router in played.routers.values():
        router.configured = replace(router.configured, ttl_s=ttl_s)
        router.tell(router.configured)
    end_s = played.now_s + 8  # a lease of 6 s has to run down to that of 2 s
    while played.now_s < end_s:
        played.step(0.05)
        if played.active() != before:
            raise _violation(played, seed, f"{before} lost the addresses to {played.active()}")
    used = {played.etcd.leases[r.own.lease_id].ttl_s for r in played.routers.values()}
    if used != {ttl_s} or played.etcd.locks[GROUP].token != token:
        raise _violation(played, seed, f"leases last {used}, not {ttl_s}; {token} became {played.etcd.locks[GROUP]}")


def restart(seed: int) -> None:
    """Restart the holder's service, which takes long to start, and kill it later.

    Raises Violation unless it keeps its locks, which soon are under a lease as configured again, so that another one
    has the addresses as soon after the kill as after any other.
    """
    played = scene(seed, Kind(groups=(GROUP, "shop")))
    played.step(14)
    holder = played.routers[_holder(played, seed)]
    tokens = _tokens(played)
    holder.leave()
    while holder.running:
        played.step(0.05)
    back_s = played.now_s + played.world.rng.uniform(0.1, 8.0)
    while played.now_s < back_s + 1.5:
        played.step(0.05)
        if played.now_s >= back_s and not holder.running:
            holder.start()
        if _tokens(played) != tokens or not holder.parts[GROUP].has_addresses:
            raise _violation(played, seed, f"{holder.name} was restarted, and lost what it had")
    lasts_s = played.etcd.leases[played.etcd.locks[GROUP].lease_id].ttl_s
    if lasts_s != holder.configured.ttl_s:
        raise _violation(played, seed, f"the lock is under a lease of {lasts_s} s")
    holder.cut_power()
    played.step(holder.configured.ttl_s + 2)
    if len(played.active()[GROUP]) != 1:
        raise _violation(played, seed, f"{holder.name} is dead, and {played.active()} is active")


def preemption(seed: int) -> None:
    """Let the best router come back. Raises Violation unless it gets its group back after it was ready for long."""
    played = scene(seed, Kind(preempt_after_s=5.0))
    best = played.routers["r0"]
    for router in played.routers.values():
        members = tuple(Member(name, 100 - 10 * n) for n, name in enumerate(played.routers))
        router.configured = replace(router.configured, members=members)
    played.step(14)
    best.cut_power()
    played.step(13)
    other = _holder(played, seed)
    best.start()
    played.step(4)
    if played.active()[GROUP] != [other]:
        raise _violation(played, seed, f"{other} lost the lock to {played.active()} too soon")
    played.step(6)
    if played.active()[GROUP] != ["r0"]:
        raise _violation(played, seed, f"r0 is ready for long, and {played.active()} is active")


def _tokens(played: Scene) -> dict[str, int]:
    return {group: lock.token for group, lock in played.etcd.locks.items()}


def _holder(played: Scene, seed: int) -> str:
    holders = played.active()[GROUP]
    if len(holders) != 1:
        raise _violation(played, seed, f"one should be active, not {holders}")
    return holders[0]


def _violation(played: Scene, seed: int, what: str) -> Violation:
    log = "\n".join(played.world.log[-20:])
    return Violation(f"seed {seed}: {what}\n{log}")
