from ipaddress import IPv4Address

import pytest

from clusterd.keepalived.grammar import INSTANCE, SYNC_GROUP
from clusterd.model import Router, Sync
from tests.clusterd.keepalived_files import instance, read, virtual, warned, wrong

OUTSIDE = "unicast_src_ip 1.2.3.2", "virtual_ipaddress { 1.2.3.1/24 }"
INSIDE = "virtual_ipaddress { 10.0.0.254/24 }"
WEB = virtual("real_server 10.0.0.1 80 { TCP_CHECK { } }")


def routers(*lines: str) -> dict[str, tuple[str, str, int]]:
    def plain(each: Router) -> tuple[str, str, int]:
        return str(each.public), str(each.private), each.priority

    return {name: plain(each) for name, each in read(*lines).cluster.routers.items()}


# Addresses


@pytest.mark.parametrize(
    ("line", "address", "interface"),
    [
        ("1.2.3.1", "1.2.3.1/32", "eth7"),
        ("1.2.3.1/24 dev eth3", "1.2.3.1/24", "eth3"),
        ("1.2.3.1/24 brd 1.2.3.255 dev eth3 scope global label eth3:1", "1.2.3.1/24", "eth3"),
        ("1.2.3.1/24 dev eth3:1", "1.2.3.1/24", "eth3"),
        ("1.2.3.1/255.255.0.0", "1.2.3.1/16", "eth7"),
    ],
)
@pytest.mark.parametrize("block", ["virtual_ipaddress", "virtual_ipaddress_excluded"])
def test_an_address_brings_its_prefix_and_interface(block: str, line: str, address: str, interface: str) -> None:
    lines = (*virtual(), *instance(f"{block} {{", line, "}"))
    found = read(*lines, interface=None).cluster.virtuals["1.2.3.1-80"]
    assert (str(found.address), found.interface) == (address, interface)


def test_what_an_address_has_that_clusterd_does_not_is_told() -> None:
    lines = (*virtual(), *instance("virtual_ipaddress {", "1.2.3.1/24 no_track", "}", *OUTSIDE[:1]))
    assert "line 7: vrrp_instance VI/virtual_ipaddress/1.2.3.1/24: no_track is not carried over" in warned(*lines)


def test_an_address_of_ipv6_is_carried_and_a_gateway_is_one_of_each_family() -> None:
    servers = ("lb_kind NAT", "real_server 2001:db8:1::1 80 { }")
    lines = (*virtual(*servers, head="2001:db8::1 80"), *instance("virtual_ipaddress { 2001:DB8::1/64 }"))
    inside = ("vrrp_instance IN {", "interface eth1", "virtual_ipaddress { 2001:db8:1::fe/64 }", "}")
    cluster = read(*lines, *inside, interface=None).cluster
    (found,) = cluster.virtuals.values()
    assert (str(found.address), found.interface) == ("2001:db8::1/64", "eth7")
    assert str(cluster.settings.nat_router6) == "address=IPv6Interface('2001:db8:1::fe/64') interface='eth1'"


def test_an_address_without_an_interface_is_a_problem() -> None:
    assert wrong("vrrp_instance VI {", "virtual_ipaddress { 1.2.3.1 }", "}") == [
        "line 2: vrrp_instance VI/virtual_ipaddress/1.2.3.1: which interface carries it is not said: "
        "neither dev here nor interface above"
    ]


@pytest.mark.parametrize("word", ["web", "1.2.3.4/33", "1.2.3"])
def test_an_address_that_is_none_is_a_problem(word: str) -> None:
    (told,) = wrong(*instance(f"virtual_ipaddress {{ {word} }}"))
    assert told.startswith(f"line 3: vrrp_instance VI/virtual_ipaddress/{word}: an address is expected")


def test_an_address_that_stands_twice_is_told() -> None:
    lines = (*virtual(), *instance("virtual_ipaddress {", "1.2.3.1/24", "1.2.3.1/16 dev eth3", "}"))
    assert any(each.endswith("not carried over: it stands in line 7 already") for each in warned(*lines))


