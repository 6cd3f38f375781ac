"""What happens in one seed of the simulation: trouble for a while, then calm, in which somebody has to be active."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random

from clusterd import election
from clusterd.election import Configured, Fast, Member, Policy, Switchover
from tests.clusterd.simulation.etcd import Etcd
from tests.clusterd.simulation.router import ORDER_S, Router
from tests.clusterd.simulation.world import Violation, Weather, World

TROUBLE_S = 25.0
# A claim or a first read whose answer was lost is waited for that long; then it is tried again.
SETTLE_S = 12.0


@dataclass
class Scene:
    """A cluster and what can happen to it."""

    world: World
    etcd: Etcd
    routers: dict[str, Router]

    @property
    def now_s(self) -> float:
        return self.world.now_s

    def active(self) -> dict[str, list[str]]:
        """Return who is active and has the addresses, by group."""
        return {
            group: [
                router.name
                for router in self.routers.values()
                if election.active_until(router.parts[group].state) > self.now_s and router.parts[group].has_addresses
            ]
            for group in self.etcd.groups
        }

    def step(self, seconds: float) -> None:
        """Let time pass."""
        self.world.run(self.now_s + seconds)


@dataclass(frozen=True, slots=True)
class Kind:
    """What is special about a cluster."""

    policy: Policy = "failsafe"
    groups: tuple[str, ...] = ("default",)
    fast: Fast | None = None
    preempt_after_s: float | None = None

    @classmethod
    def of(cls, seed: int) -> "Kind":
        """Return the kind that a seed plays."""
        return cls(
            policy="failsafe" if seed % 3 else "release",
            groups=("default",) if seed % 5 else ("default", "shop"),
            fast=Fast(0.1, 3) if seed % 4 == 1 else None,
            preempt_after_s=5.0 if seed % 7 == 2 else None,
        )


PLAIN = Kind()


def scene(seed: int, kind: Kind = PLAIN) -> Scene:
    """Return a cluster of two or three routers that have just been started."""
    rng = Random(seed)  # noqa: S311 - it has to be repeatable, not secret
    world = World(rng)
    routers: dict[str, Router] = {}
    etcd = Etcd(world, lambda name, group: routers[name].parts[group].has_addresses, kind.groups)
    members = tuple(Member(f"r{n}", rng.choice((50, 100))) for n in range(rng.choice((2, 2, 3))))
    ttl_s = rng.choice((2.0, 3.0, 3.0, 6.0))
    configured = Configured(members, kind.policy, ttl_s, kind.preempt_after_s, kind.fast)
    for member in members:
        routers[member.name] = Router(member.name, world, etcd, configured=configured)
    for router in routers.values():
        router.others = {name: other for name, other in routers.items() if other is not router}
        world.after(rng.uniform(0, 0.5), router.start)
    return Scene(world, etcd, routers)


def run(seed: int, kind: Kind | None = None, faults: Sequence["Fault"] = ()) -> Scene:
    """Play one seed, with any fault or only with these. Raises Violation, with what happened before it."""
    played = scene(seed, kind or Kind.of(seed))
    world = played.world
    try:
        for _ in range(2):
            world.weather = _weather(world.rng)
            end_s = played.now_s + TROUBLE_S
            while played.now_s < end_s:
                played.step(world.rng.expovariate(1.0))
                fault = world.rng.choice(faults or FAULTS)
                world.note(fault.__name__)
                fault(played)
            _calm(played, tries=8 if (kind or Kind.of(seed)).preempt_after_s else 1)
    except Violation as found:
        raise Violation(f"seed {seed}: {found}\n" + "\n".join(world.log[-60:])) from None
    return played


def _weather(rng: Random) -> Weather:
    if rng.random() < 0.3:
        return Weather()
    return Weather(rng.choice((0.0, 0.1, 0.3)), rng.choice((0.0, 0.01, 0.05)), rng.choice((0.0, 0.05, 0.3)), 0.05)


def _calm(played: Scene, tries: int) -> None:
    """End all trouble but the death of one router, and see that the cluster does its work again."""
    world = played.world
    world.weather = Weather()
    for link in list(world.cuts):
        world.mend(link)
    if not played.etcd.up:
        played.etcd.recover()
    for name in list(played.etcd.paused):
        played.etcd.pause(name, paused=False)
    dead = world.rng.choice((None, *played.routers))
    for router in played.routers.values():
        if router.paused:
            router.resume()
        if router.name == dead and router.running:
            router.end()
        if router.name != dead and not router.running:
            router.start()
    ttl_s = max(router.configured.ttl_s for router in played.routers.values())
    world.note("calm")
    played.step(3 * ttl_s + SETTLE_S)
    for _ in range(tries):  # a better router may ask for the lock at this moment
        first = played.active()
        played.step(2.0)
        if all(len(holders) == 1 for holders in first.values()) and played.active() == first:
            return
    raise Violation(f"nobody, or not one for long, was active in the calm: {first}, {played.active()}")


# --- faults -------------------------------------------------------------------------------------------------------


def _for_a_while(played: Scene, begin: Callable[[], None], end: Callable[[], None]) -> None:
    begin()
    played.world.after(played.world.rng.choice((0.3, 1.0, 3.0, 8.0)) * played.world.rng.uniform(0.5, 1.2), end)


def _some(played: Scene) -> Router:
    return played.world.rng.choice(list(played.routers.values()))


def _cut(played: Scene, *pairs: tuple[str, str]) -> None:
    """Cut links in both directions, or in one."""
    links = [*pairs, *((b, a) for a, b in pairs)]
    if played.world.chance(0.3):
        links = played.world.rng.sample(links, len(links) // 2)
    for link in links:
        _for_a_while(played, partial(played.world.cut, link), partial(played.world.mend, link))


def cut_from_etcd(played: Scene) -> None:
    """One router does not reach etcd, or is not reached by it."""
    _cut(played, (_some(played).name, "etcd"))


def cut_all_from_etcd(played: Scene) -> None:
    """No router reaches etcd, but they reach each other."""
    _cut(played, *((name, "etcd") for name in played.routers))


def cut_from_others(played: Scene) -> None:
    """One router does not reach the others."""
    router = _some(played)
    _cut(played, *((router.name, name) for name in router.others))


def isolate(played: Scene) -> None:
    """One router reaches nobody."""
    router = _some(played)
    _cut(played, (router.name, "etcd"), *((router.name, name) for name in router.others))


def etcd_away(played: Scene) -> None:
    """etcd loses its quorum."""
    if played.etcd.up:
        _for_a_while(played, played.etcd.fail, lambda: None if played.etcd.up else played.etcd.recover())


def new_leader(played: Scene) -> None:
    """etcd elects a new leader."""
    if played.etcd.up:
        played.etcd.recover()


def pause(played: Scene) -> None:
    """One router's process stands still."""
    router = _some(played)
    if router.running and not router.paused:
        life = router.life
        _for_a_while(played, router.pause, lambda: router.resume() if router.paused and router.life == life else None)


