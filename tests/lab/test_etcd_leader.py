"""The worst moment for etcd to lose its leader: together with the active router."""

from collections.abc import Callable

import pytest

from tests.lab import takeover
from tests.lab.client import fetch
from tests.lab.cluster import LabCluster
from tests.lab.topology import Network

pytestmark = pytest.mark.lab

TTL_S = 3


def test_the_leader_of_etcd_dies_together_with_the_active_router(
    network: Network, measure: Callable[[str, str], None]
) -> None:
    cluster = LabCluster(network, members=3)
    cluster.start()
    leader, old = cluster.etcd.leader(), cluster.active()

    def both() -> None:
        leader.running.kill()
        cluster.routers[old].kill()

    seen = takeover.watched(network, old, both)
    measure("etcd's leader and the active router killed", str(seen))
    assert seen.arp.dual_answers() == ()
    assert seen.taken_s < 2 * TTL_S + 3, "a new leader counts every lease from its beginning"
    assert len(fetch(network, 4)) == 4
