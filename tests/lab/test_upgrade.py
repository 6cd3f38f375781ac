"""The active router's service is restarted as systemd does it, with the code of another version, under traffic."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import takeover
from tests.lab.cluster import DOCUMENT, LabCluster, wait_for
from tests.lab.guest import ROOT
from tests.lab.topology import ROUTERS, Network

pytestmark = pytest.mark.lab

LEASE_S = 30  # an emulated machine needs seconds to start a service


@pytest.fixture(scope="module")
def cluster(network: Network) -> LabCluster:
    """The manual's cluster with a long lease; its routers have the rights of their unit for systemd."""
    made = LabCluster(network, user="nobody")
    made.start(DOCUMENT.replace("deadtime_s: 3", f"deadtime_s: {LEASE_S}"))
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
        again = cluster.start_router(active, code=code)
        wait_for("it goes on with its lease", lambda: "from before the restart" in again.output()[len(log) :], LEASE_S)
        measure("restart of the active router's service, until it goes on", f"{time.monotonic() - began_s:.1f} s")
        wait_for("all is well", cluster.settled)

    seen = takeover.observed(cluster.network, restart)
    assert cluster.status(active)["token"] == token, "the lock is the one of before"
    assert seen.moves[len(ROUTERS) :] == (), "no address came or went"
    assert cluster.ipvsadm(active) == table
    assert seen.polls.failures == 0
    assert "clusterd 99.9" in cluster.routers[active].output()[len(log) :]
    assert "the kernel" not in cluster.routers[active].output()[len(log) :]
