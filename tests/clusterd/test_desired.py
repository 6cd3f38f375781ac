"""What a cluster wants on a router, given the verdicts on its real servers and the router's role."""

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.desired import ServerId, desired, destination_key, floating, scope, service_key, sync_daemons
from clusterd.document import from_data
from clusterd.groups import groups
from clusterd.model import Cluster
from clusterd.netfilter import Netfilter, Untracked
from clusterd.paths import path_marks
from clusterd.plan import plan
from clusterd.plane import (
    Address,
    AddressKey,
    Destination,
    DestinationKey,
    Item,
    Service,
    ServiceKey,
    Verb,
)
from clusterd.sysctls import SYSCTLS
from tests.strategies import clusters

VIRTUAL: dict[str, Any] = {
    "address": "1.2.3.1/24",
    "interface": "eth0",
    "port": 80,
    "servers": {"rs1": {"address": "192.168.1.1", "weight": 2}, "rs2": {"address": "192.168.1.2"}},
}
UP = {("web", "rs1"): True, ("web", "rs2"): True}
DOWN = dict.fromkeys(UP, False)


def cluster(settings: Mapping[str, Any] | None = None, **virtual: Any) -> Cluster:
    return from_data({"cluster": dict(settings or {}), "virtuals": {"web": VIRTUAL | virtual}})


def of(kind: type[Item], wanted: Cluster, up: Mapping[ServerId, bool], active: bool = False) -> list[str]:
    return sorted(
        str(item) for item in desired(wanted, up, groups(wanted) if active else ()).values() if isinstance(item, kind)
    )


def pool(wanted: Cluster, up: Mapping[ServerId, bool]) -> dict[str, int]:
    items = desired(wanted, up).values()
    return {str(item.key.address): item.weight for item in items if isinstance(item, Destination)}


def test_servers_that_are_up_are_in_the_pool_with_their_weights() -> None:
    assert pool(cluster(), UP) == {"192.168.1.1": 2, "192.168.1.2": 1}


def test_every_router_takes_connections_in_and_the_one_that_carries_traffic_tells_of_its_own() -> None:
    wanted = cluster({"sync": {"interface": "eth1", "id": 7}})
    assert [str(item) for item in sync_daemons(wanted, sending=False).values()] == [
        "sync daemon backup id 7 on eth1 224.0.0.81:8848"
    ]
    assert [str(item) for item in sync_daemons(wanted, sending=True).values()] == [
        "sync daemon backup id 7 on eth1 224.0.0.81:8848",
        "sync daemon master id 7 on eth1 224.0.0.81:8848",
    ]
    assert scope(wanted).sync
    assert sync_daemons(cluster(), sending=True) == {}
    assert not scope(cluster()).sync


@pytest.mark.parametrize(
    ("sync", "maxlen"),
    [({}, 1472), ({"group": "ff02::81"}, 1452), ({"maxlen": 8000}, 8000)],
)
def test_a_message_of_the_synchronisation_fits_an_ethernet_frame_unless_another_size_is_given(
    sync: dict[str, Any], maxlen: int
) -> None:
    wanted = cluster({"sync": {"interface": "eth1", **sync}})
    assert [getattr(item, "maxlen", 0) for item in sync_daemons(wanted, sending=False).values()] == [maxlen]
    assert str(*sync_daemons(wanted, sending=False).values()).endswith(":8848")


def test_a_server_that_is_down_leaves_the_pool() -> None:
    assert pool(cluster(), UP | {("web", "rs1"): False}) == {"192.168.1.2": 1}


def test_with_quiesce_a_server_that_is_down_stays_at_weight_0() -> None:
    assert pool(cluster(quiesce=True), UP | {("web", "rs1"): False}) == {"192.168.1.1": 0, "192.168.1.2": 1}


def test_a_server_without_a_verdict_is_not_in_the_pool_yet() -> None:
    assert pool(cluster(), {("web", "rs2"): True}) == {"192.168.1.2": 1}
    assert pool(cluster(quiesce=True), {("web", "rs2"): True}) == {"192.168.1.2": 1}


def test_a_disabled_server_leaves_whatever_its_verdict() -> None:
    without = cluster(quiesce=True, servers={"rs1": {**VIRTUAL["servers"]["rs1"], "enabled": False}})
    assert pool(without, UP) == pool(without, DOWN) == {}


def test_the_sorry_server_steps_in_only_when_all_are_known_to_be_down() -> None:
    sorry = cluster(sorry_server="192.168.1.99")
    assert pool(sorry, DOWN) == {"192.168.1.99": 1}
    assert pool(sorry, UP) == {"192.168.1.1": 2, "192.168.1.2": 1}
    assert pool(sorry, DOWN | {("web", "rs1"): True}) == {"192.168.1.1": 2}
    assert pool(sorry, {("web", "rs1"): False}) == {}
    assert pool(cluster(), DOWN) == {}


