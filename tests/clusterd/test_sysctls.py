"""The kernel settings that a router should have."""

from ipaddress import IPv6Interface
from typing import Any

import pytest

from clusterd.desired import desired, floating, scope
from clusterd.document import from_data
from clusterd.errors import ConfigError
from clusterd.model import Cluster
from clusterd.plane import Address, Sysctl
from clusterd.sysctls import SYSCTLS, path, sysctls

GATEWAY = {"address": "192.168.1.254/24", "interface": "eth1"}


def cluster(settings: dict[str, Any], forwarding: str = "nat") -> Cluster:
    servers = {"rs1": {"address": "192.168.1.1", "forwarding": forwarding}}
    web = {"address": "1.2.3.1/24", "interface": "eth0", "port": 80, "servers": servers}
    return from_data({"cluster": settings, "virtuals": {"web": web}})


def wanted(settings: dict[str, Any], forwarding: str = "nat") -> dict[str, str]:
    whole = cluster(settings, forwarding)
    return {each.name: each.value for each in sysctls(whole, floating(whole))}


def test_every_router_forwards_and_lets_connections_to_what_is_gone_end() -> None:
    assert sysctls(Cluster(), ()) == SYSCTLS
    assert Sysctl("ipv4/ip_forward", "1") in SYSCTLS


def test_interfaces_of_floating_addresses_send_no_redirects_and_speak_for_no_others_addresses() -> None:
    found = wanted({"nat_router": GATEWAY})
    for interface in ("eth0", "eth1"):
        names = ("send_redirects", "arp_ignore", "arp_announce")
        assert [found[f"ipv4/conf/{interface}/{name}"] for name in names] == ["0", "1", "2"]


def test_ipv6_is_forwarded_only_where_it_is_used() -> None:
    assert "ipv6/conf/all/forwarding" not in wanted({})
    six = [Address("eth0", IPv6Interface("2001:db8::1/64"))]
    assert Sysctl("ipv6/conf/all/forwarding", "1") in sysctls(Cluster(), six)


def test_synchronised_routers_speak_of_connections_alike() -> None:
    assert "ipv4/vs/sync_version" not in wanted({})
    found = wanted({"sync": {"interface": "eth1"}})
    assert (found["ipv4/vs/sync_version"], found["ipv4/vs/sync_threshold"]) == ("1", "3 50")


@pytest.mark.parametrize(
    ("source", "interface", "forwarding", "tracked"),
    [
        ("192.168.1.0/24", "eth0", "nat", False),
        ("10.0.0.0/8", "eth1", "nat", True),
        ("0.0.0.0/0", "eth0", "nat", True),
        ("0.0.0.0/0", "eth0", "direct", False),
    ],
)
def test_ipvs_tracks_connections_where_clients_are_hidden_from_real_servers_by_nat(
    source: str, interface: str, forwarding: str, tracked: bool
) -> None:
    rule = {"source": source, "interface": interface}
    found = wanted({"nat_router": GATEWAY, "masquerade": [rule]}, forwarding)
    assert found.get("ipv4/vs/conntrack") == ("1" if tracked else None)


def test_the_document_adds_settings_and_overrides_ours() -> None:
    own = {"net.ipv4.vs.sloppy_tcp": 1, "net.ipv4.vs.conn_reuse_mode": 0, "net.netfilter.nf_conntrack_max": 1000000}
    found = wanted({"sysctls": own})
    assert found["ipv4/vs/sloppy_tcp"] == "1"
    assert found["ipv4/vs/conn_reuse_mode"] == "0"
    assert found["netfilter/nf_conntrack_max"] == "1000000"


@pytest.mark.parametrize("name", ["net.ipv4.vs.conntrac", "net.ipv4.ip_forward", "kernel.panic", "net.ipv4.vs/../tcp"])
def test_other_settings_are_the_administrators(name: str) -> None:
    with pytest.raises(ConfigError):
        cluster({"sysctls": {name: 1}})


def test_what_is_wanted_is_in_the_scope_so_that_drift_is_seen() -> None:
    whole = cluster({"nat_router": GATEWAY, "sysctls": {"net.ipv4.vs.sloppy_tcp": 1}})
    names = {item.name for item in desired(whole, {}).values() if isinstance(item, Sysctl)}
    assert scope(whole).sysctls == names


def test_a_settings_place_is_its_name() -> None:
    assert path("net.ipv4.vs.conntrack") == "ipv4/vs/conntrack"
