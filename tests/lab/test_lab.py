"""The lab itself: the kernel is the real one, and its instruments show what happens."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab import machine
from tests.lab.client import ArpWatcher, HolderWatcher, Poller, fetch
from tests.lab.etcd import Etcd
from tests.lab.namespaces import call, ip
from tests.lab.topology import CLIENT, ECHO_PORT, GATEWAY, REAL_SERVERS, ROUTERS, VIP, Network, mac

pytestmark = pytest.mark.lab
Measure = Callable[[str, str], None]
SERVICE = f"-A -t {VIP}:80 -s wrr\n" + "".join(
    f"-a -t {VIP}:80 -r 192.168.1.{i}:80 -m -w {weight}\n" for i, weight in ((1, 2), (2, 1), (3, 1))
)


def forward(router: str) -> None:
    call(router, Path("/proc/sys/net/ipv4/ip_forward").write_text, "1")


@pytest.fixture(scope="module")
def pages(network: Network) -> None:
    for node in REAL_SERVERS:
        network.serve_page(node)


@pytest.fixture
def served(network: Network, pages: None) -> Iterator[None]:
    """The service made by hand on r1, which has both addresses; afterwards the routers are as they were."""
    forward("r1")
    network.run("r1", "ipvsadm", "-R", input_text=SERVICE).check_returncode()
    ip([f"addr add {VIP}/24 dev eth0", f"addr add {GATEWAY}/24 dev eth1"], "r1")
    yield
    for router in ROUTERS:
        network.reboot(router)
    for node in ("client", *REAL_SERVERS):
        ip(["neigh flush all"], node)


def test_the_kernel_has_ipvs_and_the_clock_is_sane(network: Network) -> None:
    assert network.run("r1", "ipvsadm", "-Ln").stdout.startswith("IP Virtual Server")
    assert time.time() > Path(__file__).stat().st_mtime


def test_nodes_reach_their_neighbours_and_routers_do_not_forward_yet(network: Network) -> None:
    assert network.run("client", "ping", "-c1", "-W2", "1.2.3.2").returncode == 0
    assert network.run("rs1", "ping", "-c1", "-W2", "192.168.1.252").returncode == 0
    assert network.run("r2", "ping", "-c1", "-W2", "192.168.1.10").returncode == 0
    assert call("r1", Path("/proc/sys/net/ipv4/ip_forward").read_text) == "0\n"


@pytest.mark.usefixtures("served")
def test_weights_2_1_1_give_40_requests_as_20_10_10(network: Network) -> None:
    assert Counter(fetch(network, 40)) == {"rs1": 20, "rs2": 10, "rs3": 10}


@pytest.mark.usefixtures("served")
def test_the_echo_server_sees_the_masquerading_router(network: Network) -> None:
    network.serve_peer_address()
    rule = 'table ip t { chain c { type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }; }'
    network.run("r1", "nft", "-f", "-", input_text=rule).check_returncode()
    time.sleep(0.5)
    (peer,) = fetch(network, 1, CLIENT, node="rs1", port=ECHO_PORT)
    assert peer in network.addresses("r1")


@pytest.mark.usefixtures("served")
def test_the_poller_sees_the_gap_when_the_cable_is_pulled(network: Network, measure: Measure) -> None:
    poller = Poller(network)
    time.sleep(1)
    network.cut("r1")
    time.sleep(1)
    network.restore("r1")
    time.sleep(2.5)
    polls = poller.stop()
    measure("poller, cable out for 1 s", f"gap {polls.longest_gap_s:.2f} s, {polls.failures} failures")
    assert polls.failures > 0
    assert polls.longest_gap_s > 0.9
    assert polls.longest_wait_s > 0.9
    assert set(polls.by_server) == set(REAL_SERVERS)


@pytest.mark.usefixtures("served")
def test_the_arp_watcher_sees_one_holder_then_both(network: Network) -> None:
    watcher = ArpWatcher(network)
    time.sleep(1)
    alone = watcher.stop()
    assert alone.probes > 30
    assert {answer.mac for answer in alone.answers} == {mac("r1", "eth0")}
    assert not alone.dual_answers()
    assert network.run("client", "ip", "neigh", "show", VIP).stdout == ""

    watcher = ArpWatcher(network)
    ip([f"addr add {VIP}/24 dev eth0"], "r2")
    time.sleep(1)
    both = watcher.stop()
    assert both.dual_answers()[-1][1] == {mac("r1", "eth0"), mac("r2", "eth0")}


def test_the_holder_watcher_tells_when_addresses_come_and_go(network: Network) -> None:
    watcher = HolderWatcher(network)
    ip([f"addr add {VIP}/24 dev eth0 valid_lft 1 preferred_lft 1"], "r1")
    time.sleep(1.5)
    network.power_off("r2")
    events = watcher.stop()
    assert [(node, has) for _, node, has in events] == [("r1", False), ("r2", False), ("r1", True), ("r1", False)]
    assert 0.9 < events[3][0] - events[2][0] < 1.3
    network.reboot("r2")


def test_a_power_cut_kills_everything_and_a_reboot_forgets_it(network: Network) -> None:
    process = network.spawn("r1", "sh", "-c", "setsid sleep 1000 & sleep 1000", name="victim")
    ip([f"addr add {VIP}/24 dev eth0"], "r1")
    network.power_off("r1")
    assert not process.running
    assert network.run("client", "ping", "-c1", "-W1", "1.2.3.2").returncode != 0
    network.reboot("r1")
    assert VIP not in network.addresses("r1")
    assert network.run("client", "ping", "-c1", "-W2", "1.2.3.2").returncode == 0


def test_etcd_answers_and_keeps_its_data(network: Network) -> None:
    etcd = Etcd(network)
    etcd.start()
    etcd.ctl("put", "/name", "value")
    etcd.stop()
    etcd.start()
    assert etcd.ctl("get", "--print-value-only", "/name") == "value\n"
    etcd.kill()


def test_the_private_namespaces_run_a_command_where_the_kernel_has_ipvs() -> None:
    lines: list[str] = []
    script = "cat /proc/net/ip_vs; ls /run; ls /sys/class/net >/dev/null; exit 7"
    assert machine.run(["sh", "-c", script], limit_s=60, on_line=lines.append) == 7
    assert len(lines) == 3
    assert machine.run(["sleep", "1000"], limit_s=0.5, on_line=lines.append) == 125