def test_the_sorry_server_steps_in_when_every_server_is_disabled_and_beside_quiesced_ones() -> None:
    disabled = {"rs1": {"address": "192.168.1.1", "enabled": False}}
    assert pool(cluster(sorry_server="192.168.1.99", servers=disabled), {}) == {"192.168.1.99": 1}
    quiesced = cluster(sorry_server="192.168.1.99", quiesce=True)
    assert pool(quiesced, DOWN) == {"192.168.1.1": 0, "192.168.1.2": 0, "192.168.1.99": 1}


def test_a_drained_server_stays_at_weight_0_while_it_is_up() -> None:
    drained = {**VIRTUAL["servers"], "rs1": {**VIRTUAL["servers"]["rs1"], "drain": True}}
    assert pool(cluster(servers=drained), UP) == {"192.168.1.1": 0, "192.168.1.2": 1}
    assert pool(cluster(servers=drained), DOWN) == {}
    assert pool(cluster(servers=drained, quiesce=True), DOWN) == {"192.168.1.1": 0, "192.168.1.2": 0}
    assert pool(cluster(servers=drained), {}) == {}


def test_the_sorry_server_does_not_wait_for_a_drained_one() -> None:
    drained = {name: {**server, "drain": True} for name, server in VIRTUAL["servers"].items()}
    sorry = {"192.168.1.99": 1}
    assert pool(cluster(servers=drained, sorry_server="192.168.1.99"), UP) == {
        "192.168.1.1": 0,
        "192.168.1.2": 0,
        **sorry,
    }
    one = {**VIRTUAL["servers"], "rs1": drained["rs1"]}
    assert pool(cluster(servers=one, sorry_server="192.168.1.99"), UP | {("web", "rs2"): False}) == {
        "192.168.1.1": 0,
        **sorry,
    }
    assert pool(cluster(servers=one, sorry_server="192.168.1.99"), UP) == {"192.168.1.1": 0, "192.168.1.2": 1}
    assert pool(cluster(servers=one, sorry_server="192.168.1.99"), {}) == {}


def test_the_sorry_server_is_reached_as_the_virtual_server_or_else_the_cluster_says() -> None:
    sorry = "192.168.1.99"
    assert of(Destination, cluster({"forwarding": "direct"}, sorry_server=sorry), DOWN) == [
        "destination tcp 1.2.3.1:80 -> 192.168.1.99:80 direct weight 1"
    ]
    assert of(Destination, cluster(forwarding="tunnel", sorry_server=sorry), DOWN) == [
        "destination tcp 1.2.3.1:80 -> 192.168.1.99:80 tunnel weight 1"
    ]


def test_a_server_has_its_own_port_and_way_or_those_of_the_virtual_server() -> None:
    servers = {
        "rs1": {"address": "192.168.1.1", "port": 8080},
        "rs2": {"address": "192.168.1.2", "forwarding": "direct"},
    }
    assert of(Destination, cluster(servers=servers), UP) == [
        "destination tcp 1.2.3.1:80 -> 192.168.1.1:8080 nat weight 1",
        "destination tcp 1.2.3.1:80 -> 192.168.1.2:80 direct weight 1",
    ]


def test_a_service_has_its_scheduler_and_persistence() -> None:
    assert of(Service, cluster(scheduler="sh"), {}) == ["service tcp 1.2.3.1:80 sh"]
    kept = cluster(protocol="udp", persistence={"timeout_s": 60, "prefix": 24})
    assert of(Service, kept, {}) == ["service udp 1.2.3.1:80 wlc persistent 60 s /24"]


def test_a_disabled_virtual_server_has_no_service_and_no_address_but_stays_ours() -> None:
    disabled = cluster(enabled=False)
    assert of(Service, disabled, UP) == of(Destination, disabled, UP) == of(Address, disabled, UP, active=True) == []
    assert scope(disabled) == replace(scope(cluster()), sysctls=scope(disabled).sysctls)


def test_only_the_active_router_has_the_addresses_and_that_is_all_the_difference() -> None:
    whole = cluster({"nat_router": {"address": "192.168.1.254/24", "interface": "eth1"}})
    passive, active = desired(whole, UP), desired(whole, UP, groups(whole))
    assert [str(operation) for operation in plan(passive, active)] == [
        "add address 192.168.1.254/24 on eth1",
        "add address 1.2.3.1/24 on eth0",
    ]


