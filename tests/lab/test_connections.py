"""Established connections go on when another router takes over: by NAT, and by direct routing."""

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from tests.lab import takeover
from tests.lab.client import Watcher
from tests.lab.cluster import LabCluster, prepare, wait_for
from tests.lab.guest import ROOT
from tests.lab.namespaces import Process
from tests.lab.takeover import Takeover
from tests.lab.topology import REAL_SERVERS, VIP, Network

pytestmark = pytest.mark.lab

TTL_S = 3
PORT = 7000
PAGES, PAGE_S = 7080, 6  # the port of the pages that take so long to download
DIRECT_VIP, DIRECT_SERVER = "1.2.3.5", "1.2.3.13"
TARGETS = (f"{VIP}:{PORT}", f"{VIP}:{PORT}", f"{DIRECT_VIP}:{PORT}", f"{DIRECT_VIP}:{PORT}")
CHECK = "check: {type: tcp, interval_s: 2, timeout_s: 1, fall: 2, rise: 1}"
DOCUMENT = f"""\
cluster:
  forwarding: nat
  nat_router: {{address: 192.168.1.254/24, interface: eth1}}
  masquerade: [{{source: 192.168.1.0/24, interface: eth0}}]
  heartbeat: {{keepalive_s: 1, deadtime_s: {TTL_S}}}
  sync: {{interface: eth1}}
routers:
  r1: {{public: 1.2.3.2, private: 192.168.1.252, priority: 100}}
  r2: {{public: 1.2.3.3, private: 192.168.1.253, priority: 50}}
virtuals:
  talk:
    address: {VIP}/24
    interface: eth0
    port: {PORT}
    scheduler: rr
    {CHECK}
    servers:
      rs1: {{address: 192.168.1.1}}
      rs2: {{address: 192.168.1.2}}
  pages:
    address: {VIP}/24
    interface: eth0
    port: {PAGES}
    {CHECK}
    servers:
      rs1: {{address: 192.168.1.1}}
      rs2: {{address: 192.168.1.2}}
  direct:
    address: {DIRECT_VIP}/24
    interface: eth0
    port: {PORT}
    forwarding: direct
    {CHECK}
    servers:
      rs3: {{address: {DIRECT_SERVER}}}
"""
Measure = Callable[[str, str], None]


@pytest.fixture(scope="module")
def cluster(network: Network) -> LabCluster:
    network.join_public("rs3", DIRECT_SERVER)
    prepare(network, DOCUMENT, "direct", "rs3")
    for server in REAL_SERVERS:
        network.spawn(server, sys.executable, "-m", "tests.lab.echo", str(PORT), name=f"echo-{server}", cwd=ROOT)
        pages = (sys.executable, "-m", "tests.lab.paced_page", str(PAGES), str(PAGE_S))
        network.spawn(server, *pages, name=f"pages-{server}", cwd=ROOT)
    made = LabCluster(network)
    made.start(DOCUMENT)
    return made


@pytest.fixture(autouse=True)
def _logs(cluster: LabCluster) -> Iterator[None]:
    """Show what the routers logged during a test that fails."""
    with cluster.logs_shown():
        yield


def known(cluster: LabCluster, router: str, port: int = PORT) -> int:
    """Return how many of the client's established connections a router's kernel has."""
    lines = cluster.network.run(router, "ipvsadm", "-Lnc").stdout.splitlines()
    return sum("ESTABLISHED" in line and f":{port}" in line for line in lines)


def daemons(cluster: LabCluster, router: str) -> list[str]:
    lines = cluster.network.run(router, "ipvsadm", "-L", "--daemon").stdout.splitlines()
    return sorted(line.split()[0] for line in lines if line.strip())


class Download:
    """A page on its way through the VIP to a file of the client's."""

    def __init__(self, network: Network, name: str) -> None:
        self._head, self._page = network.directory / f"{name}.head", network.directory / f"{name}.page"
        where = ("-D", str(self._head), "-o", str(self._page), f"http://{VIP}:{PAGES}/")
        self._curl: Process = network.spawn("client", "curl", "-sS", "--max-time", "60", *where, name=f"curl-{name}")
        wait_for("the download has begun", lambda: self._page.exists() and self._page.stat().st_size > 0)

    @property
    def going_on(self) -> bool:
        return self._curl.running

    def whole(self) -> bool:
        """Wait for its end and return whether every byte came. Raises AssertionError with what curl says."""
        assert self._curl.popen.wait(90) == 0, self._curl.output()
        told = re.search(r'ETag: "(\w+)"', self._head.read_text())
        return told is not None and told[1] == hashlib.sha256(self._page.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def talk(cluster: LabCluster) -> Watcher:
    """Four connections that go on through the whole module."""
    return Watcher(cluster.network, "client", "talker", "0.05", *TARGETS)


def test_the_backup_listens_and_the_active_router_does_both(cluster: LabCluster) -> None:
    active, backup = cluster.active(), cluster.backup()
    assert daemons(cluster, active) == ["backup", "master"]
    assert daemons(cluster, backup) == ["backup"]


@pytest.mark.parametrize("event", [takeover.hand_over, takeover.killed, takeover.power_cut])
def test_no_connection_ends_and_each_goes_on_soon(
    cluster: LabCluster, talk: Watcher, measure: Measure, event: Callable[[LabCluster], Takeover]
) -> None:
    backup = cluster.backup()
    wait_for("the backup knows the connections", lambda: known(cluster, backup) == len(TARGETS))
    download = Download(cluster.network, event.__name__)
    wait_for("the backup knows the download", lambda: known(cluster, backup, PAGES) > 0)
    talk.mark()
    assert download.going_on
    seen = event(cluster)
    assert download.whole()
    heard = [[float(line[2]) for line in talk.since() if int(line[0]) == number] for number in range(len(TARGETS))]
    assert all(heard), "each was heard of"
    assert -1 not in [at_s for times in heard for at_s in times], "a connection has ended"
    waits = [max(later - earlier for earlier, later in pairwise(times)) for times in heard]
    measure(
        f"{event.__name__}: longest silence of established connections",
        f"nat {max(waits[:2]):.2f} s, direct routing {max(waits[2:]):.2f} s",
    )
    # what was lost is sent again after 0.2, 0.4, 0.8, … seconds: at worst a connection is silent twice as long
    assert max(waits) < (1.0 if event is takeover.hand_over else 2 * (TTL_S + 1))
    if event is takeover.power_cut:
        cluster.network.reboot(seen.old)
    takeover.back(cluster, seen.old)
    wait_for("the old one only listens", lambda: daemons(cluster, seen.old) == ["backup"])
    assert daemons(cluster, seen.new) == ["backup", "master"]
