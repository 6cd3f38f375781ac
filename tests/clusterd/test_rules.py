from ipaddress import ip_interface
from typing import Any

import pytest
from hypothesis import given, settings

from clusterd.model import Cluster
from clusterd.rules import broken_rules
from tests.strategies import clusters

WEB = {"address": "1.2.3.1/24", "interface": "eth0", "port": 80}
GATEWAY = {"address": "10.0.0.254/24", "interface": "eth1"}


def broken(virtuals: dict[str, Any] | None = None, **more: Any) -> list[str]:
    """Return which rules a cluster breaks, without looking at single values again."""
    named = {name: WEB | virtual for name, virtual in (virtuals or {}).items()}
    return [f"{path}: {message}" for path, message in broken_rules(Cluster.model_validate({"virtuals": named, **more}))]


@given(clusters())
@settings(max_examples=50)
def test_the_random_clusters_of_the_tests_obey_all_rules(given: Cluster) -> None:
    assert not list(broken_rules(given))


def test_a_lease_outlasts_one_late_refresh() -> None:
    assert broken(cluster={"heartbeat": {"keepalive_s": 1.5, "deadtime_s": 3}}) == []
    assert broken(cluster={"heartbeat": {"keepalive_s": 1.6, "deadtime_s": 3}}) == [
        "cluster/heartbeat/deadtime_s: must be at least twice keepalive_s (1.6), else one late refresh loses the lock"
    ]


def test_one_lost_answer_does_not_isolate_a_router() -> None:
    assert broken(cluster={"reachability": {"interval_s": 1.5, "timeout_s": 3}}) == []
    assert broken(cluster={"reachability": {"interval_s": 1.6, "timeout_s": 3}}) == [
        "cluster/reachability/timeout_s: must be at least twice interval_s (1.6), else one lost answer isolates"
    ]


@pytest.mark.parametrize(
    ("routers", "problem"),
    [
        (
            {"a": {"public": "1.2.3.2"}, "b": {"public": "1.2.3.2"}},
            "routers/b/public: 1.2.3.2 is already routers/a/public",
        ),
        ({"a": {"public": "1.2.3.2", "private": "1.2.3.2"}}, "routers/a/private: 1.2.3.2 is already routers/a/public"),
        (
            {"a": {"public": "1.2.3.2", "private": "10.0.0.1"}, "b": {"public": "10.0.0.1"}},
            "routers/b/public: 10.0.0.1 is already routers/a/private",
        ),
    ],
)
def test_every_router_has_addresses_of_its_own(routers: dict[str, Any], problem: str) -> None:
    assert broken(routers=routers) == [problem]


