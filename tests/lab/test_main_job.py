"""The manual's five-node cluster, run by clusterd: from an edit to packets, and takeovers."""

import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import Any

import pytest

from clusterd import document
from clusterd.dataplane.neighbours import gratuitous_arp
from tests.lab import takeover
from tests.lab.client import ArpWatcher, HolderWatcher, Poller, fetch
from tests.lab.cluster import DOCUMENT, LabCluster, wait_for
from tests.lab.namespaces import call, ip
from tests.lab.outage import HEALTH, Outage, outage
from tests.lab.takeover import Takeover
from tests.lab.topology import CLIENT, ECHO_PORT, GATEWAY, REAL_SERVERS, ROUTERS, VIP, Network, mac

pytestmark = pytest.mark.lab

TTL_S = 3
Measure = Callable[[str, str], None]
FOREIGN = "-A -t 9.9.9.9:99 -s rr\n-a -t 9.9.9.9:99 -r 192.168.1.3:99 -m -w 7\n"


@pytest.fixture(scope="module")
def cluster(network: Network) -> LabCluster:
    """The cluster, with r1 active and everything in place. Its routers have the rights of their unit for systemd."""
    made = LabCluster(network, user="nobody")
    network.serve_peer_address()
    made.start()
    return made


@pytest.fixture(autouse=True)
def _logs(cluster: LabCluster) -> Iterator[None]:
    """Show what the routers logged during a test that fails."""
    with cluster.logs_shown():
        yield


def table(weights: tuple[int, int, int] = (2, 1, 1)) -> set[str]:
    """What `ipvsadm -Sn` says of the manual's virtual server."""
    servers = {f"-a -t {VIP}:80 -r 192.168.1.{i}:80 -m -w {w}" for i, w in enumerate(weights, 1)}
    return {f"-A -t {VIP}:80 -s wlc", *servers}


def kernel(cluster: LabCluster, router: str) -> set[str]:
    return set(cluster.ipvsadm(router).splitlines())


def commit(cluster: LabCluster, *settings: str) -> None:
    done = cluster.clusterd("set", *settings, "--yes", "--wait=20")
    assert done.returncode == 0, done.stdout + done.stderr


def test_200_requests_are_spread_by_weight_over_the_real_servers(cluster: LabCluster, measure: Measure) -> None:
    pages = Counter(fetch(cluster.network, 200))
    measure("200 requests, weights 2:1:1", ", ".join(f"{server} {pages[server]}" for server in REAL_SERVERS))
    assert sum(pages.values()) == 200
    assert pages == {"rs1": pytest.approx(100, abs=2), "rs2": pytest.approx(50, abs=2), "rs3": pytest.approx(50, abs=2)}


def test_status_on_a_routers_host_tells_of_routers_servers_and_connections(cluster: LabCluster) -> None:
    router = cluster.active()
    run_dir = cluster.environment(router)["CLUSTERD_RUN_DIR"]

    def status() -> Any:
        asked = cluster.clusterd("status", "--json", env={"CLUSTERD_RUN_DIR": run_dir})
        assert asked.returncode == 0, asked.stderr
        return json.loads(asked.stdout)

    # the kernel sums its counters up every two seconds
    wait_for(
        "connections are counted", lambda: status()["virtuals"][0]["counters"]["connections"] >= 200, 10, step_s=0.5
    )
    told = status()
    roles = {one["name"]: one["role"] for one in told["routers"]}
    assert roles == {name: "active" if name == router else "backup" for name in ROUTERS}
    assert all(0 < one["lease_left_s"] <= TTL_S for one in told["routers"])
    (web,) = told["virtuals"]
    assert [(one["state"], one["effective_weight"]) for one in web["servers"]] == [("up", 2), ("up", 1), ("up", 1)]
    assert told["counted_by"] == router
    assert sum(one["counters"]["connections"] for one in web["servers"]) == web["counters"]["connections"]
    assert (told["alarms"], told["converged"]) == ([], True)


def test_both_kernels_are_exactly_what_was_committed(cluster: LabCluster) -> None:
    assert kernel(cluster, "r1") == kernel(cluster, "r2") == table()
    for router in ROUTERS:
        rules = cluster.network.run(router, "nft", "list", "table", "inet", "clusterd").stdout
        assert 'ip saddr 192.168.1.0/24 oifname "eth0" masquerade' in rules
        assert cluster.network.run(router, "cat", "/proc/sys/net/ipv4/ip_forward").stdout == "1\n"
    assert cluster.holders(GATEWAY) == cluster.holders(VIP)


