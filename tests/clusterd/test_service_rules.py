"""What IPVS would refuse, or accept and never do, is told with its place."""

from typing import Any

import pytest

from clusterd import document
from clusterd.desired import desired, scope, service_key
from clusterd.errors import ConfigError
from clusterd.plane import Destination, MarkKey, Service, Timeout, Tunnel

PLACE = {"address": "1.2.3.1/24", "interface": "eth0"}
WEB = PLACE | {"port": 80}
MARKED = {"mark": 5, "check": {"type": "tcp", "port": 80}}
SERVER = {"address": "10.0.0.1"}
TUNNELS = {"cluster": {"forwarding": "tunnel"}}


def told(virtuals: dict[str, Any], **more: Any) -> list[str]:
    try:
        document.from_data({"virtuals": virtuals} | more)
    except ConfigError as error:
        return [f"{problem.path.removeprefix('virtuals/')}: {problem.message}" for problem in error.problems]
    return []


@pytest.mark.parametrize(
    "virtual",
    [
        WEB,
        MARKED,
        MARKED | PLACE,
        MARKED | {"family": "ipv6"},
        MARKED | {"check": {"type": "icmp"}, "servers": {"a": SERVER}},
        MARKED | {"check": {"type": "icmp"}, "servers": {"a": SERVER}, "load": {"source": "http", "port": 80}},
        PLACE | {"mark": 5, "ports": [80, "443-450"]},
        PLACE | {"port": 0, "persistence": {}, "check": {"type": "tcp", "port": 80}},
        WEB | {"scheduler": "mh", "flags": ["mh-port", "mh-fallback"]},
        WEB | {"protocol": "udp", "one_packet": True, "persistence": {"engine": "sip"}},
        WEB | {"protocol": "sctp", "scheduler": "twos"},
        WEB | {"servers": {"a": SERVER | {"upper_threshold": 5, "lower_threshold": 5}}},
        WEB | {"forwarding": "tunnel", "tunnel": {"type": "gue", "port": 6080, "checksum": "remcsum"}},
        WEB | {"servers": {"a": SERVER | {"forwarding": "tunnel", "tunnel": {"type": "gre", "checksum": "csum"}}}},
        MARKED | {"servers": {"a": SERVER | {"port": 80}, "b": SERVER | {"port": 81}}},
    ],
)
def test_what_ipvs_does_is_no_problem(virtual: dict[str, Any]) -> None:
    assert told({"web": virtual}) == []


@pytest.mark.parametrize(
    ("virtual", "message"),
    [
        ({"interface": "eth0", "port": 80}, "web/address: is missing"),
        ({"address": "1.2.3.1", "port": 80}, "web/interface: is missing"),
        (PLACE, "web/port: is missing"),
        (PLACE | {"ports": [80]}, "web/mark: is missing: several ports are one service by a firewall mark"),
        ({"mark": 5, "ports": [80]}, "web/address: is missing: the ports are an address's"),
        (MARKED | {"interface": "eth0"}, "web/interface: there is no address that it could carry"),
        (MARKED | {"address": "1.2.3.1"}, "web/interface: is missing"),
        (MARKED | PLACE | {"family": "ipv4"}, "web/family: is that of the address: leave it out"),
        (WEB | {"family": "ipv4"}, "web/family: is that of the address: leave it out"),
        (WEB | {"mark": 5}, "web/port: a mark stands instead of the port: leave one of them out, or write ports"),
        (PLACE | {"port": 0}, "web/port: every port needs persistence"),
        (PLACE | {"port": 0, "persistence": {}, "servers": {"a": SERVER}}, "web/check/port: is missing"),
        ({"mark": 5, "servers": {"a": SERVER}}, "web/check/port: is missing: nothing else says at which port a is"),
        (
            {"mark": 5, "check": {"type": "icmp"}, "servers": {"a": SERVER}, "load": {"source": "http"}},
            "web/check/port: is missing: nothing else says at which port a is",
        ),
        (PLACE | {"mark": 5, "ports": [80, "79-81"]}, "web/ports: port 79 is already one of virtuals/web/ports"),
        (
            WEB | {"scheduler": "sh", "flags": ["mh-port"]},
            "web/flags/0: mh-port is a flag of the scheduler mh, not of sh",
        ),
        (WEB | {"scheduler": "sh", "flags": ["sh-port"] * 2}, "web/flags: each flag stands here once"),
        (WEB | {"one_packet": True}, "web/one_packet: is for udp, and this virtual server's protocol is tcp"),
        (WEB | {"persistence": {"engine": "sip"}}, "web/persistence/engine: sip is for udp"),
        (
            WEB | {"servers": {"a": SERVER | {"upper_threshold": 5, "lower_threshold": 6}}},
            "web/servers/a/lower_threshold: must be at most upper_threshold (5)",
        ),
        (WEB | {"tunnel": {"type": "gre"}}, "web/tunnel: no tunnel leads to its real servers: the forwarding is nat"),
        (
            WEB | {"servers": {"a": SERVER | {"tunnel": {"type": "gre"}}}},
            "web/servers/a/tunnel: no tunnel leads there: its forwarding is nat",
        ),
        (
            MARKED | {"family": "ipv6", "servers": {"a": SERVER}},
            "web/servers/a/address: 10.0.0.1 is of another family than mark 5",
        ),
        *[
            (PLACE | {"mark": 5, "ports": [wrong]}, "web/ports/0: a port is expected (80), or a range of ports")
            for wrong in ("x", "1-", "-1", "9-8", 0, 65536, "1-65536", True, 8.5, "²")
        ],
    ],
)
def test_what_ipvs_does_not_do_is_told_with_its_place(virtual: dict[str, Any], message: str) -> None:
    (found,) = told({"web": virtual})
    assert found.startswith(message)


