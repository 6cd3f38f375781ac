"""What every data plane does, on the one in memory and on a real kernel alike."""

import itertools
import os
import select
from dataclasses import replace
from errno import EINVAL, ENOENT, ESRCH
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface

import pytest

from clusterd.model import Forwarding
from clusterd.netfilter import Masquerade, Netfilter, Untracked
from clusterd.plan import plan
from clusterd.plane import (
    Address,
    AddressKey,
    Answered,
    Claimed,
    Destination,
    DestinationKey,
    HostAddress,
    Item,
    LinkChanged,
    Notice,
    Removed,
    Scope,
    Service,
    ServiceKey,
    SyncDaemon,
    Sysctl,
    Verb,
    plane,
)
from clusterd.sysctls import SYSCTLS
from tests.dataplane.rig import FOREIGN, SCOPE, SECOND, VIP, VIP6, WEB, WEB6, Rig, do, real, there
from tests.dataplane.tables import RICH

SERVICE = Service(WEB, "wlc")
WAYS: tuple[Forwarding, ...] = ("nat", "direct", "tunnel")
BACKUP = SyncDaemon("backup", "wan", 0, IPv4Address("224.0.0.81"), 8848, 1, 1472)
NAT = Netfilter(
    (Masquerade(IPv4Network("192.168.1.7/32"), "wan"), Masquerade(IPv4Network("192.168.0.0/16"), "wan")),
    (
        Untracked("lan", (IPv4Address("192.168.1.254"),)),
        Untracked("wan", (IPv4Address("1.2.3.1"), IPv4Address("1.2.3.2"), IPv4Address("9.0.0.1"))),
    ),
)


def test_a_service_changes_in_place_from_anything_to_anything(rig: Rig) -> None:
    forms = [
        SERVICE,
        Service(WEB, "rr"),
        Service(WEB, "rr", 300),
        Service(WEB, "rr", 60, 24),
        Service(WEB, "sh", 2678400, 1),
    ]
    assert do(rig, Verb.ADD, SERVICE, real(1)) == ()
    for before, after in itertools.permutations(forms, 2):
        assert do(rig, Verb.SET, before) == ()
        assert do(rig, Verb.SET, after) == ()
        assert there(rig) == {after, real(1)}


def test_a_destination_changes_in_place_from_anything_to_anything(rig: Rig) -> None:
    forms = [real(1, weight, way) for weight in (0, 1, 65535) for way in WAYS]
    assert do(rig, Verb.ADD, SERVICE, real(1), real(2, 7)) == ()
    for before, after in itertools.permutations(forms, 2):
        assert do(rig, Verb.SET, before) == ()
        assert do(rig, Verb.SET, after) == ()
        assert there(rig) == {SERVICE, after, real(2, 7)}


def test_an_add_of_what_exists_says_how_it_is_afterwards(rig: Rig) -> None:
    assert do(rig, Verb.ADD, SERVICE, real(1), VIP, NAT) == ()
    other = (Service(WEB, "rr", 60, 24), real(1, 5, "direct"))
    assert do(rig, Verb.ADD, *other, VIP, NAT) == ()
    assert there(rig) == {*other, VIP}


def test_a_delete_of_what_is_not_there_is_no_failure(rig: Rig) -> None:
    away = Address("away", VIP.address)
    assert do(rig, Verb.DELETE, VIP, away, NAT, real(1), SERVICE) == ()
    assert do(rig, Verb.ADD, SERVICE) == ()
    assert do(rig, Verb.DELETE, real(1)) == ()
    assert there(rig) == {SERVICE}