def test_the_lvs_cf_of_each_router_says_what_is_committed(cluster: LabCluster) -> None:
    texts = {cluster.state_file(router, "lvs.cf").read_text() for router in ROUTERS}
    assert len(texts) == 1
    rendered = cluster.clusterd("render", "lvs.cf")
    assert {rendered.stdout} == texts


def test_real_servers_reach_the_public_network_through_the_active_router_alone(cluster: LabCluster) -> None:
    public = {"r1": "1.2.3.2", "r2": "1.2.3.3"}[cluster.active()]
    for server in REAL_SERVERS:
        route = cluster.network.run(server, "ip", "route", "show", "default").stdout
        assert f"via {GATEWAY} " in route
        assert fetch(cluster.network, address=CLIENT, node=server, port=ECHO_PORT) == [public]


def test_what_somebody_changes_in_the_kernel_is_put_back_within_ten_seconds_and_told(
    cluster: LabCluster, measure: Measure
) -> None:
    active, network = cluster.active(), cluster.network
    before, real = kernel(cluster, active), ("-t", f"{VIP}:80", "-r")
    redirects = "net.ipv4.conf.all.send_redirects"

    def whole() -> bool:
        rules = network.run(active, "nft", "list", "table", "inet", "clusterd").stdout
        setting = network.run(active, "sysctl", "-n", redirects).stdout
        return kernel(cluster, active) == before and "masquerade" in rules and setting == "0\n"

    rounds = {
        "ipvsadm -C, nft delete, sysctl -w": (
            ("ipvsadm", "-C"),
            ("nft", "delete", "table", "inet", "clusterd"),
            ("sysctl", "-w", f"{redirects}=1"),
        ),
        "ipvsadm -e, ipvsadm -d": (
            ("ipvsadm", "-e", *real, "192.168.1.2:80", "-m", "-w", "9"),
            ("ipvsadm", "-d", *real, "192.168.1.3:80"),
        ),
        "ipvsadm -D": (("ipvsadm", "-D", "-t", f"{VIP}:80"),),
    }
    for what, commands in rounds.items():
        assert [network.run(active, *command).returncode for command in commands] == [0] * len(commands)
        assert not whole()
        took_s = wait_for("all is as it was", whole, 12)
        measure(f"{what} by hand, until it is put back", f"{took_s:.1f} s")
        assert took_s < 11
    told = cluster.etcd.ctl("get", "--prefix", "--print-value-only", "/clusterd/main/events/")
    assert f"add service tcp {VIP}:80 wlc" in told
    assert "192.168.1.2:80 nat weight 1" in told


def test_a_floating_address_that_somebody_removes_is_back_at_once(cluster: LabCluster, measure: Measure) -> None:
    active = cluster.active()
    holders = HolderWatcher(cluster.network)
    assert cluster.network.run(active, "ip", "addr", "del", f"{VIP}/24", "dev", "eth0").returncode == 0
    wait_for("the address is back", lambda: cluster.network.has(active, VIP), 5, step_s=0.05)
    (gone_s, _, _), (back_s, _, has) = [move for move in holders.stop() if move[1] == active][1:]
    measure("ip addr del by hand, until the address is back", f"{back_s - gone_s:.3f} s")
    assert has
    assert back_s - gone_s < 1


def test_a_foreign_claim_to_the_address_is_answered_at_once_and_told(cluster: LabCluster, measure: Measure) -> None:
    active, foreign = cluster.active(), "02:00:00:00:00:99"
    fetch(cluster.network)

    def neighbour() -> str:
        return cluster.network.run("client", "ip", "neigh", "show", VIP, "dev", "eth0").stdout

    def claim() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
            wire.bind(("eth0", 0))
            wire.send(gratuitous_arp(bytes.fromhex(foreign.replace(":", "")), IPv4Address(VIP), 2))

    arp = ArpWatcher(cluster.network)
    call(cluster.backup(), claim)
    wait_for("the client sends to the active router again", lambda: mac(active, "eth0") in neighbour(), 5, step_s=0.05)
    time.sleep(0.5)
    heard = [(each.time_s, each.mac) for each in arp.stop().announcements]
    claimed_s = next(at_s for at_s, who in heard if who == foreign)
    answered_s = next(at_s for at_s, who in heard if who == mac(active, "eth0") and at_s >= claimed_s)
    measure("another host claims the VIP by ARP, until it is announced again", f"{answered_s - claimed_s:.3f} s")
    assert answered_s - claimed_s < 0.5
    assert mac(active, "eth0") in neighbour()
    wait_for(
        "it is told",
        lambda: f"another host ({foreign}) claims {VIP} on eth0" in cluster.status(active).get("problems", ()),
        5,
    )