def test_a_router_has_the_addresses_of_the_groups_in_which_it_is_active() -> None:
    gateway = {"address": "192.168.1.254/24", "interface": "eth1"}
    whole = cluster({"groups": {"shop": {"nat_router": gateway}, "mail": {}}}, group="shop")
    shop = ["192.168.1.254/24 on eth1", "1.2.3.1/24 on eth0"]
    assert [f"{address.address} on {address.interface}" for address in floating(whole, {"shop"})] == shop
    assert floating(whole, {"default", "mail"}) == ()
    assert floating(whole) == floating(whole, groups(whole))
    found = [item for item in desired(whole, UP, {"shop"}).values() if isinstance(item, Address)]
    assert tuple(found) == floating(whole, {"shop"})


def test_masquerading_and_what_is_not_tracked_are_one_sorted_table_or_none() -> None:
    rules = [{"source": "10.2.0.0/16", "interface": "eth0"}, {"source": "10.1.0.0/16", "interface": "eth0"}]
    assert of(Netfilter, cluster({"masquerade": rules}), {}) == [
        "nft table: masquerade 10.1.0.0/16 out eth0, masquerade 10.2.0.0/16 out eth0, "
        "1 floating addresses on eth0 untracked elsewhere"
    ]
    assert of(Netfilter, Cluster(), {}) == []


def test_every_floating_address_is_untracked_elsewhere_whatever_the_role() -> None:
    gateway = {"nat_router": {"address": "192.168.1.254/24", "interface": "eth1"}}
    for active in ((), ("default",)):
        (table,) = (each for each in desired(cluster(gateway), {}, active).values() if isinstance(each, Netfilter))
        assert table.untracked == (
            Untracked("eth0", (IPv4Address("1.2.3.1"),)),
            Untracked("eth1", (IPv4Address("192.168.1.254"),)),
        )


def test_the_scope_is_the_vips_and_the_floating_addresses_and_nothing_else() -> None:
    whole = cluster({"nat_router": {"address": "192.168.1.254/24", "interface": "eth1"}})
    assert scope(whole).vips == {IPv4Address("1.2.3.1")}
    assert scope(whole).addresses == {
        AddressKey("eth0", IPv4Address("1.2.3.1")),
        AddressKey("eth1", IPv4Address("192.168.1.254")),
    }


def test_keys_are_what_ipvs_knows_things_by() -> None:
    web = cluster().virtuals["web"]
    assert service_key(web) == ServiceKey("tcp", IPv4Address("1.2.3.1"), 80)
    assert destination_key(web, "rs1") == DestinationKey(service_key(web), IPv4Address("192.168.1.1"), 80)


def verdicts(wanted: Cluster) -> st.SearchStrategy[dict[ServerId, bool]]:
    names = [(name, label) for name, virtual in wanted.virtuals.items() for label in virtual.servers]
    return st.dictionaries(st.sampled_from(names), st.booleans()) if names else st.just({})


@given(st.data(), clusters(), st.booleans())
def test_all_that_is_desired_is_in_the_scope(data: st.DataObject, wanted: Cluster, active: bool) -> None:
    ours = scope(wanted)
    for item in desired(wanted, data.draw(verdicts(wanted)), groups(wanted) if active else ()).values():
        match item:
            case Service(key=key):
                assert ours.owns(key)
            case Destination(key=key):
                assert ours.owns(key.service)
            case Address():
                assert item.key in ours.addresses


@given(st.data(), clusters())
def test_every_destination_has_its_service_and_its_place_in_the_configuration(
    data: st.DataObject, wanted: Cluster
) -> None:
    up = data.draw(verdicts(wanted))
    whole = desired(wanted, up, groups(wanted))
    assert all(setting.key in whole for setting in SYSCTLS)
    known = {destination_key(v, label): up.get((n, label)) for n, v in wanted.virtuals.items() for label in v.servers}
    sorry = {v.sorry_server for v in wanted.virtuals.values()}
    for key, item in whole.items():
        if isinstance(item, Destination):
            assert item.key.service in whole
            led = item.key.service in path_marks(wanted)
            assert known.get(item.key) is not None or item.key.address in sorry or led
        assert key == item.key


@given(st.data(), clusters())
def test_a_verdict_changes_destinations_only(data: st.DataObject, wanted: Cluster) -> None:
    before, after = (desired(wanted, data.draw(verdicts(wanted)), groups(wanted)) for _ in range(2))
    operations = plan(before, after)
    assert all(isinstance(operation.item, Destination) for operation in operations)
    assert {operation.verb for operation in operations} <= {Verb.ADD, Verb.SET, Verb.DELETE}
