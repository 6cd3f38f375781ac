"""Which address a router's own packets come from, in a namespace on whatever kernel the tests run on."""

import contextlib
import os
import socket
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface

import pytest

from clusterd.clock import boottime_s
from clusterd.dataplane.addresses import Addresses
from clusterd.plane import Address, Operation, Verb
from tests.lab.namespaces import call, ip

ROUTER = f"sources-{os.getpid()}"
OWN, OWN6 = "1.2.3.2", "2001:db8::2"
FAR, FAR6 = "1.2.3.100", "2001:db8::100"
VIP, VIP6 = Address("wan", IPv4Interface("1.2.3.1/24")), Address("wan", IPv6Interface("2001:db8::1/64"))


@pytest.fixture(autouse=True)
def _router() -> Iterator[None]:
    ip([f"netns add {ROUTER}"])
    try:
        ip(["link add wan type veth peer name peer", "link set wan up", "link set peer up"], ROUTER)
        ip([f"addr add {OWN}/24 dev wan", f"addr add {OWN6}/64 dev wan nodad"], ROUTER)
        yield
    finally:
        ip([f"netns del {ROUTER}"])


def give(*addresses: Address) -> None:
    def work() -> None:
        with contextlib.closing(Addresses()) as made:
            assert made.apply([Operation(Verb.ADD, address) for address in addresses], boottime_s() + 60) == []
            assert made.renew(addresses, boottime_s() + 60) == []

    call(ROUTER, work)


def source(host: str) -> str:
    def work() -> str:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, 9))
            name: str = probe.getsockname()[0]
            return name

    return call(ROUTER, work)


def test_what_a_router_sends_comes_from_its_own_address_and_not_from_a_floating_one() -> None:
    give(VIP, VIP6)
    assert [source(host) for host in (FAR, FAR6)] == [OWN, OWN6]


def test_a_router_without_an_address_of_its_own_sends_from_the_floating_one() -> None:
    ip([f"addr del {OWN}/24 dev wan", f"addr del {OWN6}/64 dev wan"], ROUTER)
    give(VIP, VIP6)
    assert [source(host) for host in (FAR, FAR6)] == [str(VIP.address.ip), str(VIP6.address.ip)]
