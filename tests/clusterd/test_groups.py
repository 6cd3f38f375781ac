"""Groups of floating addresses, as the document describes them."""

from clusterd.document import from_data
from clusterd.groups import gateways, groups, priority

GATEWAY = {"address": "10.0.0.254/24", "interface": "eth1"}
CLUSTER = from_data(
    {
        "cluster": {
            "nat_router": GATEWAY,
            "nat_router6": GATEWAY | {"address": "fe80::fe/64"},
            "groups": {
                "shop": {
                    "nat_router": GATEWAY | {"address": "10.0.0.253/24"},
                    "nat_router6": GATEWAY | {"address": "2001:db8::fe/64"},
                    "priorities": {"b": 200},
                },
                "mail": {},
            },
        },
        "routers": {"a": {"public": "1.2.3.2", "priority": 90}, "b": {"public": "1.2.3.3", "priority": 10}},
    }
)


def test_the_group_default_is_always_there_and_first() -> None:
    assert groups(CLUSTER) == ("default", "shop", "mail")
    assert groups(from_data({})) == ("default",)


def test_a_group_may_have_gateways_of_its_own_one_for_each_family() -> None:
    assert [(each.group, each.path, str(each.address)) for each in gateways(CLUSTER)] == [
        ("default", "cluster/nat_router", "10.0.0.254/24"),
        ("default", "cluster/nat_router6", "fe80::fe/64"),
        ("shop", "cluster/groups/shop/nat_router", "10.0.0.253/24"),
        ("shop", "cluster/groups/shop/nat_router6", "2001:db8::fe/64"),
    ]
    assert gateways(from_data({})) == ()


def test_a_router_has_its_own_priority_where_the_group_does_not_say_another() -> None:
    assert [priority(CLUSTER, group, "b") for group in groups(CLUSTER)] == [10, 200, 10]
    assert priority(CLUSTER, "shop", "a") == 90
