"""A plane: items found again by their keys, and what operations make of it."""

from ipaddress import IPv4Address, IPv4Interface

from hypothesis import given

from clusterd.netfilter import Netfilter
from clusterd.plane import (
    Address,
    AddressKey,
    Failure,
    Item,
    Key,
    Operation,
    Scope,
    Service,
    Sysctl,
    SysctlKey,
    Verb,
    applied,
    plane,
)
from tests.clusterd.planes import MAIL, NAT, VIP, WEB, planes, real


def test_an_item_is_found_again_by_its_key_whatever_its_content() -> None:
    wider = Address("eth0", IPv4Interface("1.2.3.1/16"))
    assert VIP.key == wider.key == AddressKey("eth0", IPv4Address("1.2.3.1"))
    assert NAT.key == Netfilter(()).key
    assert real(1, weight=1).key == real(1, weight=2, way="direct").key
    assert Sysctl("ipv4/ip_forward", "0").key == SysctlKey("ipv4/ip_forward")
    assert plane(VIP, wider) == {VIP.key: wider}


def test_a_deleted_service_takes_its_destinations_along_and_no_others() -> None:
    before = plane(Service(WEB, "wlc"), real(1), real(2), Service(MAIL, "rr"), real(1, service=MAIL))
    after = applied(before, Operation(Verb.DELETE, Service(WEB, "wlc")))
    assert after == plane(Service(MAIL, "rr"), real(1, service=MAIL))


def test_deleting_what_is_not_there_changes_nothing() -> None:
    assert applied(plane(VIP), Operation(Verb.DELETE, real(1))) == plane(VIP)
    assert applied({}, Operation(Verb.DELETE, Service(WEB, "wlc"))) == {}


@given(planes(), planes())
def test_operations_are_absolute_so_doing_one_again_changes_nothing(
    actual: dict[Key, Item], other: dict[Key, Item]
) -> None:
    for item in other.values():
        for verb in Verb:
            once = applied(actual, Operation(verb, item))
            assert applied(once, Operation(verb, item)) == once


@given(planes())
def test_the_plane_that_operations_start_from_stays_as_it_was(actual: dict[Key, Item]) -> None:
    before = dict(actual)
    applied(actual, *(Operation(Verb.DELETE, item) for item in actual.values()))
    assert actual == before


def test_two_scopes_together_are_all_that_is_in_either() -> None:
    one = Scope(frozenset({WEB.address}), frozenset({VIP.key}))
    other = Scope(frozenset({MAIL.address}))
    assert one | other == Scope(frozenset({WEB.address, MAIL.address}), frozenset({VIP.key}))
    assert one | Scope() == one


def test_items_and_operations_read_as_the_log_shows_them() -> None:
    said = {
        "service tcp 1.2.3.1:80 wlc": Service(WEB, "wlc"),
        "service tcp 1.2.3.1:80 wlc persistent 300 s /24": Service(WEB, "wlc", 300, 24),
        "destination tcp 1.2.3.1:80 -> 192.168.1.7:80 nat weight 3": real(7, weight=3),
        "address 1.2.3.1/24 on eth0": VIP,
        "nft table: masquerade 192.168.1.0/24 out eth0": NAT,
        "nft table: empty": Netfilter(()),
        "nft table: empty and foreign content": Netfilter((), intact=False),
        "sysctl net/ipv4/ip_forward = 1": Sysctl("ipv4/ip_forward", "1"),
    }
    assert {str(item): item for item in said.values()} == said
    assert str(VIP.key) == "1.2.3.1 on eth0"
    refused = Failure(Operation(Verb.ADD, VIP), "No such device")
    assert str(refused) == "add address 1.2.3.1/24 on eth0: No such device"
