"""Everything that IPVS can be told, on the plane in memory and on a real kernel alike: walks from each form to each."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from errno import EINVAL, ENOENT, ERANGE
from ipaddress import IPv4Address, IPv6Address
from typing import TypeVar, get_args

import pytest

from clusterd.model import Scheduler
from clusterd.plan import plan
from clusterd.plane import (
    Destination,
    DestinationKey,
    Item,
    MarkKey,
    Scope,
    Service,
    ServiceKey,
    SyncDaemon,
    Timeout,
    Tunnel,
    Verb,
    plane,
)
from clusterd.services import AnyServiceKey, HostAddress
from tests.dataplane.rig import SCOPE, WEB, WEB6, Rig, do, there

_T = TypeVar("_T")
VOICE = ServiceKey("udp", WEB.address, 5060)
VOICE6 = ServiceKey("udp", WEB6.address, 5060)
SIGNAL = ServiceKey("sctp", WEB.address, 2905)
ALL_PORTS = ServiceKey("tcp", WEB.address, 0)
MARK, MARK6 = MarkKey(5), MarkKey(5, 6)
LAST_MARK = MarkKey(4294967295)
KEYS = (VOICE, VOICE6, SIGNAL, ALL_PORTS, MARK, MARK6, LAST_MARK)
OURS = Scope(
    SCOPE.vips, sync=True, marks=frozenset({MARK, MARK6, LAST_MARK})
)  # nothing else is to be read at every step
SYNC = SyncDaemon("backup", "wan", 0, IPv4Address("224.0.0.81"), 8848, 1, 1472)


def walk(forms: Sequence[_T]) -> Iterator[_T]:
    """Yield the forms so that each ordered pair of them is at least once one after the other."""
    for number, form in enumerate(forms):
        yield form
        for other in forms[number + 1 :]:
            yield other
            yield form


def service_forms(key: AnyServiceKey) -> list[Service]:
    widest = 128 if key.version == 6 else 32
    forms = [Service(key, scheduler) for scheduler in get_args(Scheduler)]
    for name in ("sh", "mh"):
        port, fallback = f"{name}-port", f"{name}-fallback"
        forms += [Service(key, name, flags=frozenset(flags)) for flags in ([port], [fallback], [port, fallback])]
    forms += [Service(key, "rr", 300, widest), Service(key, "rr", 60, widest - 8), Service(key, "wlc", 2678400, 1)]
    sip = Service(key, "rr", 300, widest, engine="sip")
    return [*forms, Service(key, "rr", one_packet=True), sip, replace(sip, persistence_s=301, one_packet=True)]


def behind(key: AnyServiceKey, number: int = 1, port: int = 5060) -> Destination:
    """Return a real server of the service's family."""
    four, six = IPv4Address(0xC0A80000 + number), IPv6Address(f"2001:db8:0:1::{number}")
    address: HostAddress = six if key.version == 6 else four
    return Destination(DestinationKey(key, address, port), "nat", 1)


def destination_forms(key: AnyServiceKey) -> list[Destination]:
    nat = behind(key)
    direct, tunnel = replace(nat, forwarding="direct"), replace(nat, forwarding="tunnel")
    tunnels = [Tunnel("gre"), Tunnel("gre", 0, "csum"), Tunnel("gue", 6080), Tunnel("gue", 6081, "csum")]
    tunnels += [Tunnel("gue", 65535, "remcsum")]
    forms = [nat, direct, tunnel, *(replace(tunnel, tunnel=each) for each in tunnels)]
    forms += [replace(nat, weight=0), replace(nat, weight=65535), replace(tunnel, weight=3, tunnel=tunnels[2])]
    limits = [(10, 0), (10, 5), (10, 10), (2147483647, 2147483647)]
    return [*forms, *(replace(nat, upper=upper, lower=lower) for upper, lower in limits), replace(direct, upper=3)]


def ours(rig: Rig, *kinds: type[Item]) -> set[Item]:
    wanted = kinds or (Service, Destination)
    return {item for item in rig.plane.read(OURS).values() if isinstance(item, wanted)}


@pytest.mark.timeout(900)  # more than a thousand steps, each with a look at the kernel
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_service_becomes_anything_from_anything_in_place(rig: Rig, key: AnyServiceKey) -> None:
    forms = service_forms(key)
    if key != VOICE:
        forms = forms[::5]  # one kind of service walks every pair, the others show that they walk
    assert do(rig, Verb.ADD, forms[0], behind(key)) == ()
    for form in walk(forms):
        assert do(rig, Verb.SET, form) == ()
        assert ours(rig) == {form, behind(key)}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_destination_becomes_anything_from_anything_in_place(rig: Rig, key: AnyServiceKey) -> None:
    forms = destination_forms(key)
    if key != VOICE:
        forms = forms[::4]
    assert do(rig, Verb.ADD, Service(key, "wlc"), forms[0], behind(key, 2)) == ()
    for form in walk(forms):
        assert do(rig, Verb.SET, form) == ()
        assert ours(rig) == {Service(key, "wlc"), form, behind(key, 2)}


@pytest.mark.parametrize("key", [VOICE, MARK, MARK6], ids=str)
def test_whatever_is_added_reads_as_it_was_added(rig: Rig, key: AnyServiceKey) -> None:
    for service in service_forms(key):
        assert do(rig, Verb.ADD, service) == ()
        assert ours(rig) == {service}
        assert do(rig, Verb.DELETE, service) == ()
    assert do(rig, Verb.ADD, Service(key, "rr")) == ()
    for destination in destination_forms(key):
        assert do(rig, Verb.ADD, destination) == ()
        assert ours(rig, Destination) == {destination}
        assert do(rig, Verb.DELETE, destination) == ()


