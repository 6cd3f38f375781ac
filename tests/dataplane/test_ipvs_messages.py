"""IPVS items as the kernel is told of them, and as it tells of them: in its order, and in any other."""

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

import pytest

from clusterd.dataplane import ipvs_messages as messages
from clusterd.dataplane.netlink import attribute, attributes
from clusterd.plane import Destination, DestinationKey, MarkKey, Operation, Service, ServiceKey, Tunnel, Verb

WEB = ServiceKey("tcp", IPv4Address("1.2.3.1"), 80)
DESTINATIONS = [
    Destination(DestinationKey(WEB, IPv4Address("192.168.1.1"), 8080), "nat", 3, upper=100, lower=50),
    Destination(DestinationKey(WEB, IPv6Address("fd00::1"), 80), "tunnel", 65535, Tunnel("gue", 6080, "csum")),
    Destination(DestinationKey(MarkKey(7, 6), IPv6Address("fd00::1"), 0), "direct", 0),
]
KERNELS_ORDER = (1, 2, 3, 4, 13, 14, 15, 5, 6, 7, 8, 9, 11)  # ip_vs_ctl.c, ip_vs_genl_fill_dest
KINDS = {"weight": 4, "upper": 5, "lower": 6, "active": 7, "inactive": 8, "persistent": 9}
ABSENT = {13: b"\0", 14: b"\0\0", 15: b"\0\0"} | {kind: struct.pack("=I", 9) for kind in (7, 8, 9)}


def told(destination: Destination) -> bytes:
    _, body = messages.message(Operation(Verb.ADD, destination))
    assert body.startswith(messages.which(destination.key.service))
    return dict(attributes(body))[messages.DESTINATION]


@pytest.mark.parametrize("destination", DESTINATIONS, ids=str)
def test_a_destination_is_read_as_it_was_told(destination: Destination) -> None:
    assert messages.destination(destination.key.service, told(destination)) == destination


def read(destination: Destination, order: Iterable[int] = KERNELS_ORDER, **other: int) -> bytes:
    """Return what a kernel says of it; `other` has the numbers that are others than those it was told, by name."""
    numbers = {KINDS[name]: struct.pack("=I", number) for name, number in other.items()}
    found = ABSENT | dict(attributes(told(destination))) | numbers
    return b"".join(attribute(kind, found[kind]) for kind in order) + attribute(12, str(other).encode())


@pytest.mark.parametrize("destination", DESTINATIONS, ids=str)
def test_a_destination_is_read_in_the_kernels_order_in_one_go(
    destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read(destination)
    monkeypatch.delattr(messages, "_destination_of")
    assert messages.destination(destination.key.service, data) == destination


@pytest.mark.parametrize("destination", DESTINATIONS, ids=str)
def test_while_only_what_is_counted_changes_the_rest_is_the_same_bytes(destination: Destination) -> None:
    before = messages.uncounted(read(destination))
    assert messages.uncounted(read(destination, active=1, inactive=2, persistent=3)) == before


@pytest.mark.parametrize("name", ["weight", "upper", "lower"])
def test_what_is_configured_changes_these_bytes(name: str) -> None:
    assert messages.uncounted(read(DESTINATIONS[0], KERNELS_ORDER, **{name: 1})) != messages.uncounted(
        read(DESTINATIONS[0])
    )


def test_addresses_of_both_families_with_the_same_bytes_are_told_apart() -> None:
    short, long = IPv4Address("192.168.1.1"), IPv6Address(IPv4Address("192.168.1.1").packed.ljust(16, b"\0"))
    one, other = (Destination(DestinationKey(WEB, host, 80), "tunnel", 1) for host in (short, long))
    assert messages.uncounted(read(one)) != messages.uncounted(read(other))


SERVICES = [
    Service(WEB, "wlc"),
    Service(ServiceKey("udp", IPv6Address("fd00::2"), 53), "mh", 60, 64, frozenset({"mh-port"}), one_packet=True),
    Service(MarkKey(7, 6), "sh", engine="sip"),
]


def serving(service: Service, counted: Iterable[tuple[int, bytes]]) -> bytes:
    """Return what a kernel says of a service, with what it counted."""
    _, body = messages.message(Operation(Verb.ADD, service))
    (told,) = (payload for _, payload in attributes(body))
    return told + b"".join(attribute(*each) for each in counted)


@pytest.mark.parametrize("service", SERVICES, ids=str)
@pytest.mark.parametrize("sizes", [(88, 120), (80, 120), (88,), ()], ids=str)
def test_a_service_is_what_it_is_whatever_it_counted(service: Service, sizes: tuple[int, ...]) -> None:
    for filled in (b"\0", b"\xff"):
        data = serving(service, zip((10, 12), (filled * size for size in sizes), strict=False))
        assert messages.service(data) == service


def test_services_that_are_as_they_were_are_the_same_objects() -> None:
    one, other = (serving(SERVICES[0], ((10, filled * 88), (12, filled * 120))) for filled in (b"\0", b"\xff"))
    assert messages.service(one) is messages.service(other)


def test_of_attributes_in_another_order_none_is_taken_for_counted() -> None:
    data = read(DESTINATIONS[0], reversed(KERNELS_ORDER))
    assert messages.uncounted(data) == data
