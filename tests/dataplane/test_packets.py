"""Our table at work on packets, in namespaces on whatever kernel the tests run on; IPVS is not needed.

    client 1.2.3.100 --- wan 1.2.3.2, VIP 1.2.3.1 [router] lan 192.168.1.254 --- real 192.168.1.1

IPv6 alike: 2001:db8::100, 2001:db8::2, 2001:db8::1, fd00::fe, fd00::1.
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from clusterd.dataplane import netfilter
from clusterd.netfilter import Mark, Masquerade, Netfilter, Opening, Protection
from clusterd.plane import Operation, Verb
from tests.lab.namespaces import NAMES, call, ip, kill_all, run

CLIENT, ROUTER, REAL = (f"nft-{os.getpid()}-{name}" for name in ("client", "router", "real"))
VIP, VIP6 = "1.2.3.1", "2001:db8::1"
OWN, OWN6 = "1.2.3.2", "2001:db8::2"
FAR, FAR6 = "1.2.3.100", "2001:db8::100"
VIPS, FARS = (VIP, VIP6), (FAR, FAR6)
PROTECTED = Netfilter(
    (),
    protection=Protection(
        (IPv4Address(VIP), IPv6Address(VIP6)),
        tuple(Opening("tcp", address, ((80, 80),)) for address in (IPv4Address(VIP), IPv6Address(VIP6))),
    ),
)
FIXED = Netfilter(
    (
        Masquerade(IPv4Network("192.168.1.0/24"), "wan", IPv4Address(VIP)),
        Masquerade(IPv6Network("fd00::/64"), "wan", IPv6Address(VIP6)),
    )
)


def write(table: Netfilter) -> None:
    def work() -> None:
        with contextlib.closing(netfilter.Nftables()) as tables:
            assert tables.apply(Operation(Verb.ADD, table), table) is None

    call(ROUTER, work)


def listening(where: str, port: int) -> socket.socket:
    return call(where, lambda: socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True))


def connected(where: str, host: str, port: int, source: str | None = None) -> socket.socket:
    """Return a connection; TimeoutError where packets are dropped."""
    return call(
        where, lambda: socket.create_connection((host, port), 0.5, source_address=(source, 0) if source else None)
    )


def dropped(host: str, port: int) -> bool:
    try:
        connected(CLIENT, host, port).close()
    except TimeoutError:
        return True
    return False


def make_router() -> None:
    """Make the router and its cables; a former one is gone, and its connections with it."""
    if (NAMES / ROUTER).exists():
        ip(["link del wan", "link del lan"], ROUTER)  # the kernel takes its time over a namespace's links
        ip([f"netns del {ROUTER}"])
    ip([f"netns add {ROUTER}"])
    cables = [("wan", CLIENT), ("lan", REAL)]
    ip([f"link add {here} type veth peer name eth0 netns {there}" for here, there in cables], ROUTER)
    addresses = [f"{each}/24 dev wan" for each in (OWN, VIP)] + ["192.168.1.254/24 dev lan"]
    addresses += [f"{each}/64 dev wan nodad" for each in (OWN6, VIP6)] + ["fd00::fe/64 dev lan nodad"]
    ip([f"addr add {each}" for each in addresses] + ["link set lo up", "link set wan up", "link set lan up"], ROUTER)
    ip([f"addr add {FAR}/24 dev eth0", f"addr add {FAR6}/64 dev eth0 nodad", "link set eth0 up"], CLIENT)
    ip(["addr add 192.168.1.1/24 dev eth0", "addr add fd00::1/64 dev eth0 nodad", "link set eth0 up"], REAL)
    ip(["route add default via 192.168.1.254", "route add default via fd00::fe"], REAL)
    done = run(ROUTER, ("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"))
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module", autouse=True)
def _network() -> Iterator[None]:
    ip([f"netns add {name}" for name in (CLIENT, REAL)])
    try:
        make_router()
        yield
    finally:
        for name in (CLIENT, ROUTER, REAL):
            kill_all(name)
            ip([f"netns del {name}"])


def test_to_a_protected_address_come_only_its_ports() -> None:
    write(PROTECTED)
    with listening(ROUTER, 80), listening(ROUTER, 22):
        assert [dropped(host, 80) for host in VIPS] == [False, False]
        assert [dropped(host, 22) for host in VIPS] == [True, True]
        assert [dropped(host, 22) for host in (OWN, OWN6)] == [False, False]


def test_a_protected_address_answers_pings_and_its_neighbours() -> None:
    write(PROTECTED)
    ip(["neigh flush dev eth0"], CLIENT)
    ip(["neigh flush dev wan"], ROUTER)
    with listening(ROUTER, 80):
        assert [dropped(host, 80) for host in VIPS] == [False, False]
    for host in VIPS:
        done = run(CLIENT, ("ping", "-c", "1", "-W", "2", host))
        assert done.returncode == 0, done.stdout


def test_what_the_router_asks_from_a_protected_address_is_answered() -> None:
    write(PROTECTED)
    with listening(CLIENT, 53):
        for here, there in zip(VIPS, FARS, strict=True):
            connected(ROUTER, there, 53, here).close()


def test_real_servers_reach_others_under_the_fixed_address_protected_or_not() -> None:
    for protection in (Protection(), PROTECTED.protection):
        write(Netfilter(FIXED.masquerades, protection=protection))
        with listening(CLIENT, 53) as server:
            for host, seen in zip(FARS, VIPS, strict=True):
                with connected(REAL, host, 53), server.accept()[0] as accepted:
                    assert accepted.getpeername()[0].removeprefix("::ffff:") == seen


def test_what_real_servers_began_goes_on_with_a_router_that_knows_nothing_of_it() -> None:
    write(FIXED)
    with listening(CLIENT, 53) as server:
        for host in FARS:
            with connected(REAL, host, 53) as ours, server.accept()[0] as theirs:
                make_router()
                write(FIXED)
                ours.sendall(b"asked")
                assert theirs.recv(5) == b"asked"
                theirs.sendall(b"answered")
                assert ours.recv(8) == b"answered"


def test_marks_are_on_the_ports_of_their_address_on_every_packet_and_on_no_others() -> None:
    marks = tuple(
        Mark("tcp", address, ((80, 80), (8000, 8010)), 7) for address in (IPv4Address(VIP), IPv6Address(VIP6))
    )
    write(Netfilter((), marks=marks))
    count = "table inet seen { chain c { type filter hook input priority 0; tcp dport 1-9000 meta mark %s counter; }; }"
    for port, marked in ((80, True), (8005, True), (81, False)):
        run(ROUTER, ("nft", "-f", "-"), input_text="add table inet seen; delete table inet seen\n" + count % 7)
        with listening(ROUTER, port) as server:
            for host in VIPS:
                with connected(CLIENT, host, port) as ours, server.accept()[0] as theirs:
                    ours.sendall(b"more")
                    assert theirs.recv(4) == b"more"
        counted = run(ROUTER, ("nft", "list", "table", "inet", "seen")).stdout
        packets = int(counted.split("packets ")[1].split()[0])
        assert packets >= 6 if marked else packets == 0
    run(ROUTER, ("nft", "delete", "table", "inet", "seen"))
