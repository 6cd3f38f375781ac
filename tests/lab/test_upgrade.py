"""Under traffic the active router's service is restarted with code of another version, and the lease made longer."""

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterd.keys import Keys
from tests.lab import takeover
from tests.lab.cluster import LabCluster, wait_for
from tests.lab.guest import ROOT
from tests.lab.topology import ROUTERS, Network
from watchers.elections import RESTART_S

pytestmark = pytest.mark.lab

KEYS = Keys("main")

USUAL_S, LEASE_S = 3, 30


@pytest.fixture(scope="module")
def cluster(network: Network) -> LabCluster:
    """The manual's cluster; its routers have the rights of their unit for systemd."""
    made = LabCluster(network, user="nobody")
    made.start()
    return made


@pytest.fixture(autouse=True)
def _logs(cluster: LabCluster) -> Iterator[None]:
    """Show what the routers logged during a test that fails."""
    with cluster.logs_shown():
        yield


def another_version(folder: Path) -> Path:
    """Return a copy of the product that says that it is of another version."""
    for package in ("clusterd", "renderers", "watchers"):
        shutil.copytree(ROOT / package, folder / package)
    (folder / "clusterd" / "__init__.py").write_text('__version__ = "99.9"\n')
    return folder


def test_a_service_that_is_upgraded_goes_on_with_lock_addresses_and_table_and_loses_no_request(
    cluster: LabCluster, measure: Callable[[str, str], None]
) -> None:
    active, code = cluster.active(), another_version(cluster.network.directory / "upgrade")
    token, table, log = cluster.status(active)["token"], cluster.ipvsadm(active), cluster.routers[active].output()

    def restart() -> None:
        began_s = time.monotonic()
        os.kill(cluster.routers[active].popen.pid, signal.SIGHUP)
        assert cluster.routers[active].popen.wait(20) == 0
        measure("restart of the active router's service, until it had ended", f"{time.monotonic() - began_s:.1f} s")
        assert granted_s(cluster) == RESTART_S, "the lock waits for the next process"
        again = cluster.start_router(active, code=code)
        wait_for("it goes on with its lease", lambda: "from before the restart" in again.output()[len(log) :])
        measure("restart of the active router's service, until it goes on", f"{time.monotonic() - began_s:.1f} s")
        wait_for("the lock is under a lease as configured", lambda: granted_s(cluster) == USUAL_S, step_s=0.05)
        measure(
            "restart of the active router's service, until its lease is as ever", f"{time.monotonic() - began_s:.1f} s"
        )
        wait_for("all is well", cluster.settled)

    seen = takeover.observed(cluster.network, restart)
    assert cluster.status(active)["token"] == token, "the lock is the one of before"
    assert seen.moves[len(ROUTERS) :] == (), "no address came or went"
    assert cluster.ipvsadm(active) == table
    assert seen.polls.failures == 0
    assert "clusterd 99.9" in cluster.routers[active].output()[len(log) :]
    assert not re.findall(r": ((?:add|delete|set) .*)", cluster.routers[active].output()[len(log) :])


def granted_s(cluster: LabCluster) -> int:
    """Return how long the lease lasts that the lock is under."""
    (lock,) = json.loads(cluster.etcd.ctl("get", KEYS.active("default"), "-w", "json"))["kvs"]
    told = json.loads(cluster.etcd.ctl("lease", "timetolive", f"{lock['lease']:x}", "-w", "json"))
    return int(told["granted-ttl"])


def test_another_deadtime_is_in_force_at_once_and_moves_nothing(cluster: LabCluster) -> None:
    active, before = cluster.active(), used(cluster)
    token = cluster.status(active)["token"]

    def commit() -> None:
        done = cluster.clusterd("set", f"cluster/heartbeat/deadtime_s={LEASE_S}", "--yes", "-m", "more time", "--wait")
        assert done.returncode == 0, done.stderr
        wait_for("all keys are under other leases", lambda: not before & used(cluster))

    seen = takeover.observed(cluster.network, commit)
    assert (seen.moves[len(ROUTERS) :], seen.polls.failures) == ((), 0)
    assert cluster.status(active)["token"] == token
    assert len(used(cluster)) == len(ROUTERS)
    (lock,) = json.loads(cluster.etcd.ctl("get", KEYS.active("default"), "-w", "json"))["kvs"]
    assert (lock["create_revision"], lock["lease"] in used(cluster)) == (token, True)
    assert granted_s(cluster) == LEASE_S


def used(cluster: LabCluster) -> set[int]:
    """Return the leases that have keys of routers."""
    prefixes = (KEYS.active_prefix, KEYS.routers_prefix, KEYS.health_prefix)
    found = [json.loads(cluster.etcd.ctl("get", "--prefix", prefix, "-w", "json"))["kvs"] for prefix in prefixes]
    return {entry["lease"] for entries in found for entry in entries}
