"""The difference of two planes: as few operations as can be, in an order that is safe for traffic."""

import time
from collections import Counter
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from hypothesis import given

from clusterd.netfilter import Masquerade, Netfilter
from clusterd.plan import plan
from clusterd.plane import (
    Address,
    Destination,
    DestinationKey,
    Item,
    Key,
    Operation,
    Service,
    ServiceKey,
    SyncDaemon,
    Sysctl,
    Verb,
    applied,
    plane,
)
from clusterd.sysctls import SYSCTLS
from tests.clusterd.planes import MAIL, NAT, VIP, WEB, planes, real

SERVICE = Service(WEB, "wlc")


def kinds(operations: tuple[Operation, ...]) -> list[tuple[str, str]]:
    return [(str(operation.verb), type(operation.item).__name__) for operation in operations]


def test_a_changed_weight_is_one_set() -> None:
    before, after = plane(SERVICE, real(1, 2), real(2)), plane(SERVICE, real(1, 3), real(2))
    assert plan(before, after) == (Operation(Verb.SET, real(1, 3)),)


def test_a_changed_scheduler_is_one_set_and_leaves_the_destinations_alone() -> None:
    other = Service(WEB, "rr", 300, 24)
    assert plan(plane(SERVICE, real(1)), plane(other, real(1))) == (Operation(Verb.SET, other),)


def test_of_a_removed_virtual_server_the_address_goes_first_and_the_destinations_are_not_named() -> None:
    before = plane(SERVICE, real(1), real(2), VIP)
    assert plan(before, {}) == (Operation(Verb.DELETE, VIP), Operation(Verb.DELETE, SERVICE))


def test_a_removed_real_server_is_one_delete() -> None:
    assert plan(plane(SERVICE, real(1), real(2)), plane(SERVICE, real(1))) == (Operation(Verb.DELETE, real(2)),)


def test_a_first_apply_makes_everything_ready_before_the_address_comes() -> None:
    wanted = plane(VIP, real(1), NAT, SERVICE, *SYSCTLS)
    assert kinds(plan({}, wanted)) == [
        *[("add", "Sysctl")] * len(SYSCTLS),
        ("add", "Netfilter"),
        ("add", "Service"),
        ("add", "Destination"),
        ("add", "Address"),
    ]


def test_a_new_pool_comes_before_the_old_one_goes() -> None:
    before, after = plane(SERVICE, real(1)), plane(SERVICE, real(2))
    assert plan(before, after) == (Operation(Verb.ADD, real(2)), Operation(Verb.DELETE, real(1)))


def test_another_prefix_is_another_address_to_the_kernel() -> None:
    wider = Address("eth0", IPv4Interface("1.2.3.1/16"))
    assert plan(plane(VIP), plane(wider)) == (Operation(Verb.DELETE, VIP), Operation(Verb.ADD, wider))


def test_an_address_that_moves_leaves_its_old_interface_first() -> None:
    moved = Address("eth1", VIP.address)
    assert plan(plane(VIP), plane(moved)) == (Operation(Verb.DELETE, VIP), Operation(Verb.ADD, moved))


def test_a_table_with_foreign_content_is_replaced_and_one_no_longer_wanted_is_removed() -> None:
    spoilt = Netfilter(NAT.masquerades, intact=False)
    assert plan(plane(spoilt), plane(NAT)) == (Operation(Verb.SET, NAT),)
    assert plan(plane(NAT), {}) == (Operation(Verb.DELETE, NAT),)


def test_a_kernel_setting_is_set_but_never_taken_away() -> None:
    wrong = Sysctl("ipv4/ip_forward", "0")
    assert plan(plane(wrong), plane(SYSCTLS[0])) == (Operation(Verb.SET, SYSCTLS[0]),)
    assert plan(plane(SYSCTLS[0]), {}) == ()


