"""docker-compose.yml on a kernel with IPVS: real packets, a commit, a takeover. script/test-docker makes its images."""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clusterd import document
from tests.lab import lifetime, machine
from tests.lab.client import Poller, fetch
from tests.lab.cluster import wait_for
from tests.lab.containers import start_engine
from tests.lab.guest import ROOT
from tests.lab.namespaces import ip
from tests.lab.topology import Network
from tests.store.engine import docker
from tests.whole_cluster import ROUTERS, WholeCluster

pytestmark = [pytest.mark.lab, pytest.mark.images, pytest.mark.timeout(300)]

WEB = document.parse((ROOT / "docker" / "cluster.yaml").read_text()).virtuals["web"]
VIP, GATEWAY = "10.213.1.100", "10.213.2.254"
PROJECT = "clusterd"
POLL_S = 0.1
STARTING_S = 60.0
TAKEOVER_S = 10.0  # a lease of 3 s, and what an emulated processor takes
Measure = Callable[[str, str], None]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeCluster]:
    """The cluster, on an engine and a kernel that have seen nothing before: not even IPVS is loaded."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", "")
        if machine.emulated():
            subprocess.run(["modprobe", "--remove", "ip_vs"], check=True)
        engine = start_engine(tmp_path_factory.mktemp("engine"))
        try:
            made = WholeCluster(PROJECT, ROOT / "tests" / "lab" / "slow-host.yml")
            made("up", "--detach", "--no-build")
            yield made
            if not machine.emulated():  # else everything ends with the guest, which is sooner
                made("down", "--volumes")
        finally:
            lifetime.end(engine)


@pytest.fixture(scope="module")
def client(cluster: WholeCluster, tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network of which the container of the client is a node."""
    ip([f"netns attach client {process('client')}"])
    return Network(tmp_path_factory.mktemp("client"))


def process(service: str) -> int:
    """Return the first process of a container."""
    return int(docker("inspect", "--format", "{{.State.Pid}}", f"{PROJECT}-{service}-1"))


def inside(service: str, *command: str) -> str:
    """Run a program of the host in a container's network: that takes a tenth of what `docker exec` does."""
    enter = ["nsenter", f"--target={process(service)}", "--net"]
    return subprocess.run([*enter, *command], capture_output=True, text=True, check=True).stdout


def kernel(router: str) -> set[str]:
    return set(inside(router, "ipvsadm", "-Sn").splitlines())


def holds(router: str) -> bool:
    """Return whether a router has both floating addresses. Raises AssertionError where it has one of them."""
    addresses = inside(router, "ip", "-brief", "-4", "address")
    has = {f" {VIP}/24" in addresses, f" {GATEWAY}/24" in addresses}
    assert len(has) == 1, addresses
    return has == {True}


def table(**weights: int) -> set[str]:
    servers = {f"-a -t {VIP}:80 -r {WEB.servers[name].address}:80 -m -w {weight}" for name, weight in weights.items()}
    return {f"-A -t {VIP}:80 -s wlc", *servers}


def settled(view: Any) -> bool:
    servers = [server["state"] for server in view["virtuals"][0]["servers"]]
    return view["converged"] and servers == ["up"] * 3


def roles(view: Any) -> dict[str, str]:
    return {router["name"]: router["role"] for router in view["routers"]}


def test_the_routers_are_not_run_dry_and_their_kernels_are_as_committed(cluster: WholeCluster) -> None:
    full = table(rs1=2, rs2=1, rs3=1)
    wait_for("both kernels are right", lambda: [kernel("r1"), kernel("r2")] == [full, full], STARTING_S, step_s=1)
    view = cluster.status(settled)
    assert sorted(roles(view).values()) == ["active", "backup"]
    assert {router: roles(view)[router] == "active" for router in ROUTERS} == {
        router: holds(router) for router in ROUTERS
    }
    assert view["alarms"] == []
    assert "DRY RUN" not in cluster("logs", *ROUTERS)
    for router in ROUTERS:
        assert json.loads(cluster.run(router, "clusterd", "plan", "--json"))["operations"] == []


def test_the_client_is_served_by_weight(cluster: WholeCluster, client: Network, measure: Measure) -> None:
    assert cluster.run("client", "busybox", "wget", "-qO-", f"http://{VIP}/").strip() in WEB.servers
    pages = Counter(fetch(client, 40, VIP))
    measure("docker compose up, 40 requests, weights 2:1:1", ", ".join(f"{name} {pages[name]}" for name in WEB.servers))
    assert pages == {"rs1": pytest.approx(20, abs=1), "rs2": pytest.approx(10, abs=1), "rs3": pytest.approx(10, abs=1)}


def test_a_commit_in_a_container_changes_both_kernels_and_the_shares_and_fails_no_request(
    cluster: WholeCluster, client: Network
) -> None:
    poller = Poller(client, VIP, period_s=POLL_S)
    done = cluster.run("r2", "clusterd", "set", "virtuals/web/servers/rs1/weight=3", "--yes", "--wait=20", "--json")
    assert json.loads(done)["commit"] == 2
    assert poller.stop().failures == 0
    assert [kernel(router) for router in ROUTERS] == [table(rs1=3, rs2=1, rs3=1)] * 2
    pages = Counter(fetch(client, 200, VIP))
    # wlc makes up for what was done by the old weights first
    assert pages == {"rs1": pytest.approx(120, abs=9), "rs2": pytest.approx(40, abs=9), "rs3": pytest.approx(40, abs=9)}


def test_when_the_active_router_is_killed_the_other_one_answers_and_it_can_come_back(
    cluster: WholeCluster, client: Network, measure: Measure
) -> None:
    active, backup = sorted(ROUTERS, key=holds, reverse=True)
    poller = Poller(client, VIP, period_s=POLL_S)
    time.sleep(1)
    killed_s = time.monotonic()
    cluster("kill", active)
    wait_for(f"{backup} has the address", lambda: VIP in inside(backup, "ip", "-4", "address"), TAKEOVER_S)
    taken_s = time.monotonic()
    time.sleep(2)
    polls = poller.stop()
    measure(
        "docker compose kill, the active router",
        f"client's gap {polls.longest_gap_s:.2f} s, {polls.failures} of {len(polls.requests)} requests failed",
    )
    assert polls.longest_gap_s < TAKEOVER_S
    assert polls.between(0, killed_s - 0.5).failures == 0
    after = polls.between(taken_s + 0.5, time.monotonic())
    assert after.failures == 0
    assert after.by_server.keys() == set(WEB.servers)

    # started again it takes part, and nobody notices
    poller = Poller(client, VIP, period_s=POLL_S)
    cluster("start", active)
    wait_for("its kernel is as committed", lambda: kernel(active) == kernel(backup), STARTING_S)
    view = cluster.status(lambda view: settled(view) and set(roles(view).values()) == {"active", "backup"}, backup)
    assert view["alarms"] == []
    assert kernel(active) == kernel(backup) == table(rs1=3, rs2=1, rs3=1)
    assert poller.stop().failures == 0
