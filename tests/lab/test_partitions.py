"""The decisive rows of the partition matrix (tests/clusterd/test_partitions.py) with real etcd and a real kernel."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.client import ArpWatcher
from tests.lab.cluster import LabCluster, wait_for
from tests.lab.topology import ETCD, ROUTERS, Network

pytestmark = pytest.mark.lab

TTL_S = 3
LATEST_S = 3 * TTL_S
PEERS = 5390


@pytest.fixture(scope="module")
def cluster(network: Network) -> LabCluster:
    made = LabCluster(network)
    network.serve_peer_address()
    made.start()
    return made


def drop(cluster: LabCluster, router: str, *rules: str) -> None:
    """Drop what one router sends and these rules describe."""
    chain = "; ".join(f"{rule} drop" for rule in rules)
    text = f"table inet cut {{ chain out {{ type filter hook output priority 0; {chain}; }}; }}"
    assert cluster.network.run(router, "nft", "-f", "-", input_text=text).returncode == 0


@contextmanager
def cut(cluster: LabCluster, *, paths: bool = False, etcd: tuple[str, ...] = (), quorum: bool = False) -> Iterator[str]:
    """Cut the paths between the routers, these routers from etcd, or stop etcd; give the holder; mend everything."""
    holder = cluster.active()
    watcher = ArpWatcher(cluster.network)
    for router in ROUTERS:
        rules = [f"udp dport {PEERS}"] * paths + [f"ip daddr {ETCD}"] * (router in etcd)
        if rules:
            drop(cluster, router, *rules)
    if quorum:
        cluster.etcd.pause()
    try:
        yield holder
    finally:
        for router in ROUTERS:
            cluster.network.run(router, "nft", "delete", "table", "inet", "cut")
        if quorum:
            cluster.etcd.resume()
        log = watcher.stop()
        wait_for("somebody is active and all is well", cluster.settled, 60)
    assert log.dual_answers() == ()


def test_the_holder_that_reaches_etcd_stays_though_no_router_hears_another(cluster: LabCluster) -> None:
    with cut(cluster, paths=True) as holder:
        time.sleep(2 * TTL_S)
        assert cluster.holders() == [holder]


def test_the_backup_takes_over_where_the_holder_alone_lost_etcd_and_all_paths(cluster: LabCluster) -> None:
    with cut(cluster, paths=True, etcd=(cluster.active(),)) as holder:
        other = next(router for router in ROUTERS if router != holder)
        wait_for(f"{other} is active", lambda: cluster.holders() == [other], LATEST_S)


def test_without_a_quorum_the_holder_stays_while_the_routers_hear_each_other(cluster: LabCluster) -> None:
    with cut(cluster, quorum=True) as holder:
        time.sleep(3 * TTL_S)
        assert cluster.holders() == [holder]


def test_without_a_quorum_and_without_paths_nobody_is_active(cluster: LabCluster) -> None:
    with cut(cluster, paths=True, quorum=True):
        wait_for("nobody has the addresses", lambda: cluster.holders() == [], LATEST_S)