def test_a_review_tells_of_what_it_is_asked_for_and_of_a_service_all_that_is_behind_it(rig: Rig) -> None:
    ours = (SERVICE, real(1), real(2, 7))
    assert do(rig, Verb.ADD, *ours, Service(WEB6, "rr"), VIP, SECOND, NAT, *SYSCTLS) == ()
    assert rig.plane.review([WEB]) == plane(*ours)
    assert rig.plane.review([WEB6, VIP.key, NAT.key]) == plane(Service(WEB6, "rr"), VIP, NAT)
    assert rig.plane.review([SYSCTLS[0].key, BACKUP.key]) == plane(SYSCTLS[0])
    assert do(rig, Verb.SET, real(2, 9)) == ()
    assert do(rig, Verb.DELETE, real(1)) == ()
    assert rig.plane.review([WEB]) == plane(SERVICE, real(2, 9))
    assert do(rig, Verb.DELETE, SERVICE, VIP) == ()
    assert rig.plane.review([WEB, VIP.key]) == {}
    assert there(rig) == {Service(WEB6, "rr"), SECOND}


def test_a_deleted_service_takes_its_destinations_along(rig: Rig) -> None:
    assert do(rig, Verb.ADD, SERVICE, real(1), real(2)) == ()
    assert do(rig, Verb.DELETE, SERVICE) == ()
    assert there(rig) == set()
    assert do(rig, Verb.ADD, SERVICE) == ()
    assert there(rig) == {SERVICE}


def test_what_is_refused_is_told_with_its_reason_and_the_rest_is_done(rig: Rig) -> None:
    orphan = real(1, service=FOREIGN)
    failures = do(rig, Verb.ADD, SERVICE, orphan, real(1), real(2))
    assert [(f.operation.item, f.reason) for f in failures] == [(orphan, os.strerror(ESRCH))]
    assert there(rig) == {SERVICE, real(1), real(2)}


def test_a_set_of_what_is_not_there_is_refused(rig: Rig) -> None:
    assert [f.reason for f in do(rig, Verb.SET, SERVICE)] == [os.strerror(ESRCH)]
    assert do(rig, Verb.ADD, SERVICE) == ()
    assert [f.reason for f in do(rig, Verb.SET, real(1))] == [os.strerror(ENOENT)]
    assert there(rig) == {SERVICE}


def test_others_services_and_addresses_are_neither_seen_nor_touched(rig: Rig) -> None:
    theirs = (Service(FOREIGN, "rr"), real(1, service=FOREIGN), Address("wan", IPv4Interface("9.9.9.9/24")))
    assert do(rig, Verb.ADD, *theirs) == ()
    assert there(rig) == set()
    assert do(rig, Verb.ADD, SERVICE, real(1), VIP) == ()
    assert do(rig, Verb.DELETE, SERVICE, VIP) == ()
    wide = Scope(SCOPE.vips | {FOREIGN.address}, SCOPE.addresses | {theirs[2].key})
    left = {item for item in rig.plane.read(wide).values() if isinstance(item, Service | Destination | Address)}
    assert left == set(theirs)


def test_a_whole_plan_makes_the_plane_what_is_desired_and_back(rig: Rig) -> None:
    empty = rig.plane.read(SCOPE)
    wanted = plane(*SYSCTLS, NAT, SERVICE, real(1, 3), real(2, 0, "direct"), VIP, SECOND, BACKUP)
    for target in (wanted, empty):
        assert rig.plane.apply(plan(rig.plane.read(SCOPE), target), rig.now_s() + 60) == ()
        assert plan(rig.plane.read(SCOPE), target) == ()


def test_what_comes_between_the_steps_of_a_reading_is_in_it(rig: Rig) -> None:
    more = (replace(SERVICE, key=replace(WEB, port=8000 + n)) for n in range(60))
    assert do(rig, Verb.ADD, SERVICE, real(1), *more) == ()
    steps = rig.plane.reading(SCOPE)
    assert next(steps) is None
    assert do(rig, Verb.ADD, VIP) == ()
    found = list(steps)[-1]
    assert found is not None
    assert VIP.key in found
    assert found == rig.plane.read(SCOPE)