def test_a_rule_that_an_address_breaks_is_told_where_its_interface_stands() -> None:
    (told,) = wrong(*virtual(), *instance("virtual_ipaddress { 1.2.3.1 dev interface-too-long }"))
    assert told.startswith("line 6: vrrp_instance VI/virtual_ipaddress/1.2.3.1: ")


# The gateway


def test_the_address_in_the_real_servers_network_is_their_gateway_and_that_is_told() -> None:
    lines = (*WEB, *instance(*OUTSIDE), *instance(INSIDE, name="IN"))
    gateway = read(*lines).cluster.settings.nat_router
    assert gateway is not None
    assert (str(gateway.address), gateway.interface) == ("10.0.0.254/24", "eth7")
    assert any(each.endswith("taken for the real servers' gateway: it is in their network") for each in warned(*lines))


@pytest.mark.parametrize("way", ["DR", "TUN"])
def test_only_nat_needs_a_gateway(way: str) -> None:
    lines = (*virtual(f"lb_kind {way}", "real_server 10.0.0.1 80 { TCP_CHECK { } }"), *instance(INSIDE))
    assert read(*lines).cluster.settings.nat_router is None
    assert any("no virtual server has it, and it is no gateway to one" in each for each in warned(*lines))


def test_a_second_gateway_is_told() -> None:
    lines = (*WEB, *instance("virtual_ipaddress {", "10.0.0.254/24", "10.0.0.253/24", "}"))
    (told,) = [each for each in warned(*lines) if "10.0.0.253" in each]
    assert told.endswith("not carried over: no virtual server has it, and it is no gateway to one")


# Routers


def test_this_router_and_its_peers_are_routers() -> None:
    lines = (
        "global_defs { router_id lb-a }",
        *instance(*OUTSIDE, "state MASTER", "priority 120", "unicast_peer {", "1.2.3.3", "1.2.3.4", "}"),
    )
    assert routers(*lines) == {
        "lb-a": ("1.2.3.2", "None", 120),
        "peer-1.2.3.3": ("1.2.3.3", "None", 70),
        "peer-1.2.3.4": ("1.2.3.4", "None", 70),
    }
    assert sum("is made up: its own file says it" in each for each in warned(*lines)) == 2


def test_the_peer_of_a_backup_goes_first() -> None:
    lines = instance(*OUTSIDE, "state BACKUP", "unicast_peer { 1.2.3.3 }")
    assert routers(*lines) == {"this": ("1.2.3.2", "None", 100), "peer-1.2.3.3": ("1.2.3.3", "None", 150)}


def test_an_inside_instance_brings_the_private_addresses() -> None:
    outside = instance(*OUTSIDE, "unicast_peer { 1.2.3.3 }")
    inside = instance(INSIDE, "unicast_src_ip 10.0.0.252", "unicast_peer { 10.0.0.253 }", name="IN")
    found = routers(*WEB, *outside, *inside)
    assert [each[:2] for each in found.values()] == [("1.2.3.2", "10.0.0.252"), ("1.2.3.3", "10.0.0.253")]


def test_private_addresses_of_several_peers_are_not_known_and_that_is_told() -> None:
    outside = instance(*OUTSIDE, "unicast_peer { 1.2.3.3 }")
    inside = instance(INSIDE, "unicast_src_ip 10.0.0.252", "unicast_peer {", "10.0.0.253", "10.0.0.2", "}", name="IN")
    found = routers(*WEB, *outside, *inside)
    assert [each[1] for each in found.values()] == ["10.0.0.252", "None"]
    assert any("which peer has which private address" in each for each in warned(*WEB, *outside, *inside))


def test_without_peers_this_router_is_alone() -> None:
    inside = instance(INSIDE, "unicast_src_ip 10.0.0.252", name="IN")
    assert routers(*WEB, *instance(*OUTSIDE), *inside) == {"this": ("1.2.3.2", "10.0.0.252", 100)}


def test_one_instance_may_carry_both_sides() -> None:
    both = instance(OUTSIDE[0], "virtual_ipaddress {", "1.2.3.1/24", "10.0.0.254/24 dev eth1", "}")
    assert routers(*WEB, *both) == {"this": ("1.2.3.2", "None", 100)}


