"""Checks through the data path: what IPVS must have for them, and where they cannot be."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd.desired import desired, floating, scope
from clusterd.document import from_data
from clusterd.errors import ConfigError
from clusterd.model import Cluster, Server
from clusterd.paths import path_mark, path_marks, paths
from clusterd.plan import plan
from clusterd.plane import Destination, MarkKey, Service, Sysctl
from clusterd.sysctls import sysctls
from renderers import ipvsadm
from tests.strategies import clusters

ACCEPTED = Sysctl("ipv4/conf/all/accept_local", "1")
TCP = {"type": "tcp", "data_path": True}
WEB: dict[str, Any] = {"address": "1.2.3.1/24", "interface": "eth0", "port": 80, "check": TCP, "forwarding": "direct"}
SERVERS = {"rs1": {"address": "192.168.1.1"}, "rs2": {"address": "192.168.1.2"}}
SIX = {"address": "2001:db8::1/64", "servers": {"rs1": {"address": "fd00::1"}}}


def cluster(**virtuals: dict[str, Any]) -> Cluster:
    return from_data({"virtuals": {name: WEB | {"servers": SERVERS} | said for name, said in virtuals.items()}})


def told(**virtuals: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        cluster(**virtuals)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


def test_each_server_has_a_service_by_a_mark_that_is_its_address_with_nobody_else_behind_it() -> None:
    assert [str(each) for each in paths(cluster(web={}))] == [
        "service mark 1084752129 rr one-packet",
        "destination mark 1084752129 -> 192.168.1.1:0 direct weight 1",
        "service mark 1084752130 rr one-packet",
        "destination mark 1084752130 -> 192.168.1.2:0 direct weight 1",
    ]
    tunnel = {"forwarding": "tunnel", "tunnel": {"type": "gue", "port": 6080}, "servers": {"a": SERVERS["rs1"]}}
    (_, led) = paths(cluster(web=tunnel))
    assert str(led) == "destination mark 1084752129 -> 192.168.1.1:0 tunnel gue port 6080 weight 1"
    assert [str(each) for each in paths(cluster(web={"forwarding": "tunnel", "servers": {"a": SERVERS["rs1"]}}))][
        1:
    ] == ["destination mark 1084752129 -> 192.168.1.1:0 tunnel weight 1"]


def test_a_way_stays_whether_its_server_is_up_or_down_and_goes_with_the_check() -> None:
    web = cluster(web={})
    for up in (True, False):
        wanted = desired(web, {("web", "rs1"): up})
        assert all(wanted[each.key] == each for each in paths(web))
    plain = cluster(web={"check": {"type": "tcp"}})
    assert not list(paths(plain))
    assert not path_marks(plain)
    assert not list(paths(cluster(web={"enabled": False})))
    off = cluster(web={"servers": SERVERS | {"rs2": {"address": "192.168.1.2", "enabled": False}}})
    assert len(list(paths(off))) == 2


def test_one_server_behind_several_virtual_servers_has_one_way() -> None:
    both = cluster(web={}, shop={"address": "1.2.3.9/24"})
    services = [item for item in desired(both, {}).values() if isinstance(item, Service)]
    assert sum(isinstance(each.key, MarkKey) for each in services) == 2


def test_its_services_are_ours_even_while_they_are_not_wanted() -> None:
    assert path_marks(cluster(web={"enabled": False})) == scope(cluster(web={"enabled": False})).marks
    assert scope(cluster(web={})).owns(MarkKey(1084752129))


@given(clusters(), clusters())
@settings(max_examples=50)
def test_what_a_plan_has_to_take_away_of_them_is_ours(before: Cluster, after: Cluster) -> None:
    ours = scope(before) | scope(after)
    for operation in plan(desired(before, {}), desired(after, {})):
        if isinstance(operation.item, Service):
            assert ours.owns(operation.item.key)


@given(st.ip_addresses(v=6), st.ip_addresses(v=4))
@settings(max_examples=50)
def test_a_mark_depends_on_the_servers_address_alone_and_is_never_0(six: Any, four: Any) -> None:
    virtual = cluster(web=SIX).virtuals["web"]
    marks = [path_mark(virtual, Server(address=address)) for address in (six, six, four)]
    assert marks[0] == marks[1]
    assert marks[0].version == 6
    assert all(0 < each.mark < 2**31 for each in marks), "ipvsadm prints them as it reads them"
    assert marks[2].mark == (int(four) % 2**31 or 1)


def test_a_router_accepts_answers_of_its_own_vip_where_such_a_check_needs_that() -> None:
    for wanted, needed in (
        (cluster(web={}), True),
        (cluster(web={"check": {"type": "tcp"}}), False),
        (cluster(web={"enabled": False}), False),
        (cluster(web=SIX), False),
    ):
        assert (ACCEPTED in sysctls(wanted, floating(wanted))) == needed


def test_a_table_for_ipvsadm_has_no_checks_and_so_no_ways_of_them() -> None:
    assert "-f" not in ipvsadm.render(cluster(web={})).text
    assert ipvsadm.render(cluster(web={})).text == ipvsadm.render(cluster(web={"check": {"type": "tcp"}})).text


@pytest.mark.parametrize(
    ("virtual", "message"),
    [
        ({"forwarding": "nat"}, "is for direct routing and tunnels, and rs1 is reached by nat"),
        ({"check": {"type": "icmp", "data_path": True}}, "a check of type icmp cannot be led through IPVS"),
        (
            {"check": {"type": "exec", "command": ["/bin/ok"], "data_path": True}},
            "a check of type exec cannot be led through IPVS",
        ),
        (
            {"forwarding": "tunnel", "servers": {"rs1": {"address": "fd00::1"}}},
            "rs1 is of another family than the VIP, from which it would have to answer",
        ),
        (
            {"address": None, "interface": None, "port": None, "mark": 5, "check": TCP | {"port": 80}},
            "there is no VIP to connect to",
        ),
    ],
)
def test_where_it_cannot_be_is_told(virtual: dict[str, Any], message: str) -> None:
    assert f"virtuals/web/check/data_path: {message}" in told(web=virtual)


def test_a_mark_that_leads_elsewhere_is_told() -> None:
    other = {"address": "1.2.3.9/24", "forwarding": "tunnel", "servers": {"a": {"address": "192.168.1.1"}}}
    assert told(web={}, shop=other) == [
        "virtuals/shop/check/data_path: the way to a would be mark 1084752129, which is that of web/rs1"
    ]
    marked = {"port": None, "mark": 1084752130, "address": "1.2.3.9/24", "check": {"type": "tcp", "port": 80}}
    assert told(web={}, shop=marked) == [
        "virtuals/web/check/data_path: the way to rs2 would be mark 1084752130, which is that of virtuals/shop"
    ]


def test_an_edit_moves_no_other_servers_mark() -> None:
    before, after = cluster(web={}), cluster(web={"servers": {"rs0": {"address": "192.168.1.77"}, **SERVERS}})
    kept = {each.key: each for each in paths(before)}
    assert kept.items() <= {each.key: each for each in paths(after)}.items()
    assert {each.key for each in paths(after)} - kept.keys() == {
        item.key for item in paths(after) if isinstance(item, Destination) and str(item.key.address).endswith("77")
    } | {MarkKey(1084752205)}