def test_three_thousand_destinations_go_in_one_batch(rig: Rig) -> None:
    many = [real(n) for n in range(1, 3001)]
    orphan = real(1, service=FOREIGN)
    failures = do(rig, Verb.ADD, SERVICE, *many[:1500], orphan, *many[1500:])
    assert [f.operation.item for f in failures] == [orphan]
    assert there(rig, Destination) == set(many)
    assert do(rig, Verb.SET, *(real(n, 2) for n in range(1, 3001))) == ()
    assert do(rig, Verb.ADD, *(real(n, 3) for n in range(1, 3001))) == ()
    assert there(rig, Destination) == {real(n, 3) for n in range(1, 3001)}
    assert do(rig, Verb.DELETE, *many) == ()
    assert there(rig, Destination) == set()


# --- IPv6 ---------------------------------------------------------------------------------------------------------


def real6(last: int, weight: int = 1, way: Forwarding = "nat", service: ServiceKey = WEB6) -> Destination:
    return Destination(DestinationKey(service, IPv6Address(f"2001:db8:0:1::{last}"), 80), way, weight)


def test_a_service_of_ipv6_changes_in_place_from_anything_to_anything(rig: Rig) -> None:
    forms = [
        Service(WEB6, "wlc"),
        Service(WEB6, "rr"),
        Service(WEB6, "rr", 300, 128),
        Service(WEB6, "rr", 60, 64),
        Service(WEB6, "sh", 2678400, 1),
    ]
    assert do(rig, Verb.ADD, forms[0], real6(1)) == ()
    for before, after in itertools.permutations(forms, 2):
        assert do(rig, Verb.SET, before) == ()
        assert do(rig, Verb.SET, after) == ()
        assert there(rig) == {after, real6(1)}


def test_a_destination_of_ipv6_changes_in_place_from_anything_to_anything(rig: Rig) -> None:
    forms = [real6(1, weight, way) for weight in (0, 1, 65535) for way in WAYS]
    assert do(rig, Verb.ADD, Service(WEB6, "wlc"), real6(1), real6(2, 7)) == ()
    for before, after in itertools.permutations(forms, 2):
        assert do(rig, Verb.SET, before) == ()
        assert do(rig, Verb.SET, after) == ()
        assert there(rig) == {Service(WEB6, "wlc"), after, real6(2, 7)}


def test_both_families_live_beside_each_other_and_mix_through_tunnels(rig: Rig) -> None:
    mixed = (real(1, way="tunnel", service=WEB6), real6(1, way="tunnel", service=WEB))
    items: set[Item] = {SERVICE, Service(WEB6, "wlc"), real(2), real6(2), *mixed}
    assert do(rig, Verb.ADD, *sorted(items, key=lambda item: isinstance(item, Destination))) == ()
    assert there(rig) == items
    assert do(rig, Verb.DELETE, *mixed, Service(WEB6, "wlc")) == ()
    assert there(rig) == {SERVICE, real(2)}


def test_an_address_of_ipv6_goes_and_that_is_told(rig: Rig) -> None:
    rig.plane.sources()
    assert do(rig, Verb.ADD, VIP6, VIP) == ()
    rig.meddle(Removed(VIP6.key))
    assert noticed(rig) == [Removed(VIP6.key)]
    assert do(rig, Verb.ADD, VIP6) == ()
    assert do(rig, Verb.DELETE, Address("wan", IPv6Interface("2001:db8::1/48"))) == ()
    assert there(rig, Address) == {VIP}


def test_families_mix_in_no_other_way(rig: Rig) -> None:
    assert do(rig, Verb.ADD, SERVICE, Service(WEB6, "wlc")) == ()
    wrong = (real(1, service=WEB6), real6(1, way="direct", service=WEB))
    assert [failure.reason for failure in do(rig, Verb.ADD, *wrong)] == [os.strerror(EINVAL)] * 2
    assert there(rig) == {SERVICE, Service(WEB6, "wlc")}


# --- addresses ----------------------------------------------------------------------------------------------------


def test_what_is_missing_is_not_renewed(rig: Rig) -> None:
    assert do(rig, Verb.ADD, VIP) == ()
    wider = Address("wan", IPv4Interface("1.2.3.1/16"))
    assert rig.plane.renew([SECOND, wider], rig.now_s() + 60) == ()
    assert there(rig, Address) == {VIP}