def test_a_weight_set_by_the_operator_is_in_both_kernels_and_others_services_stay(
    cluster: LabCluster, measure: Measure
) -> None:
    for router in ROUTERS:
        assert cluster.network.run(router, "ipvsadm", "-R", input_text=FOREIGN).returncode == 0
    began_s = time.monotonic()
    commit(cluster, "virtuals/web/servers/rs1/weight=1")
    measure("`clusterd set … --wait`, as a whole", f"{time.monotonic() - began_s:.1f} s")
    for router in ROUTERS:
        assert kernel(cluster, router) == table((1, 1, 1)) | set(FOREIGN.splitlines())
    commit(cluster, "virtuals/web/servers/rs1/weight=2")
    for router in ROUTERS:
        assert kernel(cluster, router) == table() | set(FOREIGN.splitlines())
        assert cluster.network.run(router, "ipvsadm", "-D", "-t", "9.9.9.9:99").returncode == 0


def test_a_change_that_nobody_confirms_is_undone_once_in_both_kernels(cluster: LabCluster) -> None:
    before = json.loads(cluster.etcd.ctl("get", "--print-value-only", "/clusterd/main/head"))["number"]
    done = cluster.clusterd("set", "virtuals/web/servers/rs2/weight=4", "--yes", "--confirmed", "5", "--wait=4")
    assert done.returncode == 0, done.stdout + done.stderr
    for router in ROUTERS:
        assert kernel(cluster, router) == table((2, 4, 1))
    wait_for("it is undone", lambda: all(kernel(cluster, router) == table() for router in ROUTERS))
    time.sleep(4)  # the backup would have had its turn by now
    head = json.loads(cluster.etcd.ctl("get", "--print-value-only", "/clusterd/main/head"))
    assert head["number"] == before + 2
    assert head["message"] == f"undoes commit {before + 1}, which was not confirmed in time"
    assert cluster.etcd.ctl("get", "--prefix", "/clusterd/main/pending/") == ""


def test_a_stopped_web_server_leaves_the_pool_and_comes_back_with_its_reason_told(
    cluster: LabCluster, measure: Measure
) -> None:
    gone = f"-a -t {VIP}:80 -r 192.168.1.1:80 -m -w 2"
    poller = Poller(cluster.network)
    time.sleep(1)
    stopped_s = time.monotonic()
    cluster.stop_web("rs1")
    wait_for("rs1 left the active router's pool", lambda: gone not in kernel(cluster, cluster.active()))
    left_s = time.monotonic()
    wait_for("both routers tell", lambda: all(cluster.health("rs1", r)["up"] is False for r in ROUTERS))
    assert {cluster.health("rs1", router)["detail"] for router in ROUTERS} == {"connection refused"}
    time.sleep(2)
    cluster.start_web("rs1")
    started_s = time.monotonic()
    wait_for("rs1 is back in both pools", lambda: all(gone in kernel(cluster, r) for r in ROUTERS))
    returned_s = time.monotonic()
    wait_for("both routers tell", lambda: all(cluster.health("rs1", r)["up"] is True for r in ROUTERS))
    time.sleep(1)
    polls = poller.stop()
    measure(
        "rs1's web server stopped (checked every 2 s, fall 2, rise 2)",
        f"out of the pool after {left_s - stopped_s:.1f} s, back {returned_s - started_s:.1f} s after its start",
    )
    assert polls.between(stopped_s, left_s).failures > 0, "the test stopped nothing that was in use"
    assert polls.between(left_s, time.monotonic()).failures == 0
    assert polls.between(left_s, started_s).by_server["rs1"] == 0
    assert polls.between(returned_s + 0.5, time.monotonic()).by_server["rs1"] > 0


def test_a_router_does_not_remember_what_it_passes_on_for_an_address_that_it_does_not_have(cluster: LabCluster) -> None:
    backup, port = cluster.backup(), 40123
    there = f"{VIP} lladdr {mac(backup, 'eth0')} dev eth0 nud permanent"
    ip([f"neigh replace {there}"], "client")
    try:
        call("client", socket.create_connection, (VIP, 80), 0.5, (CLIENT, port)).close()
    finally:
        ip([f"neigh del {VIP} dev eth0"], "client")
    remembered = cluster.network.run(backup, "cat", "/proc/net/nf_conntrack").stdout
    assert f"sport={port} " not in remembered, "its next connection from this port would lose its first packet here"


def never_two(seen: Takeover) -> None:
    assert seen.arp.dual_answers() == ()
    assert seen.arp.alternations() == 0
    assert len(seen.arp.holders()) == 2


