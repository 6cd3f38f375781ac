"""What happens in one seed of the simulation: trouble for a while, then calm, in which somebody has to be active."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from random import Random

from clusterd import election
from clusterd.election import Configured, Member, Policy
from tests.clusterd.simulation.etcd import Etcd
from tests.clusterd.simulation.router import Router
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

    def active(self) -> list[str]:
        """Return who is active and has the addresses."""
        return [
            router.name
            for router in self.routers.values()
            if election.active_until(router.state) > self.now_s and router.has_addresses
        ]

    def step(self, seconds: float) -> None:
        """Let time pass."""
        self.world.run(self.now_s + seconds)


def scene(seed: int, policy: Policy = "failsafe") -> Scene:
    """Return a cluster of two or three routers that have just been started."""
    rng = Random(seed)  # noqa: S311 - it has to be repeatable, not secret
    world = World(rng)
    routers: dict[str, Router] = {}
    etcd = Etcd(world, lambda name: routers[name].has_addresses)
    members = tuple(Member(f"r{n}", rng.choice((50, 100))) for n in range(rng.choice((2, 2, 3))))
    configured = Configured(members, policy, rng.choice((2.0, 3.0, 3.0, 6.0)))
    for member in members:
        routers[member.name] = Router(member.name, world, etcd, configured=configured)
    for router in routers.values():
        router.others = {name: other for name, other in routers.items() if other is not router}
        world.after(rng.uniform(0, 0.5), router.start)
    return Scene(world, etcd, routers)


def run(seed: int, policy: Policy = "failsafe", faults: Sequence["Fault"] = ()) -> Scene:
    """Play one seed, with any fault or only with these. Raises Violation, with what happened before it."""
    played = scene(seed, policy)
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
            _calm(played)
    except Violation as found:
        raise Violation(f"seed {seed}, {policy}: {found}\n" + "\n".join(world.log[-60:])) from None
    return played


def _weather(rng: Random) -> Weather:
    if rng.random() < 0.3:
        return Weather()
    return Weather(rng.choice((0.0, 0.1, 0.3)), rng.choice((0.0, 0.01, 0.05)), rng.choice((0.0, 0.05, 0.3)), 0.05)


def _calm(played: Scene) -> None:
    """End all trouble but the death of one router, and see that the cluster does its work again."""
    world = played.world
    world.weather = Weather()
    for link in list(world.cuts):
        world.mend(link)
    if not played.etcd.up:
        played.etcd.recover()
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
    first = played.active()
    played.step(2.0)
    if len(first) != 1 or played.active() != first:
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


def _hear(played: Scene, router: Router, configured: Configured) -> None:
    linked = not {(router.name, "etcd"), ("etcd", router.name)} & played.world.cuts
    if linked and played.etcd.up and router.running and not router.paused:
        router.configured = configured
        router.elect(configured)
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
    cut_power,
    stop,
    commit_ttl,
)


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
        if len(first) != 1 or played.active() != first:
            log = "\n".join(world.log[-20:])
            raise Violation(f"seed {seed}: etcd is away and {first} lost the addresses to {played.active()}\n{log}")