def _start_later(played: Scene, router: Router) -> None:
    delay_s = played.world.rng.choice((0.0, 0.2, 1.0, 4.0))
    played.world.after(delay_s, lambda: None if router.running else router.start())


def kill(played: Scene) -> None:
    """One router's process dies and is started again."""
    router = _some(played)
    if router.running:
        router.end()
        _start_later(played, router)


def restart(played: Scene) -> None:
    """One router's service is restarted, and its program takes its time to start."""
    router, world = _some(played), played.world
    if router.running and not router.paused:
        life = router.life
        router.leave()

        def start() -> None:
            if router.life == life:
                world.after(0.5, start)  # it still leaves
            elif not router.running:
                router.start()

        world.after(world.rng.choice((0.5, 2.0, 8.0, 12.0)), start)


def cut_power(played: Scene) -> None:
    """One router loses everything."""
    router = _some(played)
    router.cut_power()
    _start_later(played, router)


def stop(played: Scene) -> None:
    """One router is stopped in order."""
    router = _some(played)
    if router.running and not router.paused:
        router.stop()
        played.world.after(10, lambda: None if router.running else router.start())


def commit_ttl(played: Scene) -> None:
    """Commit another TTL: each router hears of it when etcd can tell it."""
    ttl_s = played.world.rng.choice((2.0, 3.0, 6.0))
    for router in played.routers.values():
        _hear(played, router, replace(router.configured, ttl_s=ttl_s))


def order_a_switchover(played: Scene) -> None:
    """Order a holder to hand over, and sometimes take that back at once."""
    etcd, world = played.etcd, played.world
    group = world.rng.choice(etcd.groups)
    lock = etcd.locks.get(group)
    if lock and etcd.up:
        order = Switchover(_some(played).name, lock.token)
        etcd.order(group, order, ORDER_S)
        if world.chance(0.3):
            world.after(world.rng.uniform(0, 0.1), lambda: etcd.take_back(group, order))


def pause_claims(played: Scene) -> None:
    """One router, or each, is to leave others' locks alone."""
    etcd = played.etcd
    chosen = list(played.routers) if played.world.chance(0.3) else [_some(played).name]
    if etcd.up:
        for name in chosen:
            _for_a_while(played, partial(etcd.pause, name, True), partial(etcd.pause, name, False))


def _hear(played: Scene, router: Router, configured: Configured) -> None:
    linked = not {(router.name, "etcd"), ("etcd", router.name)} & played.world.cuts
    if linked and played.etcd.up and router.running and not router.paused:
        router.configured = configured
        router.tell(configured)
    else:
        played.world.after(0.3, lambda: _hear(played, router, configured))


Fault = Callable[[Scene], None]
FAULTS: tuple[Fault, ...] = (
    cut_from_etcd,
    cut_all_from_etcd,
    cut_from_others,
    isolate,
    etcd_away,
    new_leader,
    pause,
    kill,
    restart,
    cut_power,
    stop,
    commit_ttl,
    order_a_switchover,
    pause_claims,
)
