"""Checks through the data path on a real kernel: what is wanted of IPVS leads to one real server, whose answers come.

router 192.168.1.252 --- lan --- 192.168.1.1 real server, and fd00::252 --- fd00::1; the VIPs are 1.2.3.1, 2001:db8::1
"""

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from clusterd.checks.dialogue import Through
from clusterd.clock import boottime_s
from clusterd.dataplane.kernel import Kernel
from clusterd.desired import desired, scope
from clusterd.document import from_data
from clusterd.health import Observation
from clusterd.model import Cluster, HttpCheck, TcpCheck
from clusterd.paths import path_mark
from clusterd.plan import plan
from clusterd.probing import probe
from renderers import real_server
from tests.lab.namespaces import call, ip, kill_all, run, spawn

pytestmark = pytest.mark.lab

ROUTER, REAL = (f"path-{os.getpid()}-{name}" for name in ("router", "real"))
PLACES = {4: ("1.2.3.1", "1.2.3.1/24", "192.168.1.1"), 6: ("2001:db8::1", "2001:db8::1/64", "fd00::1")}
TIMES: dict[str, Any] = {"timeout_s": 1.5}


def cluster(family: int, way: str = "direct", tunnel: str = "", carrier: int = 0) -> Cluster:
    """Return a virtual server of a family, whose real server's address is of that of `carrier`, if that is another."""
    _, vip, _ = PLACES[family]
    _, _, real = PLACES[carrier or family]
    web = {"address": vip, "interface": "lan", "port": 80, "forwarding": way, "servers": {"rs1": {"address": real}}}
    web |= {"tunnel": {"type": tunnel, **({"port": 6080} if tunnel == "gue" else {})}} if tunnel else {}
    return from_data({"virtuals": {"web": web | {"check": {"type": "tcp", "data_path": carrier in (0, family)}}}})


@pytest.fixture(scope="module", autouse=True)
def _network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text("rs1\n")
    ip([f"netns add {ROUTER}", f"netns add {REAL}"])
    try:
        ip([f"link add lan type veth peer name lan netns {REAL}"], ROUTER)
        for name, last in ((ROUTER, "252"), (REAL, "1")):
            up = ["link set lo up", "link set lan up"]
            ip([f"addr add 192.168.1.{last}/24 dev lan", f"addr add fd00::{last}/64 dev lan nodad", *up], name)
        ip(["route add default via 192.168.1.250", "route add default via fd00::250"], ROUTER)
        quiet = [f"net.ipv4.conf.all.{each}" for each in ("arp_ignore=1", "arp_announce=2", "rp_filter=0")]
        run(REAL, ("sysctl", "-qw", *quiet, "net.ipv4.conf.default.rp_filter=0"))
        page = spawn(REAL, ("busybox", "httpd", "-f", "-p", "80", "-h", str(folder)), log=folder / "log")
        yield
        page.kill()
    finally:
        for name in (ROUTER, REAL):
            kill_all(name)
            ip([f"netns del {name}"])


def carried(wanted: Cluster, active: bool, up: bool = False) -> None:
    """Have a router's kernel as this cluster wants it."""

    def work() -> None:
        kernel, ours = Kernel(), scope(cluster(4)) | scope(cluster(6))
        try:
            here = desired(wanted, {("web", "rs1"): up}, ["default"] if active else [])
            failures = kernel.apply(plan(kernel.read(ours), here), boottime_s() + 300)
            assert failures == ()
            read = kernel.read(ours)
            assert plan(read, here) == (), "read back, it is no drift"
        finally:
            kernel.close()

    call(ROUTER, work)


def looked(family: int, through: bool = True) -> Observation:
    vip, _, real = PLACES[family]
    virtual = cluster(family).virtuals["web"]
    check = HttpCheck(type="http", body="rs1", **TIMES)
    led = Through(path_mark(virtual, virtual.servers["rs1"]).mark, real) if through else None
    return call(ROUTER, lambda: asyncio.run(probe(vip if through else real, 80, check, led)))