def test_a_router_that_is_stopped_hands_over(cluster: LabCluster, measure: Measure) -> None:
    seen = takeover.hand_over(cluster)
    measure("clusterd, graceful stop", str(seen))
    assert cluster.routers[seen.old].popen.wait(10) == 0
    assert cluster.active() == seen.new
    never_two(seen)
    announced = [each.mac for each in sorted(seen.arp.announcements, key=lambda each: each.time_s)]
    new = mac(seen.new, "eth0")
    assert new in announced
    assert set(announced[announced.index(new) :]) == {new}, "from then on the new holder alone says that it is here"
    assert seen.polls.failures == 0
    assert seen.polls.longest_wait_s < 0.5
    assert kernel(cluster, seen.old) == table(), "stopping must not touch the IPVS table"
    takeover.back(cluster, seen.old)
    assert cluster.active() == seen.new, "a router that comes back does not displace the holder"


def test_a_hand_over_back_to_the_router_that_had_the_address_before_loses_no_request_either(
    cluster: LabCluster, measure: Measure
) -> None:
    seen = takeover.hand_over(cluster)
    measure("clusterd, graceful stop once more", str(seen))
    never_two(seen)
    assert seen.polls.failures == 0
    takeover.back(cluster, seen.old)


def test_when_the_active_router_loses_its_power_the_backup_serves(cluster: LabCluster, measure: Measure) -> None:
    seen = takeover.power_cut(cluster)
    measure("clusterd, power cut", str(seen))
    never_two(seen)
    assert seen.polls.longest_gap_s < TTL_S + 1
    assert len(fetch(cluster.network, 4)) == 4
    assert fetch(cluster.network, address=CLIENT, node="rs2", port=ECHO_PORT) != []
    cluster.network.reboot(seen.old)
    takeover.back(cluster, seen.old)


def test_the_kernel_drops_the_addresses_of_a_router_that_was_killed(cluster: LabCluster, measure: Measure) -> None:
    seen = takeover.killed(cluster)
    measure("clusterd, kill -9 of the service", str(seen))
    never_two(seen)
    assert seen.let_go_s is not None
    assert seen.let_go_s < TTL_S
    assert seen.let_go_s < seen.taken_s
    assert cluster.active() == seen.new
    assert seen.polls.longest_wait_s < TTL_S
    takeover.back(cluster, seen.old)


def test_a_router_that_was_frozen_does_not_come_back_as_a_second_holder(cluster: LabCluster, measure: Measure) -> None:
    seen = takeover.frozen(cluster)
    measure("clusterd, SIGSTOP, and SIGCONT after the takeover", str(seen))
    never_two(seen)
    assert cluster.active() == seen.new
    wait_for("the other one is a backup", lambda: cluster.status(seen.old).get("role") == "backup")


def test_a_router_that_alone_cannot_reach_etcd_makes_way_for_one_that_can(
    cluster: LabCluster, measure: Measure
) -> None:
    seen = takeover.without_etcd(cluster)
    measure("clusterd, cut off from etcd alone", str(seen))
    never_two(seen)
    assert seen.polls.longest_wait_s < TTL_S
    assert cluster.active() == seen.new


def test_a_router_that_loses_its_public_cable_alone_makes_way(cluster: LabCluster, measure: Measure) -> None:
    seen = takeover.cable_pulled(cluster)
    measure("clusterd, the public cable of the active router alone is pulled", str(seen))
    never_two(seen)
    assert cluster.active() == seen.new
    assert seen.polls.longest_gap_s < TTL_S + 1
    told = cluster.etcd.ctl("get", "--prefix", "--print-value-only", "/clusterd/main/events/")
    assert "switchover" in told


@pytest.fixture(scope="module")
def away(cluster: LabCluster) -> Outage:
    """One outage for all that is told of it."""
    with cluster.logs_shown():
        seen = outage(cluster)
        wait_for("the cluster is whole again", cluster.settled, 60)
    return seen


def test_traffic_goes_on_while_etcd_is_away_and_a_commit_is_applied_when_it_is_back(
    cluster: LabCluster, away: Outage, measure: Measure
) -> None:
    began_s = time.monotonic()
    commit(cluster, "virtuals/web/servers/rs3/weight=5")
    applied_s = time.monotonic() - began_s
    tables = [kernel(cluster, router) for router in ROUTERS]
    commit(cluster, "virtuals/web/servers/rs3/weight=1")
    measure(
        "etcd stopped for 60 s",
        f"{away.polls.failures} of {len(away.polls.requests)} requests failed, {len(away.unexplained_s)} of these "
        f"while no pool had a dead server, longest wait {away.polls.longest_wait_s:.2f} s; "
        f"a commit made when it is back is applied after {applied_s:.1f} s",
    )
    assert [node for _, node, has in away.moves if has] == [cluster.active()]
    assert away.arp.dual_answers() == ()
    assert tables == [table((2, 1, 5))] * 2
    assert away.polls.longest_wait_s < 0.5
    assert away.unexplained_s == []


