"""What real servers do and say, and what clients and kernels see of it: load, drain, failing checks, the data path."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.lab import node_load
from tests.lab.client import fetch
from tests.lab.cluster import DOCUMENT, LabCluster, prepare, wait_for
from tests.lab.guest import ROOT
from tests.lab.namespaces import ip
from tests.lab.ssh import Ssh
from tests.lab.topology import GATEWAY, NODES, REAL_SERVERS, ROUTERS, VIP, Network

pytestmark = pytest.mark.lab

POLL_S = 2
BUSY, NT = "1.2.3.7", "1.2.3.6"
LED, PLAIN, WRAPPED = "1.2.3.9", "1.2.3.8", "1.2.3.5"
WEB = (
    DOCUMENT.replace("check: {type: http, interval_s: 2,", "check: {type: http, interval_s: 0.5,")
    .replace("timeout_s: 1, fall: 2, rise: 2, path: /,", "timeout_s: 0.4, fall: 1, rise: 1, path: /up,")
    .replace("    servers:", "    load: {source: agent, interval_s: 2, smoothing_s: 3, change_s: 1}\n    servers:")
)


def other(name: str, vip: str, settings: str, last: int = 0) -> str:
    """Return another virtual server on the real servers' addresses 192.168.1.`last` + 1 … 3."""
    servers = ", ".join(f"rs{number}: {{address: 192.168.1.{last + number}}}" for number in (1, 2, 3))
    place = f"    address: {vip}/24\n    interface: eth0\n    port: 80\n"
    return f"  {name}:\n{place}    {settings}\n    servers: {{{servers}}}\n"


LOADED = other("busy", BUSY, f"load: {{source: http, interval_s: {POLL_S}, smoothing_s: 1, change_s: 1}}")
CHECK = "check: {type: tcp, interval_s: 0.5, timeout_s: 0.4, data_path: true}"
DIRECT = (
    other("led", LED, f"forwarding: direct\n    {CHECK}")
    + other("plain", PLAIN, f"forwarding: direct\n    {CHECK.replace('true', 'false')}")
    + other("wrapped", WRAPPED, f"forwarding: tunnel\n    {CHECK}", last=10)
)
Measure = Callable[[str, str], None]


@pytest.fixture(scope="module")
def cluster(network: Network) -> LabCluster:
    """The cluster with an agent and ssh on rs1 and rs2; rs3 is of another kind, and has neither."""
    made, ssh = LabCluster(network), Ssh(network)
    for server in REAL_SERVERS:
        (network.directory / f"web-{server}").mkdir()
        checked(made, server, good=True)
    node_load.start(network)
    for server in ("rs1", "rs2"):
        ssh.start(server, [address for _, address in NODES[server]])
    files = {"key_file": str(ssh.key_file), "known_hosts": str(ssh.known_hosts)}
    made.start(WEB + LOADED + other("nt", NT, f"load: {json.dumps({'source': 'ssh', 'user': 'root', **files})}"))
    for server in ("rs1", "rs2"):
        command = (sys.executable, "-m", "watchers", "agent", "--server", server)
        network.spawn(server, *command, name=f"agent-{server}", env=made.environment(server), cwd=ROOT)
    return made


@pytest.fixture(autouse=True)
def _logs(cluster: LabCluster) -> Iterator[None]:
    with cluster.logs_shown():
        yield


def checked(cluster: LabCluster, server: str, good: bool) -> None:
    """Have the page that is checked there or not; all others are there."""
    page = cluster.network.directory / f"web-{server}" / "up"
    page.write_text("up\n") if good else page.unlink()


def weights(cluster: LabCluster, router: str, vip: str = VIP) -> dict[str, int]:
    lines = [line.split() for line in cluster.ipvsadm(router).splitlines() if line.startswith(f"-a -t {vip}:80 ")]
    return {f"rs{words[4].removesuffix(':80')[-1]}": int(words[7]) for words in lines}


def part(counts: Mapping[str, int], server: str) -> float:
    return counts[server] / sum(counts.values())


