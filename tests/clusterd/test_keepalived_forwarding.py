"""How keepalived.conf schedules and forwards: marks, every port, flags, tunnels, thresholds, timeouts."""

import pytest

from clusterd.model import Tunnel
from tests.clusterd.keepalived_files import group, read, virtual, warned, web, wrong


@pytest.mark.parametrize(
    ("said", "tunnel"),
    [
        ("type gue port 6080", Tunnel(type="gue", port=6080)),
        ("type gue port 6080 remcsum", Tunnel(type="gue", port=6080, checksum="remcsum")),
        ("type gre csum", Tunnel(type="gre", checksum="csum")),
        ("type gre nocsum", Tunnel(type="gre")),
        ("type ipip", None),
    ],
)
def test_a_tunnel_has_its_type_and_what_belongs_to_it(said: str, tunnel: Tunnel | None) -> None:
    assert web(f"lvs_method TUN {said}").tunnel == tunnel
    server = web("lvs_method DR", f"real_server 10.0.0.1 80 {{ lvs_method TUN {said} }}").servers["10.0.0.1"]
    assert (server.forwarding, server.tunnel) == ("tunnel", tunnel)


@pytest.mark.parametrize("said", ["type", "port many", "sum"])
def test_a_tunnel_of_which_nonsense_is_said_is_a_problem(said: str) -> None:
    assert len(wrong(*virtual(f"lvs_method TUN {said}"))) == 1


def test_thresholds_are_carried_over() -> None:
    server = web("real_server 10.0.0.1 80 { ", "uthreshold 100", "lthreshold 50", "}").servers["10.0.0.1"]
    assert (server.upper_threshold, server.lower_threshold) == (100, 50)


def test_flags_are_those_of_the_scheduler() -> None:
    assert web("lvs_sched mh", "flag-1", "mh-port").flags == ("mh-fallback", "mh-port")
    assert web("lvs_sched sh", "sh-port", "flag-2").flags == ("sh-port",)
    assert warned(*virtual("lvs_sched rr", "sh-port")) == [
        "line 3: virtual_server 1.2.3.1 80/sh-port: not carried over: rr has no sh-port"
    ]


def test_one_packet_scheduling_and_the_persistence_engine_are_for_udp() -> None:
    voice = web("protocol UDP", "ops", "persistence_timeout 60", "persistence_engine sip")
    assert voice.one_packet
    assert voice.persistence is not None
    assert voice.persistence.engine == "sip"
    told = warned(*virtual("ops", "persistence_timeout 60", "persistence_engine sip"))
    assert [each.rpartition(": ")[2] for each in told] == ["it is for udp", "it is for udp with persistence_timeout"]


def test_timeouts_of_ipvs_are_carried_over() -> None:
    said = read("global_defs {", "lvs_timeouts tcp 600 udp 7", "}").cluster.settings.timeouts
    assert (said.tcp_s, said.tcpfin_s, said.udp_s) == (600, None, 7)
    for nonsense in ("", "tcp", "tcp x", "sctp 5"):
        assert len(wrong("global_defs {", f"lvs_timeouts {nonsense}", "}")) == 1


def test_a_virtual_server_may_take_every_port_of_its_address() -> None:
    kept = ("persistence_timeout 60", "real_server 10.0.0.1 80 { lvs_method DR }")
    (found,) = read(*virtual(*kept, head="1.2.3.4")).cluster.virtuals.values()
    assert (found.port, found.check.port, found.servers["10.0.0.1"].port) == (0, 80, None)


def test_a_virtual_server_may_have_a_firewall_mark() -> None:
    lines = virtual(
        "ip_family inet6", "lvs_method TUN", "real_server 10.0.0.1 { TCP_CHECK { connect_port 81 } }", head="fwmark 5"
    )
    (found,) = read(*lines).cluster.virtuals.values()
    assert (found.mark, found.family, found.address, found.check.port) == (5, "ipv6", None, 81)
    (marked,) = read(*virtual("real_server 10.0.0.1 8080 { }", head="fwmark 5")).cluster.virtuals.values()
    assert (marked.servers["10.0.0.1"].port, marked.family) == (8080, None)
    assert (
        "no port says what is checked: 80 stands in"
        in warned(*virtual("real_server 10.0.0.1 { }", head="fwmark 5"))[-1]
    )
    assert list(read(*group("fwmark 7", "1.2.3.4 80")).cluster.virtuals) == ["G-mark-7", "G-1.2.3.4-80"]
    for nonsense in ("fwmark", "fwmark 0", "fwmark x"):
        assert len(wrong(*virtual(head=nonsense))) == 1


def test_a_real_server_that_says_no_type_of_its_tunnel_has_ipip() -> None:
    server = web("lvs_method TUN type gre", "real_server 10.0.0.1 80 { lvs_method TUN }").servers["10.0.0.1"]
    assert server.tunnel == Tunnel(type="ipip")
