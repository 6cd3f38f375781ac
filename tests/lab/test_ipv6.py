"""The manual's cluster with addresses of both families: a VIP of IPv6 by NAT, seen by a client of IPv6.

    client 2001:db8:1::100 --- eth0 2001:db8:1::2 and ::3 [r1, r2] eth1 fd00::252 and ::253 --- rs1 … rs3 fd00::1 … ::3

The VIP 2001:db8:1::1 and the gateway fd00::254 belong to whichever router is active.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.lab import takeover
from tests.lab.client import ArpWatcher, fetch
from tests.lab.cluster import DOCUMENT, LabCluster
from tests.lab.namespaces import ip
from tests.lab.takeover import Takeover
from tests.lab.topology import ECHO_PORT, GATEWAY, REAL_SERVERS, ROUTERS, VIP, Network, mac

pytestmark = pytest.mark.lab

TTL_S = 3
Measure = Callable[[str, str], None]
VIP6, GATEWAY6, CLIENT6 = "2001:db8:1::1", "fd00::254", "2001:db8:1::100"
OWN6 = {
    "client": (CLIENT6,),
    "r1": ("2001:db8:1::2", "fd00::252"),
    "r2": ("2001:db8:1::3", "fd00::253"),
    "rs1": ("fd00::1",),
    "rs2": ("fd00::2",),
    "rs3": ("fd00::3",),
}
BOTH = (
    (
        DOCUMENT.replace(
            "  masquerade: [{", "  nat_router6: {address: 'fd00::254/64', interface: eth1}\n  masquerade: [{", 1
        )
        .replace("interface: eth0}]", "interface: eth0}, {source: 'fd00::/64', interface: eth0}]")
        .replace("priority: 100}", "public6: '2001:db8:1::2', private6: 'fd00::252', priority: 100}")
        .replace("priority: 50}", "public6: '2001:db8:1::3', private6: 'fd00::253', priority: 50}")
    )
    + """\
  web6:
    address: 2001:db8:1::1/64
    interface: eth0
    port: 80
    protocol: tcp
    scheduler: wlc
    check: {type: http, interval_s: 2, timeout_s: 1, fall: 2, rise: 2, path: /, status: [200]}
    servers:
      rs1: {address: 'fd00::1', weight: 2}
      rs2: {address: 'fd00::2'}
      rs3: {address: 'fd00::3'}
"""
)


@pytest.fixture(scope="module")
def network6(network: Network) -> Network:
    """The network with addresses of both families."""
    for node, addresses in OWN6.items():
        commands = [f"addr add {address}/64 dev eth{place} nodad" for place, address in enumerate(addresses)]
        ip([*commands, *([f"route add default via {GATEWAY6}"] if node in REAL_SERVERS else [])], node)
    return network


@pytest.fixture(scope="module")
def cluster(network6: Network) -> LabCluster:
    """The cluster, with r1 active and everything in place."""
    made = LabCluster(network6)
    network6.serve_peer_address()
    made.start(BOTH)
    return made


@pytest.fixture
def logs(cluster: LabCluster) -> Iterator[None]:
    """Show what the routers logged during a test that fails."""
    with cluster.logs_shown():
        yield


def test_the_watcher_sees_one_holder_then_both_and_tells_the_client_nothing(network6: Network) -> None:
    ip([f"addr add {VIP6}/64 dev eth0 nodad"], "r1")
    watcher = ArpWatcher(network6, VIP6)
    time.sleep(1)
    ip([f"addr add {VIP6}/64 dev eth0 nodad"], "r2")
    added_s = time.monotonic()
    time.sleep(1)
    ip([f"addr del {VIP6}/64 dev eth0"], "r1")
    ip([f"addr del {VIP6}/64 dev eth0"], "r2")
    seen = watcher.stop()
    first, both = mac("r1", "eth0"), {mac("r1", "eth0"), mac("r2", "eth0")}
    assert seen.probes > 60
    assert {answer.mac for answer in seen.answers if answer.time_s < added_s - 0.1} == {first}
    assert seen.dual_answers()[-1][1] == both
    assert network6.run("client", "ip", "neigh", "show", VIP6).stdout == ""


@pytest.mark.usefixtures("logs")
def test_requests_by_ipv6_are_spread_by_weight_over_the_real_servers(cluster: LabCluster, measure: Measure) -> None:
    pages = Counter(fetch(cluster.network, 40, VIP6))
    measure("IPv6, 40 requests, weights 2:1:1", ", ".join(f"{server} {pages[server]}" for server in REAL_SERVERS))
    assert pages == {"rs1": pytest.approx(20, abs=2), "rs2": pytest.approx(10, abs=2), "rs3": pytest.approx(10, abs=2)}
    assert len(fetch(cluster.network, 4)) == 4
    active = cluster.active()
    assert cluster.holders(VIP6) == cluster.holders(GATEWAY6) == cluster.holders(GATEWAY) == [active]
    tables = [cluster.ipvsadm(router) for router in ROUTERS]
    assert tables[0] == tables[1]
    assert f"-a -t [{VIP6}]:80 -r [fd00::1]:80 -m -w 2\n" in tables[0]


@pytest.mark.usefixtures("logs")
def test_real_servers_reach_the_public_network_by_ipv6_through_the_active_router(cluster: LabCluster) -> None:
    public, _ = OWN6[cluster.active()]
    for server in REAL_SERVERS:
        assert fetch(cluster.network, address=CLIENT6, node=server, port=ECHO_PORT) == [public]


def never_two(seen: Takeover) -> None:
    assert seen.arp.dual_answers() == ()
    assert seen.arp.alternations() == 0
    assert len(seen.arp.holders()) == 2


def moved(cluster: LabCluster, seen: Takeover) -> None:
    """Everything of both families is on the new router, and it alone said so from then on."""
    assert cluster.active() == seen.new
    assert {address: cluster.holders(address) for address in (VIP, VIP6, GATEWAY6)} == {
        address: [seen.new] for address in (VIP, VIP6, GATEWAY6)
    }
    announced = [each.mac for each in sorted(seen.arp.announcements, key=lambda each: each.time_s)]
    new = mac(seen.new, "eth0")
    assert new in announced
    assert set(announced[announced.index(new) :]) == {new}


@pytest.mark.usefixtures("logs")
def test_a_router_that_is_stopped_hands_the_address_of_ipv6_over(cluster: LabCluster, measure: Measure) -> None:
    seen = takeover.hand_over(cluster, VIP6)
    measure("clusterd, IPv6, graceful stop", str(seen))
    never_two(seen)
    moved(cluster, seen)
    assert seen.let_go_s is not None
    assert seen.let_go_s < seen.taken_s
    assert seen.polls.failures == 0
    assert seen.polls.longest_wait_s < 0.5
    takeover.back(cluster, seen.old)


@pytest.mark.usefixtures("logs")
def test_the_kernel_drops_the_address_of_ipv6_of_a_router_that_was_killed(
    cluster: LabCluster, measure: Measure
) -> None:
    seen = takeover.killed(cluster, VIP6)
    measure("clusterd, IPv6, kill -9 of the service", str(seen))
    never_two(seen)
    moved(cluster, seen)
    assert seen.let_go_s is not None
    assert seen.let_go_s < TTL_S
    assert seen.let_go_s < seen.taken_s
    assert seen.polls.longest_gap_s < TTL_S + 1
    assert seen.polls.longest_wait_s < TTL_S + 1
    assert len(fetch(cluster.network, 4, VIP6)) == 4