def test_a_floating_address_is_no_routers_own() -> None:
    routers = {"a": {"public": "1.2.3.1", "private": "10.0.0.254"}}
    assert broken({"web": {}}, routers=routers, cluster={"nat_router": GATEWAY}) == [
        "cluster/nat_router/address: 10.0.0.254 belongs to routers/a/private; a floating address must be free to move",
        "virtuals/web/address: 1.2.3.1 belongs to routers/a/public; a floating address must be free to move",
    ]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("0.0.0.0/32", "0.0.0.0/8 means this network"),
        ("0.1.2.3/24", "0.0.0.0/8 means this network"),
        ("127.0.0.1/32", "it is a loopback address"),
        ("224.0.0.18/32", "it is a multicast address"),
        ("239.255.255.255/24", "it is a multicast address"),
        ("255.255.255.255/32", "it is the broadcast address of every network"),
        ("1.2.3.1/0", "a prefix of /0 is every network"),
        ("1.2.3.0/24", "it is the address of the network 1.2.3.0/24 itself"),
        ("1.2.3.4/30", "it is the address of the network 1.2.3.4/30 itself"),
        ("1.2.3.255/24", "it is the broadcast address of 1.2.3.0/24"),
        ("1.2.3.7/30", "it is the broadcast address of 1.2.3.4/30"),
    ],
)
def test_a_floating_address_is_one_that_a_host_can_have(address: str, reason: str) -> None:
    what_to_do = "write an address that a host can have, and its network's prefix or /32"
    said = f"{address} cannot be a floating address: {reason}; {what_to_do}"
    assert broken({"web": {"address": address}}) == [f"virtuals/web/address: {said}"]
    gateway = {"nat_router": GATEWAY | {"address": address}}
    assert broken(cluster=gateway) == [f"cluster/nat_router/address: {said}"]


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("::/128", ":: means no address"),
        ("::1/128", "it is a loopback address"),
        ("ff02::1/128", "it is a multicast address"),
        ("::ffff:1.2.3.4/128", "it means an IPv4 address, which is written 1.2.3.4"),
        ("2001:db8::1/0", "a prefix of /0 is every network"),
        ("2001:db8::/64", "it is what every router of 2001:db8::/64 answers to"),
        ("fe80::1/64", "it is link-local, so it means another host on every link"),
    ],
)
def test_a_floating_address_of_ipv6_is_one_that_a_host_can_have(address: str, reason: str) -> None:
    (told,) = broken({"web": {"address": address}})
    shown = str(ip_interface(address))
    to_do = "write an address that a host can have, and its network's prefix or /128"
    assert told == f"virtuals/web/address: {shown} cannot be a floating address: {reason}; {to_do}"


@pytest.mark.parametrize(
    "address", ["2001:db8::/127", "2001:db8::/128", "2001:db8::ffff:ffff:ffff:ffff/64", "fd00::1/8"]
)
def test_a_host_can_have_every_other_address_of_ipv6(address: str) -> None:
    assert broken({"web": {"address": address}}) == []


def test_a_gateway_may_be_link_local_and_no_other_host() -> None:
    link = "it is link-local, so it means another host on every link"
    assert broken(cluster={"nat_router6": GATEWAY | {"address": "fe80::fe/64"}}) == []
    web = {"address": "2001:db8::1", "sorry_server": "fe80::9", "servers": {"rs1": {"address": "fe80::1"}}}
    asked = {"reachability": {"hosts": ["1.2.3.4", "fe80::2"]}}
    routers = {"a": {"public": "1.2.3.2", "private6": "fe80::3"}}
    assert broken({"web": web}, cluster=asked, routers=routers) == [
        f"{path}: {host} cannot be a host's address here: {link}"
        for path, host in (
            ("routers/a/private6", "fe80::3"),
            ("cluster/reachability/hosts/1", "fe80::2"),
            ("virtuals/web/servers/rs1/address", "fe80::1"),
            ("virtuals/web/sorry_server", "fe80::9"),
        )
    ]


def test_only_a_tunnel_leads_to_the_other_family_and_not_where_connections_are_synchronised() -> None:
    web = {"sorry_server": "10.0.0.9", "servers": {"rs1": {"address": "2001:db8::1"}}}
    said = "2001:db8::1 is of another family than the VIP 1.2.3.1"
    assert broken({"web": web | {"forwarding": "direct"}}) == [
        f"virtuals/web/servers/rs1/address: {said}, which direct forwarding cannot bridge: only tunnel can"
    ]
    assert broken({"web": web | {"forwarding": "tunnel"}}) == []
    assert broken({"web": web | {"forwarding": "tunnel"}}, cluster={"sync": {"interface": "eth1"}}) == [
        f"virtuals/web/servers/rs1/address: {said}, and connections of such are not synchronised: leave one out"
    ]


def test_no_more_bits_of_a_client_count_than_its_address_has() -> None:
    kept = {"persistence": {"prefix": 33}}
    assert broken({"web": kept}) == [
        "virtuals/web/persistence/prefix: must be at most 32, as many bits as a client's address has, not 33"
    ]
    assert broken({"web": kept | {"address": "2001:db8::1"}, "all": {"persistence": {}, "port": 81}}) == []


