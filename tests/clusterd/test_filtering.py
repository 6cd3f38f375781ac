"""What our nft table should say for a cluster."""

from ipaddress import IPv4Address, IPv6Address, IPv6Interface
from typing import Any

from clusterd.desired import floating
from clusterd.document import from_data
from clusterd.filtering import tables
from clusterd.model import Cluster
from clusterd.netfilter import Mark, Netfilter, Opening, Protection, Untracked
from clusterd.plane import Address

VIP, OTHER = IPv4Address("1.2.3.1"), IPv4Address("1.2.3.5")


def cluster(settings: dict[str, Any], **virtuals: dict[str, Any]) -> Cluster:
    every = {name: {"address": "1.2.3.1/24", "interface": "eth0", "port": 80} | v for name, v in virtuals.items()}
    return from_data({"cluster": settings, "virtuals": every})


def table(wanted: Cluster) -> Netfilter:
    (found,) = tables(wanted, floating(wanted))
    return found


def test_a_network_may_leave_under_one_address() -> None:
    rule = {"source": "192.168.1.0/24", "interface": "eth0", "address": "1.2.3.1"}
    (found,) = table(cluster({"masquerade": [rule]})).masquerades
    assert str(found) == "masquerade 192.168.1.0/24 out eth0 as 1.2.3.1"


def test_the_narrower_network_decides_wherever_the_document_names_it() -> None:
    rules = [{"source": source, "interface": "eth0"} for source in ("10.0.0.0/8", "10.1.0.0/16")]
    found = table(cluster({"masquerade": rules})).masquerades
    assert [str(each.source) for each in found] == ["10.1.0.0/16", "10.0.0.0/8"]


def test_floating_addresses_of_both_families_are_untracked_each_in_a_rule_of_its_own() -> None:
    six = [Address("eth0", IPv6Interface(f"2001:db8::{number}/64")) for number in (2, 1)]
    (found,) = tables(Cluster(), [*six, *floating(cluster({}, web={}))])
    assert found.untracked == (
        Untracked("eth0", (VIP,)),
        Untracked("eth0", (IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2"))),
    )


def test_nothing_is_protected_unless_it_is_said() -> None:
    assert table(cluster({}, web={})).protection == Protection()


def test_protected_are_the_vips_with_the_ports_that_are_served_and_never_a_gateway() -> None:
    wanted = cluster(
        {"protect": True, "nat_router": {"address": "192.168.1.254/24", "interface": "eth1"}},
        web={},
        tls={"port": 443},
        dns={"port": 53, "protocol": "udp"},
        off={"port": 25, "enabled": False},
        mail={"address": "1.2.3.5/24", "port": 25},
        gone={"address": "1.2.3.6/24", "enabled": False},
    )
    assert table(wanted).protection == Protection(
        (VIP, OTHER),
        (
            Opening("tcp", VIP, ((80, 80), (443, 443))),
            Opening("udp", VIP, ((53, 53),)),
            Opening("tcp", OTHER, ((25, 25),)),
        ),
    )


def test_the_ports_of_a_firewall_mark_are_open_too() -> None:
    web = {"port": None, "mark": 7, "ports": ["8000-8010", 80], "check": {"type": "tcp"}}
    found = table(cluster({"protect": True}, web=web))
    assert found.marks == (Mark("tcp", VIP, ((80, 80), (8000, 8010)), 7),)
    assert not table(cluster({"protect": True}, web=web | {"enabled": False}, mail={"port": 25})).marks
    assert found.protection.openings == (Opening("tcp", VIP, ((80, 80), (8000, 8010))),)


def test_every_port_is_open_where_every_port_is_served() -> None:
    found = table(cluster({"protect": True}, web={"port": 0, "persistence": {}, "check": {"type": "tcp", "port": 80}}))
    assert found.protection.openings == (Opening("tcp", VIP, ((1, 65535),)),)


def test_an_address_whose_packets_others_mark_is_not_protected() -> None:
    theirs = {"port": None, "mark": 7, "check": {"type": "tcp", "port": 80}}
    found = table(cluster({"protect": True}, web={}, theirs=theirs, mail={"address": "1.2.3.5/24", "port": 25}))
    assert found.protection == Protection((OTHER,), (Opening("tcp", OTHER, ((25, 25),)),))
    assert found.marks == ()