def told_load(cluster: LabCluster, server: str) -> float:
    """Return what a real server says of its load."""
    return float(json.loads(node_load.page(cluster.network.directory, server).read_text())["load"])


def alarms(cluster: LabCluster) -> list[str]:
    return list(json.loads(cluster.clusterd("status", "--json").stdout)["alarms"])


def test_a_busy_loop_on_a_server_takes_requests_from_it_within_three_polls_and_gives_them_back_at_its_end(
    cluster: LabCluster, measure: Measure
) -> None:
    def shares() -> Mapping[str, int]:
        return Counter(fetch(cluster.network, 40, BUSY))

    def weight() -> float:
        return part(weights(cluster, cluster.active(), BUSY), "rs1")

    def idle() -> bool:
        return all(told_load(cluster, server) < 0.2 for server in REAL_SERVERS) and 0.28 < weight() < 0.38

    wait_for("what has just started is idle", idle, 30)
    before = part(shares(), "rs1")
    # all nodes share one processor: the loop takes of it what nobody else wants
    loop = cluster.network.spawn("rs1", "nice", "-n", "19", "sh", "-c", "while :; do :; done", name="busy-loop")
    time.sleep(3 * POLL_S)
    busy, weighed, load = part(shares(), "rs1"), weight(), told_load(cluster, "rs1")
    loop.kill()
    took_s = wait_for("rs1 weighs as much as before", lambda: weight() > 0.3, 30)
    after = part(shares(), "rs1")
    measure(
        "busy loop on rs1 for three polls, one of three equal servers",
        f"it takes {load:.0%} of a processor; its share of requests {before:.0%}, then {busy:.0%} (of the weights "
        f"{weighed:.0%}), {after:.0%} from {took_s:.1f} s after its end on: wlc makes up for what it did not get",
    )
    assert before == pytest.approx(1 / 3, abs=0.08)
    assert load > 0.3
    assert busy < 0.75 * before
    assert weighed < 0.28
    assert after > 0.28


def test_a_server_that_tells_no_load_keeps_its_weight_and_that_is_said(cluster: LabCluster, measure: Measure) -> None:
    agents = [f"/clusterd/main/load/{server}" for server in ("rs1", "rs2")]
    wait_for("the agents are heard", lambda: all(cluster.etcd.value(key) for key in agents))
    key = f"/clusterd/main/weights/nt/{cluster.active()}"
    took_s = wait_for("ssh is answered", lambda: cluster.etcd.value(key).count("ssh: × ") == 2, 30)
    measure("until both servers with ssh have told their load", f"{took_s:.1f} s more")
    lines = [" ".join(line.split()) for line in cluster.clusterd("explain", "nt").stdout.splitlines()]
    refused = "unable to connect to port 22 on 192.168.1.3"
    assert f"load ssh: no data, so a static weight {refused}" in lines
    assert [alarm for alarm in alarms(cluster) if "no load" in alarm] == [
        f"virtual server nt: no load of rs3 is known (ssh: {refused}): its weight is static",
        "virtual server web: no load of rs3 is known (agent: its agent says nothing): its weight is static",
    ]
    assert [weights(cluster, router, vip)["rs3"] for router in ROUTERS for vip in (VIP, NT)] == [100] * 4


def test_an_agent_asks_for_no_new_connections_and_takes_that_back(cluster: LabCluster) -> None:
    environment = {**cluster.environment("rs2"), "PYTHONPATH": str(ROOT)}
    agent = (sys.executable, "-m", "watchers", "agent", "--server", "rs2")
    assert cluster.network.run("rs2", *agent, "--drain", "-m", "reboot", env=environment).returncode == 0
    wait_for("rs2 is drained", lambda: all(weights(cluster, router)["rs2"] == 0 for router in ROUTERS))
    assert "rs2" not in fetch(cluster.network, 20)
    assert "its agent asks for it: reboot" in cluster.clusterd("explain", "web/rs2").stdout
    assert cluster.network.run("rs2", *agent, "--undrain", env=environment).returncode == 0
    wait_for("rs2 is back", lambda: all(weights(cluster, router)["rs2"] > 0 for router in ROUTERS))
    assert "rs2" in fetch(cluster.network, 20)