@pytest.mark.parametrize(
    "address",
    [
        "1.2.3.0/31",
        "1.2.3.1/31",
        "1.2.3.0/32",
        "1.2.3.255/32",
        "1.2.3.0/23",
        "1.2.3.4/1",
        "255.255.255.254/32",
        "240.0.0.1/32",
    ],
)
def test_a_host_can_have_every_other_address(address: str) -> None:
    assert broken({"web": {"address": address}}, cluster={"nat_router": GATEWAY | {"address": address}}) == [
        "virtuals/web/address: " + f"{address} on eth0, but cluster/nat_router has it as {address} on eth1; "
        "one address has one place"
    ]


def test_two_virtual_servers_are_not_one_service() -> None:
    assert broken({"a": {}, "b": {}, "c": {}}) == [
        "virtuals/b/address: tcp 1.2.3.1:80 is already virtuals/a",
        "virtuals/c/address: tcp 1.2.3.1:80 is already virtuals/a",
    ]


def test_one_address_may_carry_several_services() -> None:
    assert broken({"a": {}, "b": {"port": 81}, "c": {"protocol": "udp"}}) == []


@pytest.mark.parametrize("other", [{"address": "1.2.3.1/32"}, {"interface": "eth9"}])
def test_one_address_has_one_prefix_and_one_interface(other: dict[str, str]) -> None:
    found = broken({"a": {}, "b": {"port": 81, **other}})
    assert len(found) == 1
    assert found[0].startswith("virtuals/b/address: 1.2.3.1/")
    assert found[0].endswith("but virtuals/a has it as 1.2.3.1/24 on eth0; one address has one place")


def test_a_virtual_server_on_the_gateways_address_has_the_gateways_place() -> None:
    gateway = {"nat_router": GATEWAY}
    assert broken({"a": {"address": "10.0.0.254/24", "interface": "eth1"}}, cluster=gateway) == []
    assert broken({"a": {"address": "10.0.0.254/24"}}, cluster=gateway) == [
        "virtuals/a/address: 10.0.0.254/24 on eth0, but cluster/nat_router has it as 10.0.0.254/24 on eth1; "
        "one address has one place"
    ]


def test_a_real_server_stands_once_behind_a_virtual_server() -> None:
    servers = {"x": {"address": "10.0.0.1"}, "y": {"address": "10.0.0.1", "port": 80}}
    assert broken({"a": {"servers": servers}}) == [
        "virtuals/a/servers/y/address: 10.0.0.1:80 is already server x of this virtual server"
    ]


def test_a_host_may_serve_on_two_ports_and_behind_two_virtual_servers() -> None:
    servers = {"x": {"address": "10.0.0.1"}, "y": {"address": "10.0.0.1", "port": 81}}
    assert broken({"a": {"servers": servers}, "b": {"port": 81, "servers": servers}}) == [
        "virtuals/b/servers/y/address: 10.0.0.1:81 is already server x of this virtual server"
    ]
    assert broken({"a": {"servers": servers}, "b": {"port": 82, "servers": servers}}) == []


def test_a_virtual_server_is_not_its_own_real_server() -> None:
    assert broken({"a": {"servers": {"x": {"address": "1.2.3.1"}}}}) == [
        "virtuals/a/servers/x/address: 1.2.3.1 is the virtual server's own address"
    ]


@pytest.mark.parametrize("way", ["direct", "tunnel"])
def test_only_nat_changes_the_port(way: str) -> None:
    def found(port: int) -> list[str]:
        server = {"address": "10.0.0.1", "port": port}
        return broken({"a": {"servers": {"x": server}}}, cluster={"forwarding": way})

    assert found(80) == []
    assert found(81) == [
        f"virtuals/a/servers/x/port: {way} forwarding cannot change the port: leave it out, or use nat"
    ]


def test_nat_changes_the_port_also_where_the_cluster_forwards_otherwise() -> None:
    server = {"address": "10.0.0.1", "port": 81, "forwarding": "nat"}
    assert broken({"a": {"servers": {"x": server}}}, cluster={"forwarding": "direct"}) == []


