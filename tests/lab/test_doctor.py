"""clusterd doctor on the manual's cluster: it finds nothing, and then names each thing that was broken."""

import json
from collections.abc import Iterator

import pytest

from tests.lab.cluster import LabCluster, prepare, wait_for
from tests.lab.namespaces import ip
from tests.lab.ssh import Ssh
from tests.lab.topology import ETCD, GATEWAY, NODES, REAL_SERVERS, ROUTERS, Network

pytestmark = pytest.mark.lab

DIRECT_SERVER = "1.2.3.13"
DOCUMENT = """\
cluster:
  forwarding: nat
  nat_router: {{address: 192.168.1.254/24, interface: eth1}}
  masquerade: [{{source: 192.168.1.0/24, interface: eth0}}]
routers:
  r1: {{public: 1.2.3.2, private: 192.168.1.252, priority: 100}}
  r2: {{public: 1.2.3.3, private: 192.168.1.253, priority: 50}}
virtuals:
  web:
    address: 1.2.3.1/24
    interface: eth0
    port: 80
    check: {{type: http}}
    load: {load}
    servers:
      rs1: {{address: 192.168.1.1, weight: 2}}
      rs2: {{address: 192.168.1.2}}
  direct:
    address: 1.2.3.5/24
    interface: eth0
    port: 80
    forwarding: direct
    load: {load}
    servers:
      rs3: {{address: 1.2.3.13}}
  outside:
    address: 1.2.3.6/24
    interface: eth0
    port: 80
    servers:
      rs2: {{address: 192.168.1.2}}
"""
Found = dict[tuple[str, str], str]


@pytest.fixture(scope="module")
def cluster(network: Network) -> LabCluster:
    """The manual's cluster with three members of etcd, real servers that take ssh, and one of them direct."""
    network.join_public("rs3", DIRECT_SERVER)
    ssh = Ssh(network)
    for server in REAL_SERVERS:
        ssh.start(server, [address for _, address in NODES[server]] + ([DIRECT_SERVER] if server == "rs3" else []))
    load = json.dumps(
        {
            **{"source": "ssh", "user": "root", "key_file": str(ssh.key_file), "known_hosts": str(ssh.known_hosts)},
            **{"interval_s": 60, "stale_s": 120},  # reading loads is not what this is about
        }
    )
    document = DOCUMENT.format(load=load)
    prepare(network, document, "direct", "rs3")
    made = LabCluster(network, members=3)
    made.start(document)
    return made


@pytest.fixture(autouse=True)
def _logs(cluster: LabCluster) -> Iterator[None]:
    """Show what the routers logged during a test that fails."""
    with cluster.logs_shown():
        yield


def doctor(cluster: LabCluster) -> tuple[int, Found]:
    """Return the exit code, and the verdicts by check and place."""
    done = cluster.clusterd("doctor", "--json")
    assert done.stdout, done.stderr
    print(done.stdout)
    return done.returncode, {(one["check"], one["place"]): one["verdict"] for one in json.loads(done.stdout)}


def test_nothing_is_found_where_all_is_well_but_the_age_of_etcd(cluster: LabCluster) -> None:
    told: list[tuple[int, Found]] = []

    def only_etcds_age() -> bool:
        told.append(doctor(cluster))
        unwell = {
            each: verdict for each, verdict in told[-1][1].items() if verdict != "ok" and each[0] != "etcd-version"
        }
        return unwell == {("public-network", "outside/rs2"): "unknown"}  # only ssh would tell

    wait_for("the doctor is content", only_etcds_age, 60, step_s=1)
    code, found = told[-1]
    assert code == 6
    assert {place for check, place in found if check == "default-route"} == {"web/rs1", "web/rs2", "outside/rs2"}
    assert {place for check, place in found if check == "arp"} == {"direct/rs3"}
    assert {place for check, place in found if check == "peers"} == set(ROUTERS)


@pytest.fixture
def broken(cluster: LabCluster) -> Iterator[None]:
    """Break four things, and mend them afterwards. Forwarding is switched off again and again: the router mends it."""
    off = "while :; do echo 0 > /proc/sys/net/ipv4/ip_forward; sleep 0.5; done"
    nobody = cluster.network.spawn("r2", "sh", "-c", off, name="no-forwarding")
    ip([f"route replace default via {ETCD}"], "rs2")
    cluster.network.run("rs3", "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0")
    cluster.etcd.members[2].running.kill()
    yield
    nobody.kill()
    ip([f"route replace default via {GATEWAY}"], "rs2")
    cluster.network.run("rs3", "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
    cluster.etcd.members[2].start()


def test_each_thing_that_is_broken_is_named_and_nothing_else(cluster: LabCluster, broken: None) -> None:
    code, found = doctor(cluster)
    assert code == 1
    failed = {each for each, verdict in found.items() if verdict == "fail"}
    told_of_r2 = {("router-alive", "r2")}  # its kernel may be just then not as the commit wants it
    lost = {("public-network", "web/rs2")}  # which follows from its default route
    assert failed - told_of_r2 == lost | {
        ("default-route", "web/rs2"),  # by ssh
        ("default-route", "outside/rs2"),  # by a connection that begins at r1's public address
        ("forwarding", "r2"),
        ("arp", "direct/rs3"),
        ("etcd-reachable", f"m2 http://{ETCD}:2381"),
    }


def test_a_commit_tells_when_both_routers_saw_and_applied_it(cluster: LabCluster) -> None:
    told = json.loads(cluster.clusterd("show-commit", "1", "--json").stdout)["routers"]
    assert [one["router"] for one in told] == list(ROUTERS)
    assert all(one["seen"] <= one["applied"] for one in told)
    assert all(one["seen"] for one in told)
