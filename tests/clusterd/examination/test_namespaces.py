"""A router and a real server in network namespaces: what is rendered for the server makes the doctor content."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Iterator

import pytest

from clusterd.dataplane.links import links
from clusterd.doctor import Facts, ServerFacts, asking, examined
from clusterd.document import parse
from clusterd.examination.servers import look_at_servers
from clusterd.model import Cluster
from renderers.real_server import render
from tests.lab.namespaces import call, ip, run

ROUTER, SERVER = (f"doctor-{os.getpid()}-{name}" for name in ("router", "server"))
PUBLIC = "10.9.9.2"
TEXT = f"""\
cluster: {{forwarding: WAY, nat_router: {{address: 192.168.77.254/24, interface: lan}}}}
routers: {{r1: {{public: {PUBLIC}, private: 192.168.77.252}}}}
virtuals:
  web:
    address: 1.2.3.1/24
    interface: lan
    port: 8077
    servers: {{rs1: {{address: 192.168.77.1}}}}
"""


@pytest.fixture(scope="module", autouse=True)
def _nodes() -> Iterator[None]:
    ip([f"netns add {ROUTER}", f"netns add {SERVER}"])
    try:
        ip([f"link add lan type veth peer name eth0 netns {SERVER}"], ROUTER)
        own = ["link set lo up", "addr add 192.168.77.1/24 dev eth0", "link set eth0 up"]
        ip([*own, "route add unreachable default"], SERVER)
        ip(["link set lo up", "link set lan up", f"addr add {PUBLIC}/32 dev lo"], ROUTER)
        ip(["addr add 192.168.77.252/24 dev lan", "addr add 192.168.77.254/24 dev lan"], ROUTER)
        with contextlib.closing(call(SERVER, socket.create_server, ("192.168.77.1", 8077))):
            yield
    finally:
        ip([f"netns del {ROUTER}", f"netns del {SERVER}"])


def cluster(way: str) -> Cluster:
    return parse(TEXT.replace("WAY", way))


def prepared(way: str) -> None:
    """Make the server what is rendered for it."""
    done = run(SERVER, ["sh"], input_text=render(cluster(way), "web", "rs1").text)
    assert done.returncode == 0, done.stderr


def outside() -> ServerFacts:
    """Return what the router sees."""
    nat = cluster("nat")
    found = call(ROUTER, lambda: asyncio.run(look_at_servers(nat, None, nat.routers["r1"], "r1")))
    return found["web/rs1"]


def inside() -> ServerFacts:
    """Return what the server itself says."""
    told = run(SERVER, ["sh", "-c", asking.script([PUBLIC, "10.9.9.9"])])
    return ServerFacts(seen_by="r1", ssh="", **asking.answer(told.stdout, time.time()))


def verdicts(way: str, seen: ServerFacts) -> dict[str, str]:
    found = examined(Facts(cluster(way), servers={"web/rs1": seen}))
    return {one.check: one.verdict for one in found if one.place == "web/rs1"}


def test_by_nat_the_rendered_default_route_is_seen_from_outside_and_from_inside() -> None:
    before = outside()
    assert (before.answers, bool(before.way)) == ("", True)
    assert verdicts("nat", before)["default-route"] == verdicts("nat", inside())["default-route"] == "fail"
    prepared("nat")
    assert verdicts("nat", outside())["default-route"] == "ok"
    assert inside().public == {PUBLIC: True, "10.9.9.9": False}
    assert {check: verdicts("nat", inside())[check] for check in ("default-route", "public-network")} == {
        "default-route": "ok",
        "public-network": "ok",
    }


def test_by_direct_routing_the_rendered_vip_and_quiet_arp_are_seen() -> None:
    assert verdicts("direct", inside())["vip"] == "fail"
    prepared("direct")
    prepared("direct")
    assert {check: verdicts("direct", inside())[check] for check in ("vip", "arp")} == {"vip": "ok", "arp": "ok"}
    run(SERVER, ["sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0"])
    assert verdicts("direct", inside())["arp"] == "fail"


def test_the_interfaces_of_a_namespace_are_its_own() -> None:
    found = {link.name: link for link in call(ROUTER, links)}
    assert {"lo", "lan"} <= set(found)
    assert (found["lan"].up, found["lan"].carrier) == (True, True)
    assert found["lan"].addresses[:2] == ("192.168.77.252/24", "192.168.77.254/24")
    ip(["link set eth0 down"], SERVER)
    assert not {link.name: link for link in call(ROUTER, links)}["lan"].carrier
    ip(["link set eth0 up"], SERVER)
