"""Which router a group of addresses can go to: the choice, and why a router is none. Pure."""

from collections.abc import Iterator

from clusterd.errors import ConfigError, Problem, UnsafeChange
from clusterd.groups import priority
from clusterd.model import Cluster
from clusterd.overview import Holder, Overview, RouterLine
from clusterd.reports import ALL


def obstacles(router: RouterLine, commit: int) -> tuple[str, ...]:
    """Return why the addresses should not go to a router; nothing where they can. What is not known is no obstacle."""
    return tuple(_obstacles(router, commit))


def _obstacles(router: RouterLine, commit: int) -> Iterator[str]:
    if not router.alive:
        yield "it is not alive"
        return
    if not router.configured:
        yield "the configuration does not have it"
    if router.paused and router.paused.router != ALL:  # a hand-over is what a pause of all leaves to people
        yield "it is paused"
    if router.not_ready:
        yield from router.not_ready
    elif router.ready is False:
        yield "it is not ready"
    elif router.converged is False:
        yield "its kernel is not as it should be"
    elif router.applied is not None and router.applied < commit:
        yield f"it is at commit {router.applied} of {commit}"


def best(view: Overview, cluster: Cluster, holder: Holder) -> RouterLine:
    """Return the router that the addresses go to when nobody says which: the best one without obstacles.

    Raises UnsafeChange with every router's obstacles where there is none.
    """
    others = [router for router in view.routers if router.name != holder.router]
    able = [router for router in others if not obstacles(router, view.commit)]
    if not able:
        told = [f"{router.name}: {', '.join(obstacles(router, view.commit))}" for router in others]
        raise UnsafeChange("no router could take over; " + ("; ".join(told) or f"there is only {holder.router}"))
    return min(able, key=lambda router: (-priority(cluster, holder.group, router.name), router.name))


def named(view: Overview, name: str, near: str) -> RouterLine:
    """Return the router of this name. Raises ConfigError where there is none; `near` ends its sentence."""
    found = next((router for router in view.routers if router.name == name), None)
    if found is None:
        raise ConfigError([Problem(0, f"routers/{name}", "is not there" + near)])
    return found


def check_able(router: RouterLine, commit: int) -> None:
    """Raise UnsafeChange where there are obstacles."""
    told = obstacles(router, commit)
    if told:
        raise UnsafeChange(f"{router.name} should not take over: {', '.join(told)}; --force asks for it all the same")