@pytest.mark.parametrize(
    ("tunnel", "message"),
    [
        ({"type": "gue"}, "gue needs a port, and no other tunnel has one"),
        ({"type": "gre", "port": 80}, "gue needs a port, and no other tunnel has one"),
        ({"checksum": "csum"}, "ipip has no checksum"),
        ({"type": "gre", "checksum": "remcsum"}, "remcsum is gue's alone"),
    ],
)
def test_a_tunnel_has_what_its_type_has(tunnel: dict[str, Any], message: str) -> None:
    (found,) = told({"web": WEB | {"tunnel": tunnel}}, **TUNNELS)
    assert found.startswith(f"web/tunnel: {message}")


def test_a_mark_is_of_one_virtual_server_in_each_family() -> None:
    assert told({"a": MARKED, "b": MARKED}) == ["b/mark: mark 5 is already virtuals/a"]
    assert told({"a": MARKED, "b": MARKED | {"family": "ipv6"}}) == []


def test_a_port_is_marked_or_served_and_not_both() -> None:
    ports = PLACE | {"mark": 5, "ports": ["80-90"]}
    assert told({"a": ports, "b": WEB}) == ["b/port: 80 is already one of virtuals/a/ports"]
    assert told({"a": ports, "b": WEB | {"protocol": "udp"}, "c": WEB | {"port": 91}}) == []


def test_families_mix_through_tunnels_where_no_connections_are_synchronised() -> None:
    six = MARKED | {"family": "ipv6", "servers": {"a": SERVER}}
    assert told({"web": six}, **TUNNELS) == []
    synchronised = {"cluster": {"forwarding": "tunnel", "sync": {"interface": "eth1"}}}
    (found,) = told({"web": six}, **synchronised)
    assert found.endswith("connections of such are not synchronised: leave one out")


def test_all_that_is_described_is_desired_and_in_the_scope() -> None:
    voice = WEB | {"protocol": "udp", "scheduler": "sh", "flags": ["sh-port"], "one_packet": True}
    voice |= {"persistence": {"timeout_s": 60, "prefix": 24, "engine": "sip"}}
    other = {"address": "10.0.0.2", "tunnel": {"type": "gue", "port": 1}, "upper_threshold": 9, "lower_threshold": 3}
    voice |= {"tunnel": {"type": "gre"}, "servers": {"a": SERVER, "b": other}}
    marked = PLACE | {"mark": 5, "ports": [443], "sorry_server": "10.0.0.9", "servers": {}}
    more = {"cluster": {"forwarding": "tunnel", "timeouts": {"tcp_s": 600, "udp_s": 7}}}
    cluster = document.from_data({"virtuals": {"voice": voice, "marked": marked}} | more)
    found = desired(cluster, {("voice", "a"): True, ("voice", "b"): True}).values()
    key = service_key(cluster.virtuals["voice"])
    services = [item for item in found if isinstance(item, Service)]
    assert services == [
        Service(key, "sh", 60, 24, frozenset({"sh-port"}), one_packet=True, engine="sip"),
        Service(MarkKey(5), "wlc"),
    ]
    a, b, sorry = (item for item in found if isinstance(item, Destination))
    assert (a.tunnel, a.upper, a.lower) == (Tunnel("gre"), 0, 0)
    assert (b.tunnel, b.upper, b.lower) == (Tunnel("gue", 1), 9, 3)
    assert (sorry.key.service, sorry.key.port, sorry.weight) == (MarkKey(5), 0, 1)
    assert [item for item in found if isinstance(item, Timeout)] == [Timeout("tcp", 600), Timeout("udp", 7)]
    assert scope(cluster).marks == {MarkKey(5)}
    assert all(scope(cluster).owns(service.key) for service in services)