def test_when_all_checks_fail_half_of_the_servers_stay_and_somebody_is_told(cluster: LabCluster) -> None:
    for server in REAL_SERVERS:
        checked(cluster, server, good=False)
    wait_for("all are down", lambda: not any(cluster.health(s, r)["up"] for s in REAL_SERVERS for r in ROUTERS))
    wait_for("two stay", lambda: all(len(weights(cluster, router)) == 2 for router in ROUTERS))
    assert len(fetch(cluster.network, 20)) == 20
    wait_for("it is told", lambda: any(a.startswith("virtual server web: fail open: ") for a in alarms(cluster)))


def test_a_router_that_starts_while_all_checks_fail_fails_open_too(cluster: LabCluster) -> None:
    backup = cluster.backup()
    cluster.routers[backup].stop()
    assert cluster.network.run(backup, "ipvsadm", "-C").returncode == 0
    cluster.start_router(backup)
    wait_for("it has two of the servers", lambda: len(weights(cluster, backup)) == 2, 30)


def test_with_a_sorry_server_the_client_gets_its_page_until_the_first_server_is_back(cluster: LabCluster) -> None:
    ip([f"route add default via {GATEWAY}"], "etcd")
    cluster.network.serve_page("etcd")
    done = cluster.clusterd("set", "virtuals/web/sorry_server=192.168.1.10", "--yes", "--wait=20")
    assert done.returncode == 0, done.stderr
    assert set(fetch(cluster.network, 8)) == {"etcd"}
    for server in REAL_SERVERS:
        checked(cluster, server, good=True)
    wait_for("the servers are back", lambda: len(weights(cluster, cluster.active())) == 3)
    assert "etcd" not in fetch(cluster.network, 20)


def test_a_server_without_the_vip_or_the_tunnel_is_down_by_a_check_through_the_data_path_alone(
    cluster: LabCluster,
) -> None:
    document = WEB + DIRECT
    for number, server in enumerate(REAL_SERVERS, 1):
        vips = [PLAIN, *([LED] if server != "rs3" else [])]
        ip([f"addr add 192.168.1.{10 + number}/24 dev eth0", *(f"addr add {vip}/32 dev lo" for vip in vips)], server)
    for server in ("rs1", "rs2"):
        prepare(cluster.network, document, "wrapped", server)
    done = cluster.clusterd("apply", "-f", "-", "--yes", "--force", "--wait=20", input_text=document)
    assert done.returncode == 0, done.stderr

    def found(virtual: str) -> list[bool | None]:
        keys = [f"/clusterd/main/health/{virtual}/{server}/{r}" for r in ROUTERS for server in REAL_SERVERS]
        return [json.loads(text)["up"] if (text := cluster.etcd.value(key)) else None for key in keys]

    wait_for("both routers found it out", lambda: found("led") == found("wrapped") == [True, True, False] * 2, 10)
    wait_for("all answer on their own addresses", lambda: found("plain") == [True] * 6, 5)
    text = cluster.ipvsadm(cluster.active())
    assert "-a -f 1084752131 -r 192.168.1.3:0 -g -w 1\n" in text
    assert "-a -f 1084752141 -r 192.168.1.13:0 -i -w 1 --tun-type ipip\n" in text
    assert f"-a -t {LED}:80 -r 192.168.1.3:80" not in text
    ip([f"addr add {LED}/32 dev lo"], "rs3")
    prepare(cluster.network, document, "wrapped", "rs3")
    wait_for("it is up with the VIP", lambda: found("led") == found("wrapped") == [True] * 6, 10)
    time.sleep(9)  # the kernel was read again
    assert "mark 1084752131" not in cluster.etcd.ctl("get", "--prefix", "--print-value-only", "/clusterd/main/events/")
    done = cluster.clusterd("apply", "-f", "-", "--yes", "--force", "--wait=20", input_text=WEB)
    assert done.returncode == 0, done.stderr
    assert all("-f " not in cluster.ipvsadm(router) for router in ROUTERS)
