"""docker-compose.yml: that it fits its document, and with a Docker engine that `docker compose up` gives a cluster."""

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterd import document
from tests.store.engine import COMPOSE_FILE, ROOT
from tests.whole_cluster import WholeCluster

PROJECT = f"clusterd-whole-{os.getpid()}"
COMPOSE = yaml.safe_load(COMPOSE_FILE.read_text())
CLUSTER = document.parse((ROOT / "docker" / "cluster.yaml").read_text())
NET_ADMIN, NET_RAW = 1 << 12, 1 << 13  # linux/capability.h


def address(service: str, network: str) -> str:
    return str(COMPOSE["services"][service]["networks"][network]["ipv4_address"])


def test_containers_have_the_addresses_of_the_document() -> None:
    web, gateway = CLUSTER.virtuals["web"], CLUSTER.settings.nat_router
    for name, router in CLUSTER.routers.items():
        own = COMPOSE["services"][name]["environment"]
        assert own["PUBLIC"] == address(name, "public") == str(router.public)
        assert own["PRIVATE"] == address(name, "private") == str(router.private)
    assert {name: address(name, "private") for name in web.servers} == {
        name: str(server.address) for name, server in web.servers.items()
    }
    assert gateway is not None
    assert {COMPOSE["services"][name]["environment"]["GATEWAY"] for name in web.servers} == {str(gateway.address.ip)}


def test_nothing_is_privileged_and_only_routers_and_real_servers_have_capabilities() -> None:
    for name, service in COMPOSE["services"].items():
        assert not service.get("privileged"), name
        assert service["cap_drop"] == ["ALL"], name
    able = {name for name, service in COMPOSE["services"].items() if service.get("cap_add")}
    assert able == {"r1", "r2", "rs1", "rs2", "rs3"}


def test_the_engine_masquerades_nothing_that_routers_forward() -> None:
    # with br_netfilter it would take a client's request to a real server for its own, and the answer would go astray
    for name in ("public", "private"):
        assert COMPOSE["networks"][name]["driver_opts"] == {"com.docker.network.bridge.enable_ip_masquerade": "false"}


@pytest.fixture(scope="module")
def project() -> Iterator[WholeCluster]:
    """The cluster, up and well."""
    made, patch = WholeCluster(PROJECT), pytest.MonkeyPatch()
    patch.setenv("WEB_PORT", "")  # any that is free
    try:
        made("up", "--detach", "--no-build", "--wait")
        yield made
    finally:
        made("kill", check=False)
        made("down", "--volumes", check=False)
        patch.undo()


def servers_up(view: Any) -> bool:
    return [server["state"] for server in view["virtuals"][0]["servers"]] == ["up"] * 3


@pytest.mark.engine
def test_the_example_is_committed_and_its_real_servers_are_seen(project: WholeCluster) -> None:
    view = project.status(servers_up)
    assert view["commit"] == 1
    assert all(router["alive"] for router in view["routers"])


@pytest.mark.engine
def test_where_the_kernel_has_ipvs_the_client_is_served_and_elsewhere_the_routers_say_what_is_missing(
    project: WholeCluster,
) -> None:
    view = project.status(servers_up)
    logs = project("logs", "r1", "r2")
    if Path("/proc/net/ip_vs").exists():
        view = project.status(lambda view: "active" in {router["role"] for router in view["routers"]})
        pages = [project.run("client", "busybox", "wget", "-qO-", "http://10.213.1.100/").strip() for _ in range(8)]
        assert {name: pages.count(name) for name in set(pages)} == {"rs1": 4, "rs2": 2, "rs3": 2}
        assert "DRY RUN" not in logs
    else:
        assert {router["role"] for router in view["routers"]} == {"dry run"}
        assert logs.count("router: the kernel has no IPVS") == logs.count("DRY RUN") == 2
        assert "add service tcp 10.213.1.100:80" in project.run("r1", "clusterd", "plan")


@pytest.mark.engine
def test_routers_have_two_capabilities_and_a_user_of_their_own(project: WholeCluster) -> None:
    # in a container the first process is the router
    fields = dict(line.split(":\t", 1) for line in project.run("r1", "cat", "/proc/1/status").splitlines())
    assert fields["Uid"].split()[0] != "0"
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[kind], 16) == NET_ADMIN | NET_RAW, kind
    assert fields["NoNewPrivs"] == "1"


@pytest.mark.engine
def test_the_console_answers_on_a_port_of_this_host_and_has_a_login(project: WholeCluster) -> None:
    where = project("port", "web", "8480").strip()
    assert where.startswith("127.0.0.1:")
    with urllib.request.urlopen(f"http://{where}/login", timeout=10) as page:
        assert b"password" in page.read()
    said = project.run(
        "web", "sh", "-c", "echo a-long-pass-phrase | clusterd console user add eve --password-file /dev/stdin"
    )
    assert said.startswith("eve is a user of the console")


@pytest.mark.engine
def test_a_commit_goes_through_while_a_member_of_etcd_is_dead(project: WholeCluster) -> None:
    project("kill", "etcd1")
    done = project.run("r2", "clusterd", "set", "virtuals/web/servers/rs1/weight=3", "--yes", "--json")
    assert json.loads(done)["commit"] == 2
    project.status(lambda view: [router["applied"] for router in view["routers"]] == [2, 2])
    project("start", "etcd1")


@pytest.mark.engine
def test_what_was_committed_outlives_the_containers(project: WholeCluster) -> None:
    before = project.run("r1", "clusterd", "show")
    project("kill")
    project("rm", "--force")
    project("up", "--detach", "--no-build", "--wait")
    assert project.run("r1", "clusterd", "show") == before
    assert "there is a configuration already" in project("logs", "init")
