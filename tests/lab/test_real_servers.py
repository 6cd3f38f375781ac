"""What real servers do and say, and what clients and kernels see of it: load, drain, failing checks, the data path."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.lab.client import fetch
from tests.lab.cluster import DOCUMENT, LabCluster, destinations, wait_for
from tests.lab.guest import ROOT
from tests.lab.namespaces import call, ip
from tests.lab.topology import GATEWAY, REAL_SERVERS, ROUTERS, VIP, Network

pytestmark = pytest.mark.lab

POLL_S = 2
LED, PLAIN = "1.2.3.9", "1.2.3.8"
WEB = (
    DOCUMENT.replace("check: {type: http, interval_s: 2,", "check: {type: http, interval_s: 0.5,")
    .replace("timeout_s: 1, fall: 2, rise: 2, path: /,", "timeout_s: 0.4, fall: 1, rise: 1, path: /up,")
    .replace("    servers:", "    load: {source: agent, interval_s: 2, smoothing_s: 3, change_s: 1}\n    servers:")
)
DIRECT = "".join(
    f"""\
  {name}:
    address: {vip}/24
    interface: eth0
    port: 80
    forwarding: direct
    check: {{type: tcp, interval_s: 0.5, timeout_s: 0.4, data_path: {led}}}
    servers: {{rs1: {{address: 192.168.1.1}}, rs2: {{address: 192.168.1.2}}, rs3: {{address: 192.168.1.3}}}}
"""
    for name, vip, led in (("led", LED, "true"), ("plain", PLAIN, "false"))
)
Measure = Callable[[str, str], None]


@pytest.fixture(scope="module")
def cluster(network: Network) -> LabCluster:
    """The cluster with agents on rs1 and rs2; rs3 is of another kind, and tells nothing."""
    made = LabCluster(network)
    for server in REAL_SERVERS:
        (network.directory / f"web-{server}").mkdir()
        checked(made, server, good=True)
    made.start(WEB)
    for server in ("rs1", "rs2"):
        load(made, server, 0.1)
        file = str(network.directory / f"load-{server}")
        command = (sys.executable, "-m", "tests.lab.loaded_agent", file, "--server", server)
        network.spawn(server, *command, name=f"agent-{server}", env=made.environment(server), cwd=ROOT)
    return made


@pytest.fixture(autouse=True)
def _logs(cluster: LabCluster) -> Iterator[None]:
    with cluster.logs_shown():
        yield


def load(cluster: LabCluster, server: str, average: float) -> None:
    (cluster.network.directory / f"load-{server}").write_text(f"{average}\n")


def checked(cluster: LabCluster, server: str, good: bool) -> None:
    """Have the page that is checked there or not; all others are there."""
    page = cluster.network.directory / f"web-{server}" / "up"
    page.write_text("up\n") if good else page.unlink()


def weights(cluster: LabCluster, router: str) -> dict[str, int]:
    lines = [line.split() for line in cluster.ipvsadm(router).splitlines() if line.startswith(f"-a -t {VIP}:80 ")]
    return {f"rs{words[4].removesuffix(':80')[-1]}": int(words[7]) for words in lines}


def share(cluster: LabCluster, server: str) -> float:
    return Counter(fetch(cluster.network, 40))[server] / 40


def alarms(cluster: LabCluster) -> list[str]:
    return list(json.loads(cluster.clusterd("status", "--json").stdout)["alarms"])


def test_a_busy_server_gets_less_within_three_polls_and_one_without_an_agent_keeps_its_weight(
    cluster: LabCluster, measure: Measure
) -> None:
    agents = [f"/clusterd/main/load/{server}" for server in ("rs1", "rs2")]
    wait_for("the agents are heard", lambda: all(cluster.etcd.value(key) for key in agents))
    time.sleep(POLL_S)
    before = share(cluster, "rs1")
    load(cluster, "rs1", 8)
    time.sleep(3 * POLL_S)
    busy, seen = share(cluster, "rs1"), [weights(cluster, router) for router in ROUTERS]
    load(cluster, "rs1", 0.1)
    took_s = wait_for("rs1 has its share again", lambda: weights(cluster, cluster.active())["rs1"] > 170, 30)
    after = share(cluster, "rs1")
    measure(
        "rs1 busy for three polls", f"share {before:.0%}, then {busy:.0%}, idle again {after:.0%} after {took_s:.1f} s"
    )
    assert before == pytest.approx(0.5, abs=0.05)
    assert busy < 0.35
    assert after > 0.42
    assert all(each["rs3"] == 100 for each in seen)
    told = [alarm for alarm in alarms(cluster) if "rs3" in alarm]
    assert told == ["virtual server web: no load of rs3 is known (agent: its agent says nothing): its weight is static"]


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
    wait_for("it has two of the servers", lambda: call(backup, destinations) == 2, 30)
    assert len(weights(cluster, backup)) == 2


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


def test_a_server_without_the_vip_is_down_by_a_check_through_the_data_path_alone(cluster: LabCluster) -> None:
    for server in REAL_SERVERS:
        ip([f"addr add {PLAIN}/32 dev lo", *([f"addr add {LED}/32 dev lo"] if server != "rs3" else [])], server)
    done = cluster.clusterd("apply", "-f", "-", "--yes", "--wait=20", input_text=WEB + DIRECT)
    assert done.returncode == 0, done.stderr

    def found(virtual: str) -> list[bool | None]:
        keys = [f"/clusterd/main/health/{virtual}/{server}/{r}" for r in ROUTERS for server in REAL_SERVERS]
        return [json.loads(text)["up"] if (text := cluster.etcd.value(key)) else None for key in keys]

    wait_for("both routers found it out", lambda: found("led") == [True, True, False] * 2, 10)
    wait_for("all answer on their own addresses", lambda: found("plain") == [True] * 6, 5)
    text = cluster.ipvsadm(cluster.active())
    assert "-a -f 1084752131 -r 192.168.1.3:0 -g -w 1\n" in text
    assert f"-a -t {LED}:80 -r 192.168.1.3:80" not in text
    ip([f"addr add {LED}/32 dev lo"], "rs3")
    wait_for("it is up with the VIP", lambda: found("led") == [True] * 6, 10)
    time.sleep(9)  # the kernel was read again
    assert "mark 1084752131" not in cluster.etcd.ctl("get", "--prefix", "--print-value-only", "/clusterd/main/events/")
    done = cluster.clusterd("apply", "-f", "-", "--yes", "--force", "--wait=20", input_text=WEB)
    assert done.returncode == 0, done.stderr
    assert all("-f " not in cluster.ipvsadm(router) for router in ROUTERS)