def test_groups_and_routers_that_are_named_are_there() -> None:
    settings = {"groups": {"default": {}, "shop": {"priorities": {"a": 1, "nobody": 2}}}}
    routers = {"a": {"public": "1.2.3.2"}}
    assert broken(
        {"web": {"group": "shop"}, "ftp": {"port": 21, "group": "shap"}}, routers=routers, cluster=settings
    ) == [
        "cluster/groups/default: is always there: its gateway is cluster/nat_router, "
        "its priorities are the routers' own",
        "cluster/groups/shop/priorities/nobody: there is no router nobody",
        "virtuals/ftp/group: there is no group shap; there are: default, shop",
        "virtuals/ftp/group: 1.2.3.1 is in group shop by virtuals/web; one address is in one group",
    ]


def test_a_floating_address_is_in_one_group() -> None:
    settings = {"nat_router": GATEWAY, "groups": {"shop": {"nat_router": GATEWAY}}}
    assert broken({"a": {}, "b": {"port": 81, "group": "shop"}}, cluster=settings) == [
        "cluster/groups/shop/nat_router/address: 10.0.0.254 is in group default by cluster/nat_router; "
        "one address is in one group",
        "virtuals/b/group: 1.2.3.1 is in group default by virtuals/a; one address is in one group",
    ]


def test_fast_failover_is_faster_than_the_lease() -> None:
    settings = {"heartbeat": {"deadtime_s": 3, "fast": {"interval_ms": 1000, "misses": 3}}}
    assert broken(cluster=settings) == ["cluster/heartbeat/fast: 3 times 1000 ms is not faster than deadtime_s (3)"]


def test_a_network_leaves_under_an_address_that_moves_with_its_gateway() -> None:
    rule = {"source": "10.0.0.0/24", "interface": "eth0", "address": "1.2.3.1"}
    settings = {"nat_router": GATEWAY, "groups": {"shop": {}}, "masquerade": [rule]}
    assert broken({"web": {}}, cluster=settings) == []
    assert broken({"web": {"group": "shop"}}, cluster=settings) == [
        "cluster/masquerade/0/address: 1.2.3.1 moves with group shop, but the gateway of 10.0.0.0/24 with default"
    ]
    elsewhere = settings | {"masquerade": [rule | {"source": "10.9.0.0/24"}, {**rule, "address": "5.6.7.8"}]}
    assert broken({"web": {"group": "shop"}}, cluster=elsewhere) == []


def test_a_network_leaves_under_no_single_routers_address() -> None:
    rules = [{"source": "10.0.0.0/24", "interface": "eth0", "address": "1.2.3.2"}]
    assert broken(routers={"a": {"public": "1.2.3.2"}}, cluster={"masquerade": rules}) == [
        "cluster/masquerade/0/address: 1.2.3.2 is routers/a/public, which others have not: name a VIP, or leave it out"
    ]


def test_a_quorum_can_be_lost() -> None:
    assert broken({"web": {"quorum": 3, "hysteresis": 2}, "ftp": {"port": 21, "hysteresis": 1}}) == [
        "virtuals/ftp/hysteresis: must be less than the quorum (1), else the quorum is never lost"
    ]


def test_no_router_is_called_like_an_external_party() -> None:
    assert broken(routers={"external-1": {"public": "1.2.3.2"}}) == [
        "routers/external-1: names that begin with external- are for external parties' verdicts"
    ]


def test_a_network_and_the_address_that_it_is_hidden_behind_are_of_one_family() -> None:
    rules = [
        {"source": "10.0.0.0/24", "interface": "eth0", "address": "2001:db8::1"},
        {"source": "fd00::/64", "interface": "eth0", "address": "2001:db8::1"},
    ]
    assert broken(cluster={"masquerade": rules}) == [
        "cluster/masquerade/0/address: 2001:db8::1 is of another family than 10.0.0.0/24"
    ]
