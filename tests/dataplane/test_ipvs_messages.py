"""IPVS items as the kernel is told of them, and as it tells of them: in its order, and in any other."""

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest

from clusterd.dataplane import ipvs_messages as messages
from clusterd.dataplane.netlink import attribute, attributes
from clusterd.plane import Destination, DestinationKey, MarkKey, Operation, ServiceKey, Tunnel, Verb

WEB = ServiceKey("tcp", IPv4Address("1.2.3.1"), 80)
DESTINATIONS = [
    Destination(DestinationKey(WEB, IPv4Address("192.168.1.1"), 8080), "nat", 3, upper=100, lower=50),
    Destination(DestinationKey(WEB, IPv6Address("fd00::1"), 80), "tunnel", 65535, Tunnel("gue", 6080, "csum")),
    Destination(DestinationKey(MarkKey(7, 6), IPv6Address("fd00::1"), 0), "direct", 0),
]
KERNELS_ORDER = (1, 2, 3, 4, 13, 14, 15, 5, 6, 7, 8, 9, 11)  # ip_vs_ctl.c, ip_vs_genl_fill_dest
ABSENT = {13: b"\0", 14: b"\0\0", 15: b"\0\0"} | {kind: struct.pack("=I", 9) for kind in (7, 8, 9)}


def told(destination: Destination) -> bytes:
    _, body = messages.message(Operation(Verb.ADD, destination))
    assert body.startswith(messages.which(destination.key.service))
    return dict(attributes(body))[messages.DESTINATION]


@pytest.mark.parametrize("destination", DESTINATIONS, ids=str)
def test_a_destination_is_read_as_it_was_told(destination: Destination) -> None:
    assert messages.destination(destination.key.service, told(destination)) == destination


@pytest.mark.parametrize("destination", DESTINATIONS, ids=str)
def test_a_destination_is_read_in_the_kernels_order_in_one_go(
    destination: Destination, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = ABSENT | dict(attributes(told(destination)))
    data = b"".join(attribute(kind, found[kind]) for kind in KERNELS_ORDER)
    monkeypatch.delattr(messages, "_destination_of")
    assert messages.destination(destination.key.service, data + attribute(12, b"stats")) == destination
