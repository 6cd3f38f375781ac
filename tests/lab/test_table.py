"""Our nft table beside a real IPVS: marks make several ports one service, and protection comes before it."""

import contextlib
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from clusterd.dataplane.netfilter import Nftables
from clusterd.netfilter import Mark, Netfilter, Opening, Protection
from clusterd.plane import Operation, Verb
from tests.lab.namespaces import call, ip
from tests.lab.topology import GATEWAY, VIP, Network

pytestmark = pytest.mark.lab

MARK = Mark("tcp", IPv4Address(VIP), ((80, 80), (8000, 8010)), 7)
OTHER_PORT = 9000


def write(table: Netfilter) -> None:
    def work() -> None:
        with contextlib.closing(Nftables()) as tables:
            assert tables.apply(Operation(Verb.ADD, table), table) is None
            assert tables.read() == table

    call("r1", work)


def answered(network: Network, port: int) -> bool:
    done = network.run("client", "curl", "-sf", "--connect-timeout", "2", f"http://{VIP}:{port}/")
    return done.stdout == "rs1\n"


@pytest.fixture(scope="module")
def served(network: Network) -> Iterator[Network]:
    """A router with a service by mark, and one by its port."""
    ip([f"addr add {VIP}/24 dev eth0", f"addr add {GATEWAY}/24 dev eth1"], "r1")
    network.run("r1", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    rules = ["-A -f 7 -s rr", "-a -f 7 -r 192.168.1.1 -m", f"-A -t {VIP}:{OTHER_PORT} -s rr"]
    rules.append(f"-a -t {VIP}:{OTHER_PORT} -r 192.168.1.1:80 -m")
    for rule in rules:
        done = network.run("r1", "ipvsadm", *rule.split())
        assert done.returncode == 0, done.stderr
    servers = [network.serve_page("rs1", port) for port in (80, 8005)]
    yield network
    for server in servers:
        server.kill()


def test_several_ports_are_one_service_by_their_mark(served: Network) -> None:
    write(Netfilter((), marks=(MARK,)))
    assert [answered(served, port) for port in (80, 8005, 81, OTHER_PORT)] == [True, True, False, True]


def test_ipvs_never_sees_what_protection_drops(served: Network) -> None:
    address = IPv4Address(VIP)
    write(Netfilter((), (), (MARK,), Protection((address,), (Opening("tcp", address, MARK.ports),))))
    assert [answered(served, port) for port in (80, 8005, OTHER_PORT)] == [True, True, False]
    assert served.run("client", "ping", "-c", "1", "-W", "2", VIP).returncode == 0
