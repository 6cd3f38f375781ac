"""Groups of floating addresses, as the document describes them."""

from clusterd.document import from_data
from clusterd.groups import gateway_path, gateways, groups, priority

GATEWAY = {"address": "10.0.0.254/24", "interface": "eth1"}
CLUSTER = from_data(
    {
        "cluster": {
            "nat_router": GATEWAY,
            "groups": {
                "shop": {"nat_router": GATEWAY | {"address": "10.0.0.253/24"}, "priorities": {"b": 200}},
                "mail": {},
            },
        },
        "routers": {"a": {"public": "1.2.3.2", "priority": 90}, "b": {"public": "1.2.3.3", "priority": 10}},
    }
)


def test_the_group_default_is_always_there_and_first() -> None:
    assert groups(CLUSTER) == ("default", "shop", "mail")
    assert groups(from_data({})) == ("default",)


def test_a_group_may_have_a_gateway_of_its_own() -> None:
    assert {name: str(each.address) for name, each in gateways(CLUSTER).items()} == {
        "default": "10.0.0.254/24",
        "shop": "10.0.0.253/24",
    }
    assert gateways(from_data({})) == {}
    assert [gateway_path(name) for name in gateways(CLUSTER)] == [
        "cluster/nat_router",
        "cluster/groups/shop/nat_router",
    ]


def test_a_router_has_its_own_priority_where_the_group_does_not_say_another() -> None:
    assert [priority(CLUSTER, group, "b") for group in groups(CLUSTER)] == [10, 200, 10]
    assert priority(CLUSTER, "shop", "a") == 90