def test_services_of_all_kinds_live_beside_each_other(rig: Rig) -> None:
    items = {Service(key, "rr") for key in KEYS} | {behind(key) for key in KEYS}
    assert do(rig, Verb.ADD, *sorted(items, key=lambda item: isinstance(item, Destination))) == ()
    assert ours(rig) == items
    assert do(rig, Verb.DELETE, Service(MARK, "rr"), behind(MARK6), Service(SIGNAL, "rr")) == ()
    assert ours(rig) == items - {
        Service(MARK, "rr"),
        behind(MARK),
        behind(MARK6),
        Service(SIGNAL, "rr"),
        behind(SIGNAL),
    }


def test_marks_that_are_not_ours_are_not_seen(rig: Rig) -> None:
    assert do(rig, Verb.ADD, Service(MARK, "rr"), Service(MARK6, "rr"), behind(MARK)) == ()
    assert there(rig) == set()
    assert rig.plane.read(Scope(marks=frozenset({MARK6}))).keys() & set(KEYS) == {MARK6}


def test_a_server_behind_a_mark_is_known_by_its_port_too(rig: Rig) -> None:
    old, new = behind(MARK, port=80), replace(behind(MARK, port=8080), weight=7)
    assert do(rig, Verb.ADD, Service(MARK, "rr"), old, new, behind(MARK, port=0)) == ()
    assert ours(rig, Destination) == {old, new, behind(MARK, port=0)}
    assert do(rig, Verb.DELETE, new) == ()
    assert ours(rig, Destination) == {old, behind(MARK, port=0)}


@pytest.mark.parametrize("key", [VOICE, MARK], ids=str)
def test_another_port_is_planned_so_that_the_server_is_there_afterwards(rig: Rig, key: AnyServiceKey) -> None:
    old, new = behind(key, port=80), behind(key, port=8080)
    assert do(rig, Verb.ADD, Service(key, "rr"), old) == ()
    assert rig.plane.apply(plan(plane(Service(key, "rr"), old), plane(Service(key, "rr"), new)), 0.0) == ()
    assert ours(rig, Destination) == {new}


@pytest.mark.parametrize("verb", [Verb.ADD, Verb.SET])
def test_what_the_kernel_cannot_do_is_refused_with_its_reason(rig: Rig, verb: Verb) -> None:
    known, server = Service(VOICE, "rr"), behind(VOICE)
    assert do(rig, Verb.ADD, known, server) == ()
    wrong: list[tuple[Item, int]] = [
        (Service(VOICE, "none-such"), ENOENT),
        (Service(VOICE, "rr", 300, engine="none-such"), ENOENT),
        (replace(server, upper=5, lower=6), ERANGE),
        (replace(server, lower=1), ERANGE),
        (replace(server, forwarding="tunnel", tunnel=Tunnel("gue")), EINVAL),
    ]
    if verb is Verb.ADD:
        assert do(rig, Verb.DELETE, known) == ()
        wrong = [(item, code) for item, code in wrong if isinstance(item, Service)]
    failures = do(rig, verb, *(item for item, _ in wrong))
    assert [(failure.operation.item, failure.reason) for failure in failures] == [
        (item, os.strerror(code)) for item, code in wrong
    ]
    assert ours(rig) == (set() if verb is Verb.ADD else {known, server})


def test_mixed_families_and_sync_daemons_exclude_each_other(rig: Rig) -> None:
    mixed = replace(behind(VOICE6), key=DestinationKey(VOICE, behind(VOICE6).key.address, 5060), forwarding="tunnel")
    assert do(rig, Verb.ADD, Service(VOICE, "rr"), mixed) == ()
    assert [failure.reason for failure in do(rig, Verb.ADD, SYNC)] == [os.strerror(EINVAL)]
    assert do(rig, Verb.DELETE, mixed) == ()
    assert do(rig, Verb.ADD, SYNC) == ()
    assert [failure.reason for failure in do(rig, Verb.ADD, mixed)] == [os.strerror(EINVAL)]
    wanted = plane(Service(VOICE, "rr"), mixed)
    assert rig.plane.apply(plan(plane(Service(VOICE, "rr"), SYNC), wanted), 0.0) == ()
    assert ours(rig, Service, Destination, SyncDaemon) == set(wanted.values())
    assert rig.plane.apply(plan(wanted, plane(Service(VOICE, "rr"), SYNC)), 0.0) == ()
    assert ours(rig, Service, Destination, SyncDaemon) == {Service(VOICE, "rr"), SYNC}


def test_timeouts_are_set_one_by_one_and_read(rig: Rig) -> None:
    assert ours(rig, Timeout) == {Timeout("tcp", 900), Timeout("tcpfin", 120), Timeout("udp", 300)}
    assert do(rig, Verb.SET, Timeout("tcpfin", 1)) == ()
    assert ours(rig, Timeout) == {Timeout("tcp", 900), Timeout("tcpfin", 1), Timeout("udp", 300)}
    every: set[Item] = {Timeout("tcp", 2147483), Timeout("tcpfin", 60), Timeout("udp", 7)}
    assert do(rig, Verb.ADD, *every) == ()
    assert ours(rig, Timeout) == every
    (failure,) = do(rig, Verb.SET, Timeout("udp", 2**31 - 1))
    assert failure.reason == os.strerror(EINVAL)
    assert ours(rig, Timeout) == every