def test_without_its_own_address_no_router_is_known_and_that_is_told() -> None:
    assert routers(*instance("priority 5")) == {}
    (told,) = warned(*instance("priority 5"))
    assert told.startswith("line 1: vrrp_instance VI: not carried over: who the routers are")


def test_the_address_that_adverts_come_from_is_the_routers() -> None:
    assert routers(*instance("mcast_src_ip 1.2.3.9"))["this"][0] == "1.2.3.9"


def test_a_peer_may_be_of_ipv6_and_what_else_a_peer_has_is_told() -> None:
    told = warned(*instance(*OUTSIDE, "unicast_peer {", "2001:db8::1", "1.2.3.3 min_ttl 1", "}"))
    assert "line 7: vrrp_instance VI/unicast_peer/1.2.3.3: not carried over: min_ttl 1" in told
    assert routers(*instance("unicast_src_ip 2001:db8::1"))["this"][0] == "2001:db8::1"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("unicast_peer { web }", "'web' is a name"),
        ("unicast_src_ip web", "'web' is a name"),
        ("priority x", "a number is expected"),
        ("priority 256", "must be at most 255"),
        ("advert_int x", "seconds are expected"),
        ("advert_int 0", "must be more than 0"),
        ("interface", "a value is missing"),
    ],
)
def test_nonsense_is_a_problem_with_its_line(line: str, message: str) -> None:
    told = wrong(*instance(OUTSIDE[0], line))
    assert any(message in each for each in told)
    assert all(each.startswith(("line 4: ", "line 1: ")) for each in told)


# Heartbeat and moving together


@pytest.mark.parametrize(("advert_s", "deadtime_s"), [("1", 3), ("0.5", 2), ("2", 6), ("1.5", 5)])
def test_an_active_router_is_dead_after_three_adverts_that_did_not_come(advert_s: str, deadtime_s: int) -> None:
    heartbeat = read(*instance(f"advert_int {advert_s}")).cluster.settings.heartbeat
    assert (heartbeat.keepalive_s, heartbeat.deadtime_s) == (float(advert_s), deadtime_s)


def test_how_many_adverts_may_be_missing_is_the_files_to_say() -> None:
    heartbeat = read(*instance("advert_int 1", "down_timer_adverts 10")).cluster.settings.heartbeat
    assert heartbeat.deadtime_s == 10


@pytest.mark.parametrize(
    ("advert_s", "missing", "keepalive_s", "deadtime_s", "warnings"),
    [
        ("1.5", 3, 1.5, 5, 1),
        ("0.1", 3, 0.1, 2, 1),
        ("2", 1, 1, 2, 1),
        ("90", 100, 90, 3600, 1),
        ("2000", 9, 1800, 3600, 2),
    ],
)
def test_a_heartbeat_that_clusterd_cannot_have_is_changed_and_that_is_told(
    advert_s: str, missing: int, keepalive_s: float, deadtime_s: int, warnings: int
) -> None:
    lines = instance(OUTSIDE[0], f"advert_int {advert_s}", f"down_timer_adverts {missing}")
    heartbeat = read(*lines).cluster.settings.heartbeat
    assert (heartbeat.keepalive_s, heartbeat.deadtime_s) == (keepalive_s, deadtime_s)
    assert len(warned(*lines)) == warnings


def test_instances_that_advertise_differently_are_told() -> None:
    lines = (*instance(*OUTSIDE, "advert_int 2"), *instance("advert_int 3", name="B"), *instance(name="C"))
    told = warned(*lines)
    assert "line 9: vrrp_instance B/advert_int: that of VI is taken for the whole cluster" in told
    assert sum("that of VI is taken" in each for each in told) == 2


