"""A minute without etcd, in which web servers stop and one comes back: what clients, kernels and then etcd see of it.

etcd stops       rs1's web server stops   it starts     rs2's stops                       etcd starts
|-- leases end --|-- out of both pools ---|-- back in --|-- out of both pools --- 60 s ----|-- keys --|
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.lab.client import ArpLog, ArpWatcher, HolderWatcher, Poller, Polls
from tests.lab.cluster import LabCluster, destinations, wait_for
from tests.lab.namespaces import call
from tests.lab.topology import REAL_SERVERS, ROUTERS

AWAY_S = 60.0
LEASES_OVER_S = 6.0
QUIET_S = 2.0  # after the keys are right: what is written twice is seen by then
POLL_S = 0.05
HEALTH = "/clusterd/main/health/"
_WORKS_AGAIN = "the lease: works again"


@dataclass(frozen=True, slots=True)
class Outage:
    """What was seen. Times are seconds from what they are named after; `dead` are spans of the monotonic clock.

    `reached_s` and `right_s` count from when etcd answers: until each router says that its lease works again, and until
    its health keys are right. `written` is how often each health key was put since etcd went.
    """

    polls: Polls
    arp: ArpLog
    moves: tuple[tuple[float, str, bool], ...]
    dead: tuple[tuple[float, float], ...]  # from a web server's stop until no pool has it
    back_s: float
    reached_s: Mapping[str, float]
    right_s: Mapping[str, float]
    written: Mapping[str, int]
    moved: tuple[str, ...]  # what the routers logged of real servers from then on

    @property
    def unexplained_s(self) -> list[float]:
        """When requests failed while no pool had a dead server, from the first request on; some last a while."""
        failed = [request.start_s for request in self.polls.requests if request.end_s is None]
        spans = [(start_s - POLL_S, end_s) for start_s, end_s in self.dead]
        first_s = self.polls.requests[0].start_s
        return [at_s - first_s for at_s in failed if not any(start_s <= at_s <= end_s for start_s, end_s in spans)]


def outage(cluster: LabCluster) -> Outage:
    """Have etcd away for a minute; at the end it and all web servers run again."""
    network, revision = cluster.network, cluster.etcd.revision()
    holders, probe = HolderWatcher(network), ArpWatcher(network, period_s=POLL_S)
    poller = Poller(network, period_s=POLL_S)
    cluster.etcd.stop()
    began_s = time.monotonic()
    time.sleep(LEASES_OVER_S)
    first = _dies(cluster, "rs1")
    cluster.start_web("rs1")
    back_s = wait_for("rs1 is in both pools again", lambda: _pools(cluster, len(REAL_SERVERS)))
    second = _dies(cluster, "rs2")
    time.sleep(max(0.0, began_s + AWAY_S - time.monotonic()))
    logs = {router: len(cluster.routers[router].output()) for router in ROUTERS}

    def said(router: str) -> str:
        return cluster.routers[router].output()[logs[router] :]

    cluster.etcd.start()
    reached_s, right_s = _back(cluster, said)
    time.sleep(QUIET_S)
    written = Counter(cluster.etcd.written(HEALTH, revision))
    moved = tuple(line for router in ROUTERS for line in said(router).splitlines() if " destination " in line)
    cluster.start_web("rs2")
    dead = (first, second)
    return Outage(poller.stop(), probe.stop(), holders.stop(), dead, back_s, reached_s, right_s, written, moved)


def _dies(cluster: LabCluster, server: str) -> tuple[float, float]:
    """Stop the only web server that is to be down; return from when until when a pool had it."""
    began_s = time.monotonic()
    cluster.stop_web(server)
    wait_for(f"{server} left both pools", lambda: _pools(cluster, len(REAL_SERVERS) - 1))
    return began_s, time.monotonic()


def _pools(cluster: LabCluster, size: int) -> bool:
    return all(call(router, destinations) == size for router in ROUTERS)


def _back(cluster: LabCluster, said: Callable[[str], str]) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Return in how many seconds from now each router reached etcd, and in how many its health keys were right."""
    reached_s: dict[str, float] = {}
    right_s: dict[str, float] = {}
    began_s = time.monotonic()

    def all_back() -> bool:
        for router in ROUTERS:
            if _WORKS_AGAIN in said(router):
                reached_s.setdefault(router, time.monotonic() - began_s)
            if [cluster.health(server, router).get("up") for server in REAL_SERVERS] == [True, False, True]:
                right_s.setdefault(router, time.monotonic() - began_s)
        return len(reached_s) == len(right_s) == len(ROUTERS)

    wait_for("both routers reached etcd and their health keys are right", all_back, step_s=0.02)
    return reached_s, right_s