def test_servers_leave_and_return_while_etcd_is_away_and_then_each_key_is_right_by_one_write(
    cluster: LabCluster, away: Outage, measure: Measure
) -> None:
    left = ", ".join(f"{end_s - start_s:.1f} s" for start_s, end_s in away.dead)
    measure(
        "two web servers stopped while etcd is away, one of them started again",
        f"out of both pools after {left}, back {away.back_s:.1f} s after its start; "
        + "after etcd answers, "
        + ", ".join(
            f"{router}'s lease works {away.reached_s[router]:.2f} s and its keys are right {away.right_s[router]:.2f} s"
            for router in ROUTERS
        )
        + f"; writes of each key: {sorted(away.written.values())}",
    )
    assert all(away.right_s[router] < away.reached_s[router] + 2 for router in ROUTERS)
    keys = {f"{HEALTH}web/{server}/{router}" for server in REAL_SERVERS for router in ROUTERS}
    assert {f"{HEALTH}web/rs2/{router}" for router in ROUTERS} <= away.written.keys() <= keys
    assert set(away.written.values()) == {1}
    assert away.moved == (), "what stood in etcd from before was believed"


LVS_CF = """\
serial_no = 1
primary = 1.2.3.2
virtual web {
    active = 1
    adress = 1.2.3.1 eth0:1
}
"""


BAD = {
    "an unknown key": (
        DOCUMENT.replace("scheduler", "schedular"),
        "line 15: virtuals/web/schedular: unknown key; did you mean scheduler?",
    ),
    "a duplicate VIP": (
        DOCUMENT + "  two: {address: 1.2.3.1/24, interface: eth0, port: 80}\n",
        "line 21: virtuals/two/address: tcp 1.2.3.1:80 is already virtuals/web",
    ),
    "a weight below zero": (
        DOCUMENT.replace("weight: 2", "weight: -1"),
        "line 18: virtuals/web/servers/rs1/weight: must be at least 0, not -1",
    ),
    "a port out of range": (DOCUMENT.replace("port: 80", "port: 99999"), "line 13: virtuals/web/port"),
    "invalid YAML": (DOCUMENT.replace("servers:", "servers: ["), "line 19: not valid YAML: did not find expected"),
    "an unknown command in lvs.cf": (LVS_CF, "line 5: virtual web/adress: unknown command; did you mean address?"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_named_by_its_line_and_commits_nothing(cluster: LabCluster, what: str) -> None:
    text, found = BAD[what]
    committed = [("get", "--prefix", f"/clusterd/main/{keys}") for keys in ("config/", "head", "history/")]
    before = [cluster.etcd.ctl(*command) for command in committed]
    arguments = ("import", "--apply", "--yes", "lvs.cf", "-") if "lvs.cf" in what else ("apply", "-f", "-", "--yes")
    done = cluster.clusterd(*arguments, input_text=text)
    assert done.returncode == 1
    assert found in done.stderr
    assert [cluster.etcd.ctl(*command) for command in committed] == before


def test_etcdctl_shows_a_person_what_is_going_on(cluster: LabCluster) -> None:
    lines = cluster.etcd.ctl("get", "--prefix", "/clusterd/").splitlines()
    shown = dict(zip(lines[::2], lines[1::2], strict=True))
    active = cluster.active()
    assert shown["/clusterd/main/active/default"] == active
    assert json.loads(shown[f"/clusterd/main/routers/{active}"])["role"] == "active"
    head = json.loads(shown["/clusterd/main/head"])
    record = json.loads(shown[f"/clusterd/main/history/{head['number']:08d}"])
    assert record["changes"]["virtuals/web"]["after"]["servers"]["rs3"]["weight"] == 1
    web = json.loads(shown["/clusterd/main/config/1/virtuals/web"])
    assert web["servers"]["rs1"].items() >= {"address": "192.168.1.1", "weight": 2, "enabled": True}.items()
    verdict = json.loads(shown[f"/clusterd/main/health/web/rs1/{active}"])
    # a router that was started again goes on with the kernel's pool, and a key is written only when a verdict changes
    assert (verdict["up"], verdict["detail"]) in [
        (True, "HTTP 200"),
        (True, "in the pool when this router service started"),
    ]
    assert document.parse(cluster.clusterd("show").stdout) == document.parse(DOCUMENT)
