"""What does not fit at one look: who is late, and what somebody should look after."""

from collections.abc import Iterator

from clusterd.desired import carried
from clusterd.model import DEFAULT_GROUP, Cluster
from clusterd.overview.values import ETCD, Observed, RouterLine, VirtualLine
from clusterd.reports import DRY_RUN, VerdictReport


def late(routers: tuple[RouterLine, ...], commit: int, head_hash: str) -> Iterator[str]:
    """Yield why the last commit is not applied by every router that is alive."""
    alive = [router for router in routers if router.alive]
    if not alive:
        yield "no router is alive"
    elif all(router.role == DRY_RUN for router in alive):
        yield "every router is in a dry run"
    for router in alive:
        if router.applied is None:
            yield f"{router.name} does not say which commit it applied"
        elif router.applied < commit:
            yield f"{router.name} is at commit {router.applied} of {commit}"
        elif head_hash and router.follows.lost_by(commit, head_hash, router.head):
            yield f"{router.name} follows commit {router.follows.number}, which this etcd does not have"
        elif router.converged is False:
            yield f"{router.name}'s kernel is not as commit {commit} wants it"


def alarms(
    cluster: Cluster, seen: Observed, routers: tuple[RouterLine, ...], virtuals: tuple[VirtualLine, ...]
) -> Iterator[str]:
    """Yield what somebody should look after now."""
    unheld = set(carried(cluster).values()) - {holder.group for holder in seen.holders}
    for group in sorted(unheld) if seen.told_by == ETCD else ():
        yield "no router is active" + ("" if group == DEFAULT_GROUP else f" for group {group}")
    for router in routers:
        if router.configured and router.alive is False:
            yield f"router {router.name} is not alive"
        yield from (f"router {router.name}: {problem}" for problem in router.problems)
    for virtual in virtuals:
        if virtual.enabled and not any(server.effective_weight for server in virtual.servers):
            instead = ": its sorry server answers" if virtual.sorry_server_in_use else ""
            yield f"virtual server {virtual.name} has no real server in its pool{instead}"
        yield from (f"virtual server {virtual.name}: {alarm}" for alarm in virtual.alarms)
        for server in virtual.servers:
            if server.disagreement and server.state != "disabled":
                yield f"routers disagree on {virtual.name}/{server.name}: {_told(server.verdicts)}"
    yield from (f"{name} in etcd is not what was committed; see `clusterd adopt`" for name in seen.strays)


def _told(verdicts: tuple[VerdictReport, ...]) -> str:
    words = {True: "up", False: "down", None: "unknown"}
    return ", ".join(f"{words[one.up]} says {one.observer} ({one.detail})" for one in verdicts)