@pytest.fixture
def present() -> Iterator[None]:
    """The VIPs on the real server's loopback interface."""
    ip(["addr add 1.2.3.1/32 dev lo", "addr add 2001:db8::1/128 dev lo nodad"], REAL)
    yield
    ip(["addr del 1.2.3.1/32 dev lo", "addr del 2001:db8::1/128 dev lo"], REAL)


@pytest.mark.parametrize("active", [False, True], ids=["without the VIP", "with the VIP"])
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.usefixtures("present")
def test_a_real_server_with_the_vip_answers_through_ipvs(family: int, active: bool) -> None:
    carried(cluster(family), active)
    assert looked(family) == Observation(True, "HTTP 200, and its body is as expected")


@pytest.mark.parametrize("active", [False, True], ids=["without the VIP", "with the VIP"])
@pytest.mark.parametrize("family", [4, 6])
def test_a_real_server_that_lacks_the_vip_is_down_by_this_check_and_up_by_the_plain_one(
    family: int, active: bool
) -> None:
    carried(cluster(family), active)
    assert not looked(family).ok
    assert looked(family, through=False).ok


@contextmanager
def made_ready(wrapped: Cluster) -> Iterator[None]:
    """Have the real server as it is rendered for it."""
    script = real_server.render(wrapped, "web", "rs1").text
    done = run(REAL, ("sh",), input_text=script)
    assert done.returncode == 0, done.stderr
    end = re.search("ip link set (.*) up", script)
    assert end is not None
    try:
        yield
    finally:
        ip([f"addr flush dev {end[1]}", f"link set {end[1]} down"], REAL)


@pytest.mark.parametrize("tunnel", ["ipip", "gre", "gue"])
@pytest.mark.parametrize("family", [4, 6])
def test_a_tunnel_that_ends_nowhere_is_seen_until_the_server_is_made_what_is_rendered_for_it(
    family: int, tunnel: str
) -> None:
    wrapped = cluster(family, "tunnel", tunnel)
    carried(wrapped, active=True)
    assert not looked(family).ok
    with made_ready(wrapped):
        assert looked(family).ok


@pytest.mark.parametrize("tunnel", ["ipip", "gre", "gue"])
@pytest.mark.parametrize(("family", "carrier"), [(4, 6), (6, 4)])
def test_what_is_rendered_for_a_server_of_the_other_family_takes_what_the_router_sends(
    family: int, carrier: int, tunnel: str
) -> None:
    wrapped = cluster(family, "tunnel", tunnel, carrier)
    carried(wrapped, active=False, up=True)
    with made_ready(wrapped):
        check = HttpCheck(type="http", body="rs1", **TIMES)
        assert call(ROUTER, lambda: asyncio.run(probe(PLACES[family][0], 80, check))).ok


def test_a_router_that_has_neither_the_vip_nor_a_route_to_it_finds_nothing_out() -> None:
    carried(cluster(4), active=False)
    ip(["route del default"], ROUTER)
    led = Through(path_mark(cluster(4).virtuals["web"], cluster(4).virtuals["web"].servers["rs1"]).mark, "192.168.1.1")
    try:
        found = call(ROUTER, lambda: asyncio.run(probe("1.2.3.1", 80, TcpCheck(type="tcp"), led)))
    finally:
        ip(["route add default via 192.168.1.250"], ROUTER)
    assert found == Observation(False, "network is unreachable", conclusive=False)


def test_ipvsadm_takes_back_what_it_says_of_these_services() -> None:
    carried(cluster(4), active=False)
    saved = run(ROUTER, ("ipvsadm", "-Sn")).stdout
    assert "-a -f 1084752129 -r 192.168.1.1:0 -g -w 1\n" in saved
    assert run(ROUTER, ("ipvsadm", "-C")).returncode == 0
    assert run(ROUTER, ("ipvsadm", "-R"), input_text=saved).stderr == ""
    assert sorted(run(ROUTER, ("ipvsadm", "-Sn")).stdout.splitlines()) == sorted(saved.splitlines())
