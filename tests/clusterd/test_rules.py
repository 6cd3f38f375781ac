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
@settings(max_examples=50, deadline=None)
def test_the_random_clusters_of_the_tests_obey_all_rules(given: Cluster) -> None:
    assert not list(broken_rules(given))


def test_a_lease_outlasts_one_late_refresh() -> None:
    assert broken(cluster={"heartbeat": {"keepalive_s": 1.5, "deadtime_s": 3}}) == []
    assert broken(cluster={"heartbeat": {"keepalive_s": 1.6, "deadtime_s": 3}}) == [
        "cluster/heartbeat/deadtime_s: must be at least twice keepalive_s (1.6), else one late refresh loses the lock"
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
