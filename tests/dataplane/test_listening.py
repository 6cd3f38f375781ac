"""What is heard on the wire, in namespaces on whatever kernel the tests run on; IPVS is not needed.

[router] wan --- peer [neighbour]
"""

import contextlib
import os
import select
import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address

import pytest

from clusterd.dataplane.addresses import Addresses
from clusterd.dataplane.listening import Listener
from clusterd.dataplane.neighbours import announcements
from clusterd.plane import AddressKey, Answered, Claimed, HostAddress, LinkChanged, Notice
from tests.lab.namespaces import call, ip

ROUTER, NEIGHBOUR = (f"wire-{os.getpid()}-{name}" for name in ("router", "neighbour"))
VIP, VIP6 = IPv4Address("1.2.3.1"), IPv6Address("2001:db8::1")
HOST, HOST6 = IPv4Address("10.7.7.1"), IPv6Address("2001:db8:0:7::1")
FOREIGN = "02:00:00:00:00:99"
FAMILIES = pytest.mark.parametrize(("vip", "host"), [(VIP, HOST), (VIP6, HOST6)], ids=["IPv4", "IPv6"])
TWO_THOUSAND = tuple(IPv6Address(int(VIP6) + number) for number in range(1, 2001))


@pytest.fixture(scope="module", autouse=True)
def _wire() -> Iterator[None]:
    ip([f"netns add {ROUTER}", f"netns add {NEIGHBOUR}"])
    try:
        ip([f"link add wan type veth peer name peer netns {NEIGHBOUR}"], ROUTER)
        ip([f"addr add {HOST}/24 dev peer", f"addr add {HOST6}/64 dev peer nodad", "link set peer up"], NEIGHBOUR)
        own = [f"addr add {HOST + 1}/24 dev wan", f"addr add {HOST6 + 1}/64 dev wan nodad"]
        ip(["link set lo up", "link set wan up", *own], ROUTER)
        yield
    finally:
        ip([f"netns del {ROUTER}", f"netns del {NEIGHBOUR}"])


@pytest.fixture
def listener() -> Iterator[Listener]:
    with contextlib.closing(call(ROUTER, Listener)) as made:
        yield made


def claim(address: HostAddress) -> None:
    def work() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
            wire.bind(("peer", 0))
            wire.send(announcements(bytes.fromhex(FOREIGN.replace(":", "")), address)[-1])

    call(NEIGHBOUR, work)


def ask(*hosts: HostAddress) -> None:
    def work() -> None:
        with contextlib.closing(Addresses()) as addresses:
            addresses.ask(hosts)

    call(ROUTER, work)


def heard(listener: Listener, enough: Callable[[list[Notice]], bool] = bool) -> list[Notice]:
    """Return what came until it is enough, or for half a second; links come up when they like, and are left out."""
    found: list[Notice] = []
    while not enough(found) and select.select(listener.sources, [], [], 0.5)[0]:
        notices = call(ROUTER, listener.notices)
        found += [notice for notice in notices if not isinstance(notice, LinkChanged)]
    return found


@FAMILIES
def test_a_claim_is_heard_while_the_address_is_listened_for(
    listener: Listener, vip: HostAddress, host: HostAddress
) -> None:
    key = AddressKey("wan", vip)
    claim(vip)
    assert heard(listener) == []
    listener.listen([key])
    claim(host)
    claim(vip)
    assert heard(listener) == [Claimed(key, FOREIGN)]
    listener.listen([])
    claim(vip)
    assert heard(listener) == []


def test_an_address_with_the_same_last_bytes_is_another_one(listener: Listener) -> None:
    listener.listen([AddressKey("wan", VIP6)])
    claim(IPv6Address("2001:db8:f::1"))
    assert heard(listener) == []


@pytest.mark.parametrize("more", [(), (VIP6,)], ids=["as many as it holds", "one more"])
def test_as_many_addresses_as_there_are_are_heard(listener: Listener, more: tuple[IPv6Address, ...]) -> None:
    keys = [AddressKey("wan", address) for address in (*more, *TWO_THOUSAND)]
    listener.listen(keys)
    claim(TWO_THOUSAND[-1])
    assert heard(listener) == [Claimed(keys[-1], FOREIGN)]


@FAMILIES
def test_a_host_that_is_asked_answers_and_one_that_is_not_there_does_not(
    listener: Listener, vip: HostAddress, host: HostAddress
) -> None:
    listener.listen([], [host, host + 7])
    ask(vip, host + 7, host)
    assert heard(listener) == [Answered(host)]