def test_destinations_of_another_service_that_stays_are_named() -> None:
    before = plane(SERVICE, real(1), Service(MAIL, "rr"), real(1, service=MAIL))
    after = plane(Service(MAIL, "rr"))
    assert plan(before, after) == (Operation(Verb.DELETE, real(1, service=MAIL)), Operation(Verb.DELETE, SERVICE))


@given(planes(), planes())
def test_applying_the_plan_gives_what_is_desired(actual: dict[Key, Item], desired: dict[Key, Item]) -> None:
    after = applied(actual, *plan(actual, desired))
    left_alone = {key: item for key, item in actual.items() if isinstance(item, Sysctl)}
    assert after == left_alone | desired


@given(planes())
def test_a_plan_to_where_we_are_is_empty(actual: dict[Key, Item]) -> None:
    assert plan(actual, dict(actual)) == ()


@given(planes(), planes())
def test_no_operation_is_more_than_needed(actual: dict[Key, Item], desired: dict[Key, Item]) -> None:
    operations = plan(actual, desired)
    for operation in operations:
        key = operation.item.key
        assert actual.get(key) != desired.get(key)
        match operation.verb:
            case Verb.DELETE:
                assert actual[key] == operation.item
            case Verb.SET:
                assert key in actual
                assert desired[key] == operation.item
            case Verb.ADD:
                assert desired[key] == operation.item
    twice = {key for key, count in Counter(operation.item.key for operation in operations).items() if count > 1}
    assert twice == {key for key in actual.keys() & desired.keys() if _other_prefix(actual[key], desired[key])}


def _other_prefix(found: Item, wanted: Item) -> bool:
    return isinstance(found, Address) and found != wanted


@given(planes(), planes())
def test_what_is_left_out_is_missed(actual: dict[Key, Item], desired: dict[Key, Item]) -> None:
    operations = plan(actual, desired)
    whole = applied(actual, *operations)
    for position, left_out in enumerate(operations):
        if left_out.verb is Verb.DELETE and left_out.item.key in desired:
            continue  # for another prefix; a plane in memory has one prefix an address anyway
        assert applied(actual, *operations[:position], *operations[position + 1 :]) != whole


@given(planes(), planes())
def test_addresses_go_first_and_come_last_and_the_others_are_told_of_connections_meanwhile(
    actual: dict[Key, Item], desired: dict[Key, Item]
) -> None:
    first = {(Verb.DELETE, Address): 0, (Verb.ADD, SyncDaemon): 2, (Verb.SET, SyncDaemon): 2}
    last = {(Verb.ADD, Address): 3, (Verb.DELETE, SyncDaemon): 4}
    steps = [(first | last).get((o.verb, type(o.item)), 1) for o in plan(actual, desired)]
    assert steps == sorted(steps)


@given(planes(), planes())
def test_an_interrupted_plan_never_leaves_a_destination_without_its_service(
    actual: dict[Key, Item], desired: dict[Key, Item]
) -> None:
    operations = plan(actual, desired)
    for done in range(len(operations) + 1):
        between = applied(actual, *operations[:done])
        assert all(key.service in between for key in between if isinstance(key, DestinationKey))
        # and going on from there by a new plan ends where the whole one does
        assert applied(between, *plan(between, desired)) == applied(actual, *operations)


def large(weight: int) -> dict[Key, Item]:
    services = [ServiceKey("tcp", IPv4Address(0x0A000000 + n), 80) for n in range(1000)]
    items: list[Item] = [Service(key, "wlc") for key in services]
    items += [
        Destination(DestinationKey(key, IPv4Address(0xC0A80000 + n), 80), "nat", weight)
        for key in services
        for n in range(10)
    ]
    return plane(*items, Netfilter((Masquerade(IPv4Network("192.168.0.0/16"), "eth0"),)))


def test_ten_thousand_destinations_are_planned_in_a_moment() -> None:
    before, after = large(1), large(2)
    began_s = time.process_time()
    operations = plan(before, after)
    assert time.process_time() - began_s < 0.5
    assert len(operations) == 10_000