def test_a_claim_without_end_gives_an_address_that_is_there(rig: Rig) -> None:
    assert do(rig, Verb.ADD, VIP, for_s=float("inf")) == ()
    assert there(rig, Address) == {VIP}


def test_a_changed_prefix_is_a_delete_and_an_add(rig: Rig) -> None:
    wider = Address("wan", IPv4Interface("1.2.3.1/16"))
    assert do(rig, Verb.ADD, VIP) == ()
    assert rig.plane.apply(plan(plane(VIP), plane(wider)), rig.now_s() + 60) == ()
    assert there(rig, Address) == {wider}


def test_an_address_goes_whatever_prefix_it_is_told_to_have(rig: Rig) -> None:
    assert do(rig, Verb.ADD, VIP) == ()
    assert do(rig, Verb.DELETE, Address("wan", IPv4Interface("1.2.3.1/16"))) == ()
    assert there(rig, Address) == set()


def test_the_last_address_of_a_network_stays_when_the_first_one_goes(rig: Rig) -> None:
    assert do(rig, Verb.SET, *SYSCTLS) == ()
    assert do(rig, Verb.ADD, VIP, SECOND) == ()
    assert do(rig, Verb.DELETE, VIP) == ()
    assert there(rig, Address) == {SECOND}


# --- what others do to addresses ----------------------------------------------------------------------------------

HOST = IPv4Address("10.7.7.1")
MAC = "02:00:00:00:00:99"
LINK_S = 3  # the kernel tells of the same link once a second at most (link_watch.c)


def noticed(rig: Rig, within_s: float = 0.5) -> list[Notice]:
    """Return what there is, or what comes soon."""
    ready, _, _ = select.select(rig.plane.sources(), [], [], within_s)
    return rig.plane.notices() if ready else []


def test_an_address_that_somebody_removes_is_told_and_one_that_is_renewed_is_not(rig: Rig) -> None:
    assert noticed(rig) == []
    assert do(rig, Verb.ADD, VIP, SECOND) == ()
    assert rig.plane.renew([VIP, SECOND], rig.now_s() + 60) == ()
    assert noticed(rig) == []
    rig.meddle(Removed(SECOND.key))
    assert noticed(rig) == [Removed(SECOND.key)]
    assert noticed(rig) == []
    assert there(rig, Address) == {VIP}
    assert do(rig, Verb.DELETE, VIP) == ()
    assert noticed(rig) == [Removed(VIP.key)]


def test_a_claim_of_another_host_is_told_while_the_address_is_listened_for(rig: Rig) -> None:
    rig.plane.sources()
    rig.meddle(Claimed(VIP.key, MAC))
    assert noticed(rig) == []
    rig.plane.listen([VIP.key])
    rig.meddle(Claimed(SECOND.key, MAC))
    rig.meddle(Claimed(VIP.key, MAC))
    assert noticed(rig) == [Claimed(VIP.key, MAC)]
    rig.plane.listen([])
    rig.meddle(Claimed(VIP.key, MAC))
    assert noticed(rig) == []


def test_a_claim_of_an_address_of_ipv6_is_told_as_well(rig: Rig) -> None:
    rig.plane.sources()
    rig.plane.listen([VIP.key])
    rig.meddle(Claimed(VIP6.key, MAC))
    assert noticed(rig) == []
    rig.plane.listen([VIP.key, VIP6.key])
    rig.meddle(Claimed(AddressKey("wan", IPv6Address("2001:db8:f::1")), MAC))  # its last bytes are the VIP's
    rig.meddle(Claimed(VIP6.key, MAC))
    assert noticed(rig) == [Claimed(VIP6.key, MAC)]


def test_our_own_announcements_are_no_claim(rig: Rig) -> None:
    rig.plane.listen([VIP.key, VIP6.key])
    assert do(rig, Verb.ADD, VIP, VIP6) == ()
    rig.plane.announce([VIP, VIP6])
    assert noticed(rig) == []


# --- what is around -----------------------------------------------------------------------------------------------


