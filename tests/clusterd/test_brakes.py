"""How much one commit may take out of service."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given

from clusterd.brakes import held
from clusterd.document import from_data
from clusterd.model import Cluster
from tests.strategies import clusters

Data = dict[str, Any]
GONE: dict[str, Callable[[Data, str], object]] = {
    "removed": lambda servers, name: servers.pop(name),
    "renamed": lambda servers, name: servers.update({f"{name}-new": servers.pop(name)}),
    "disabled": lambda servers, name: servers[name].update(enabled=False),
    "drained": lambda servers, name: servers[name].update(drain=True),
    "given a weight of 0": lambda servers, name: servers[name].update(weight=0),
}


def cluster(virtuals: int, servers: int, brakes: Mapping[str, float] | None = None) -> Data:
    """Return a document with so many virtual servers v0, v1, … and so many real servers rs0, rs1, … behind each."""
    return {
        "cluster": {"brakes": dict(brakes or {})},
        "virtuals": {
            f"v{v}": {
                "address": f"1.2.3.{v + 1}/24",
                "interface": "eth0",
                "port": 80,
                "servers": {f"rs{s}": {"address": f"10.0.{v}.{s + 1}"} for s in range(servers)},
            }
            for v in range(virtuals)
        },
    }


def changed(before: Data, change: Callable[[Data], object]) -> tuple[str, ...]:
    """Return what holds a change of the virtual servers."""
    after = from_data(before).model_dump(mode="json", by_alias=True)
    change(after["virtuals"])
    return held(from_data(before), from_data(after))


@pytest.mark.parametrize("how", GONE)
@pytest.mark.parametrize(("number", "brakes"), [(2, False), (3, False), (4, True), (6, True)])
def test_more_than_half_of_the_real_servers_are_held_however_they_go(how: str, number: int, brakes: bool) -> None:
    def go(virtuals: Data) -> None:
        for name in range(number):
            GONE[how](virtuals["v0"]["servers"], f"rs{name}")

    found = changed(cluster(1, 6), go)
    sentence = f"this takes {number} of 6 real servers out of service, the brake is at 50 %; --force does it anyway"
    assert found == ((sentence,) if brakes else ())


def test_a_virtual_server_that_goes_takes_its_real_servers_along() -> None:
    def go(virtuals: Data) -> None:
        del virtuals["v0"]
        virtuals["v1"]["enabled"] = False

    assert changed(cluster(3, 2), go) == (
        "this takes 4 of 6 real servers out of service, the brake is at 50 %; --force does it anyway",
        "this takes 2 of 3 virtual servers out of service, the brake is at 50 %; --force does it anyway",
    )


def test_virtual_servers_have_a_brake_of_their_own() -> None:
    assert changed(cluster(4, 1, {"servers": 1, "virtuals": 0.25}), lambda v: [v.pop("v0"), v.pop("v1")]) == (
        "this takes 2 of 4 virtual servers out of service, the brake is at 25 %; --force does it anyway",
    )
    assert changed(cluster(4, 1, {"servers": 0.25, "virtuals": 1}), lambda v: [v.pop("v0"), v.pop("v1")]) == (
        "this takes 2 of 4 real servers out of service, the brake is at 25 %; --force does it anyway",
    )


@pytest.mark.parametrize("how", GONE)
def test_one_real_server_alone_may_always_go(how: str) -> None:
    assert changed(cluster(1, 2, {"servers": 0}), lambda v: GONE[how](v["v0"]["servers"], "rs0")) == ()


@pytest.mark.parametrize("how", GONE)
def test_the_last_real_server_is_held(how: str) -> None:
    assert changed(cluster(1, 1), lambda v: GONE[how](v["v0"]["servers"], "rs0")) == (
        "this takes 1 of 1 real servers out of service, the brake is at 50 %; --force does it anyway",
    )


@pytest.mark.parametrize("how", ["removed", "renamed", "disabled"])
def test_the_last_virtual_server_is_held_with_its_real_servers(how: str) -> None:
    assert changed(cluster(1, 2), lambda v: GONE[how](v, "v0")) == (
        "this takes 2 of 2 real servers out of service, the brake is at 50 %; --force does it anyway",
        "this takes 1 of 1 virtual servers out of service, the brake is at 50 %; --force does it anyway",
    )


def test_a_virtual_server_with_all_the_real_servers_is_held_also_where_there_is_another() -> None:
    before = cluster(2, 2)
    before["virtuals"]["v1"]["servers"] = {}
    assert changed(before, lambda v: v.pop("v0")) == (
        "this takes 2 of 2 real servers out of service, the brake is at 50 %; --force does it anyway",
    )
    assert changed(before, lambda v: v.pop("v1")) == ()


def test_the_last_virtual_server_may_go_while_no_real_server_is_in_service() -> None:
    assert changed(cluster(1, 0), lambda v: v.pop("v0")) == ()


def test_brakes_of_the_whole_let_the_last_one_go() -> None:
    assert changed(cluster(1, 1, {"servers": 1, "virtuals": 1}), lambda v: v.clear()) == ()


def test_the_last_routers_are_held() -> None:
    two = {"r1": {"public": "1.2.3.101"}, "r2": {"public": "1.2.3.102"}}
    before, one, none = (from_data({"routers": routers}) for routers in (two, {"r3": {"public": "1.2.3.103"}}, {}))
    assert held(before, none) == (
        "this removes 2 of 2 routers, and nothing is left to carry the services; --force does it anyway",
    )
    assert held(before, one) == ()
    assert held(none, none) == ()


GATEWAY = {"address": "10.0.9.254/24", "interface": "eth1"}


def without_gateway(before: Data, change: Callable[[Data], object] = lambda after: None) -> tuple[str, ...]:
    """Return what holds the removal of the gateway, together with a change of the document."""
    before["cluster"]["nat_router"] = GATEWAY
    after = from_data(before).model_dump(mode="json", by_alias=True)
    del after["cluster"]["nat_router"]
    change(after)
    return held(from_data(before), from_data(after))


def test_the_gateway_is_held_while_virtual_servers_need_it() -> None:
    before = cluster(3, 2)
    before["virtuals"]["v0"]["forwarding"] = "direct"
    assert without_gateway(before) == (
        "this removes cluster/nat_router while 2 of 3 virtual servers in service forward by nat; "
        "--force does it anyway",
    )


def test_the_gateway_may_go_where_nothing_needs_it() -> None:
    disabled = cluster(1, 1)
    disabled["virtuals"]["v0"]["enabled"] = False
    assert without_gateway(disabled) == ()
    assert without_gateway(cluster(2, 0)) == ()
    assert without_gateway(cluster(2, 2), lambda after: after["cluster"].update(forwarding="direct")) == ()
    assert without_gateway(cluster(1, 1, {"servers": 1, "virtuals": 1}), lambda after: after["virtuals"].clear()) == ()


def test_one_virtual_server_may_always_go_with_its_real_servers_but_no_other_with_it() -> None:
    before = cluster(2, 3, {"servers": 0, "virtuals": 0})
    assert changed(before, lambda v: v.pop("v0")) == ()
    assert changed(before, lambda v: v["v0"].update(enabled=False)) == ()
    more = changed(before, lambda v: [v.pop("v0"), v["v1"]["servers"].pop("rs0")])
    assert [sentence.partition(" out")[0] for sentence in more] == [
        "this takes 4 of 6 real servers",
        "this takes 1 of 2 virtual servers",
    ]


def test_what_was_not_in_service_is_not_counted() -> None:
    before = cluster(2, 4)
    before["virtuals"]["v1"]["enabled"] = False
    for name, value in (("rs0", {"enabled": False}), ("rs1", {"drain": True}), ("rs2", {"weight": 0})):
        before["virtuals"]["v0"]["servers"][name].update(value)
    assert changed(before, lambda v: [v["v0"]["servers"].pop(f"rs{n}") for n in range(3)]) == ()
    assert changed(before, lambda v: v.pop("v1")) == ()


def test_a_commit_cannot_loosen_the_brake_that_holds_it() -> None:
    after = cluster(1, 6, {"servers": 1})
    after["virtuals"]["v0"]["servers"] = {}
    assert held(from_data(cluster(1, 6)), from_data(after))


@pytest.mark.parametrize(("share", "number", "brakes"), [(0.29, 29, False), (0.29, 30, True), (0.07, 7, False)])
def test_a_share_means_what_is_written_and_not_its_nearest_binary_fraction(
    share: float, number: int, brakes: bool
) -> None:
    found = changed(
        cluster(1, 100, {"servers": share}), lambda v: [v["v0"]["servers"].pop(f"rs{n}") for n in range(number)]
    )
    assert bool(found) == brakes
    assert not found or f"the brake is at {round(share * 100)} %" in found[0]


def test_an_address_in_use_does_not_go_from_one_lock_to_another() -> None:
    before = cluster(2, 1)
    before["cluster"]["groups"] = {"east": {}}
    moved = changed(before, lambda virtuals: virtuals["v0"].update(group="east"))
    assert moved == (
        "this moves 1.2.3.1 on eth0 from group default to east, and two routers may answer for it for a moment: "
        "first disable, in a commit of its own, what uses it; --force does it anyway",
    )
    before["virtuals"]["v0"]["enabled"] = False
    assert changed(before, lambda virtuals: virtuals["v0"].update(group="east")) == ()
    assert changed(before, lambda virtuals: virtuals["v0"].update(group="east", enabled=True)) == ()


@given(clusters())
def test_no_change_is_held_and_nothing_comes_into_service_too_fast(any_cluster: Cluster) -> None:
    assert held(any_cluster, any_cluster) == ()
    assert held(from_data({"cluster": {"brakes": {"servers": 0, "virtuals": 0}}}), any_cluster) == ()