def test_instances_that_do_not_move_together_are_told() -> None:
    together = ("vrrp_sync_group G {", "group {", "A", "B", "}", "}")
    apart = "its addresses move together with all others: a cluster has one active router"
    lines = (*instance(name="A"), *instance(name="B"))
    assert [each for each in warned(*lines) if each.endswith(apart)] == [
        f"line 1: vrrp_instance A: {apart}",
        f"line 4: vrrp_instance B: {apart}",
    ]
    assert not any(each.endswith(apart) for each in warned(*lines, *together))
    assert not any(each.endswith(apart) for each in warned(*instance(name="A")))


def test_a_member_of_a_group_that_does_not_exist_is_told() -> None:
    assert warned("vrrp_sync_group G {", "group {", "A", "}", "}") == [
        "line 3: vrrp_sync_group G/group/A: there is no vrrp_instance of this name"
    ]


# Synchronisation of connections


def synchronised(daemon: str) -> Sync | None:
    lines = ("global_defs {", f"lvs_sync_daemon {daemon}", "}", *instance("virtual_router_id 51"))
    return read(*lines).cluster.settings.sync


@pytest.mark.parametrize(
    ("daemon", "said"),
    [
        ("eth1", {}),
        ("eth1 VI", {"id": 51}),
        ("eth1 inst VI id 7", {"id": 7}),
        ("eth1 id 7 VI", {"id": 7}),
        ("eth1 id 7 maxlen 2000 port 9 ttl 3 group 239.1.2.3", {"id": 7, "maxlen": 2000, "port": 9, "ttl": 3}),
    ],
)
def test_a_sync_daemon_is_carried_over(daemon: str, said: dict[str, int]) -> None:
    group = {"group": IPv4Address("239.1.2.3")} if "group" in daemon else {}
    assert synchronised(daemon) == Sync.model_validate({"interface": "eth1", **said, **group})


def test_an_instance_that_a_sync_daemon_cannot_follow_is_told() -> None:
    text = ("global_defs {", "lvs_sync_daemon eth1 WHO", "}")
    assert "line 2: global_defs/lvs_sync_daemon: WHO is not carried over: there is no vrrp_instance of this name" in (
        warned(*text)
    )
    odd = ("global_defs {", "lvs_sync_daemon eth1 VI", "}", *instance("virtual_router_id x"))
    assert read(*odd).cluster.settings.sync == Sync(interface="eth1")
    assert read("global_defs {", "lvs_sync_daemon eth1 VI", "}", *instance()).cluster.settings.sync == Sync(
        interface="eth1"
    )


@pytest.mark.parametrize(
    ("daemon", "problem"),
    [
        ("", "a value is missing"),
        ("eth1 id", "id: a value is missing"),
        ("eth1 port x", "port: "),
        ("eth1 id 256", "must be at most 255"),
        ("eth1 group 10.0.0.1", "a multicast address is meant"),
    ],
)
def test_a_sync_daemon_that_cannot_be_is_told_with_its_line(daemon: str, problem: str) -> None:
    told = wrong("global_defs {", f"lvs_sync_daemon {daemon}", "}")
    assert [each for each in told if each.startswith("line 2: global_defs/lvs_sync_daemon") and problem in each] == told


# What clusterd does not have


@pytest.mark.parametrize("word", [word for word, why in INSTANCE.items() if why])
def test_a_keyword_of_an_instance_that_is_not_carried_over_is_told(word: str) -> None:
    assert f"line 4: vrrp_instance VI/{word}: not carried over: {INSTANCE[word]}" in warned(
        *instance(OUTSIDE[0], f"{word} x")
    )


@pytest.mark.parametrize("word", [word for word, why in SYNC_GROUP.items() if why])
def test_a_keyword_of_a_sync_group_that_is_not_carried_over_is_told(word: str) -> None:
    assert warned("vrrp_sync_group G {", f"{word} x", "}") == [
        f"line 2: vrrp_sync_group G/{word}: not carried over: {SYNC_GROUP[word]}"
    ]


@pytest.mark.parametrize("line", ["state MASTER", "virtual_router_id 5", "nopreempt", "accept", "dont_track_primary"])
def test_what_vrrp_alone_needs_loses_nothing(line: str) -> None:
    assert warned(*instance(OUTSIDE[0], line)) == []