def test_an_interface_without_cable_or_without_existence_carries_nothing(rig: Rig) -> None:
    rig.plane.sources()
    assert rig.plane.without_carrier(["wan"]) == frozenset()
    rig.plug(cable=False)
    assert LinkChanged("wan") in noticed(rig, LINK_S)
    assert rig.plane.without_carrier(["wan"]) == {"wan"}
    rig.plug(cable=True)
    assert LinkChanged("wan") in noticed(rig, LINK_S)
    assert rig.plane.without_carrier(["wan"]) == frozenset()


@pytest.mark.parametrize("host", [HOST, IPv6Address("2001:db8:0:7::1")], ids=["IPv4", "IPv6"])
def test_a_neighbour_that_is_there_answers_and_others_do_not(rig: Rig, host: HostAddress) -> None:
    rig.live(host)
    rig.plane.sources()
    rig.plane.listen([], [host, host + 7])
    noticed(rig)
    rig.plane.ask([host + 7, IPv4Address("203.0.113.1"), IPv6Address("2001:db8:ffff::1"), host])
    assert [notice for notice in noticed(rig) if isinstance(notice, Answered)] == [Answered(host)]
    rig.plane.listen([])
    rig.plane.ask([host])
    assert noticed(rig) == []


# --- synchronisation of connections ---------------------------------------------------------------------------------


def test_a_sync_daemon_becomes_whatever_it_is_told_from_whatever_it_was(rig: Rig) -> None:
    forms = [
        BACKUP,
        replace(BACKUP, id=255),
        replace(BACKUP, port=1, ttl=255),
        replace(BACKUP, maxlen=1024),
        replace(BACKUP, group=IPv4Address("239.1.2.3")),
        replace(BACKUP, group=IPv6Address("ff02::81"), maxlen=1452),
    ]
    for before, after in itertools.permutations(forms, 2):
        assert do(rig, Verb.ADD, before) == ()
        assert do(rig, Verb.SET, after) == ()
        assert there(rig, SyncDaemon) == {after}


def test_both_roles_run_beside_each_other_and_each_ends_by_itself(rig: Rig) -> None:
    master = replace(BACKUP, role="master")
    assert do(rig, Verb.ADD, BACKUP, master) == ()
    assert there(rig, SyncDaemon) == {BACKUP, master}
    assert do(rig, Verb.DELETE, master) == ()
    assert do(rig, Verb.DELETE, master) == ()
    assert there(rig, SyncDaemon) == {BACKUP}


def test_sync_daemons_that_are_not_ours_are_not_seen(rig: Rig) -> None:
    assert do(rig, Verb.ADD, BACKUP) == ()
    assert BACKUP.key not in rig.plane.read(replace(SCOPE, sync=False))


# --- netfilter and kernel settings --------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [NAT, RICH, Netfilter(()), Netfilter(NAT.masquerades[:1])])
def test_the_table_reads_back_as_it_was_written(rig: Rig, table: Netfilter) -> None:
    assert there(rig, Netfilter) == set()
    assert do(rig, Verb.ADD, NAT) == ()
    assert do(rig, Verb.SET, table) == ()
    assert there(rig, Netfilter) == {table}
    assert do(rig, Verb.DELETE, table) == ()
    assert there(rig, Netfilter) == set()


def test_the_kernels_settings_are_read_and_set(rig: Rig) -> None:
    before: set[Item] = {Sysctl(setting.name, "0") for setting in SYSCTLS}
    assert do(rig, Verb.SET, *before) == ()
    assert there(rig, Sysctl) == before
    assert do(rig, Verb.SET, *SYSCTLS) == ()
    assert there(rig, Sysctl) == set(SYSCTLS)


def test_a_setting_that_the_kernel_does_not_have_is_refused(rig: Rig) -> None:
    unknown = Sysctl("ipv4/no_such_thing", "1")
    (failure,) = do(rig, Verb.SET, unknown)
    assert failure.operation.item == unknown
    assert unknown not in there(rig, Sysctl)
