"""Renewing the lifetimes of held addresses, in a namespace on whatever kernel the tests run on."""

import contextlib
import json
import os
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface

import pytest

from clusterd.clock import boottime_s
from clusterd.dataplane.addresses import Addresses
from clusterd.dataplane.lifetimes import Lifetimes
from clusterd.plane import Address, Operation, Verb
from tests.lab.namespaces import call, ip, run

ROUTER = f"renewing-{os.getpid()}"
HELD = (
    Address("wan", IPv4Interface("1.2.3.1/24")),
    Address("wan", IPv4Interface("1.2.3.4/24")),
    Address("wan", IPv6Interface("2001:db8::1/64")),
)


@pytest.fixture(autouse=True)
def _router() -> Iterator[None]:
    ip([f"netns add {ROUTER}"])
    try:
        plug()
        yield
    finally:
        ip([f"netns del {ROUTER}"])


def plug() -> None:
    ip(["link add wan type veth peer name peer", "link set wan up", "link set peer up"], ROUTER)


@pytest.fixture
def addresses() -> Iterator[Addresses]:
    with contextlib.closing(call(ROUTER, Addresses)) as made:
        yield made


def give(addresses: Addresses) -> None:
    adding = [Operation(Verb.ADD, address) for address in HELD]
    assert call(ROUTER, addresses.apply, adding, boottime_s() + 30) == []


def renew(addresses: Addresses) -> None:
    assert call(ROUTER, addresses.renew, HELD, boottime_s() + 500) == []


def lifetimes_s() -> dict[str, int]:
    """Return how long the kernel keeps each address that it does not keep for ever."""
    (wan,) = json.loads(run(ROUTER, ["ip", "-json", "addr", "show", "wan"]).stdout)
    return {each["local"]: each["valid_life_time"] for each in wan["addr_info"] if each["scope"] == "global"}


def test_what_is_there_is_renewed_and_what_somebody_removed_does_not_come_back(addresses: Addresses) -> None:
    give(addresses)
    renew(addresses)
    assert set(lifetimes_s()) == {str(each.address.ip) for each in HELD}
    assert min(lifetimes_s().values()) > 400
    ip(["addr del 1.2.3.4/24 dev wan"], ROUTER)
    renew(addresses)
    assert set(lifetimes_s()) == {"1.2.3.1", "2001:db8::1"}


def test_the_same_addresses_are_renewed_on_an_interface_that_went_and_came_with_another_index(
    addresses: Addresses,
) -> None:
    give(addresses)
    renew(addresses)
    ip(["link del wan", "link add other type veth peer name far"], ROUTER)  # that one gets the index
    plug()
    renew(addresses)
    assert lifetimes_s() == {}
    give(addresses)
    renew(addresses)
    assert min(lifetimes_s().values()) > 400


def test_an_address_with_a_peer_is_listed_as_ours_and_not_the_peers() -> None:
    ip(["addr add 1.2.3.5 peer 1.2.3.6/32 dev wan", "addr add 2001:db8::5 peer 2001:db8::6/128 dev wan"], ROUTER)
    with contextlib.closing(call(ROUTER, Lifetimes)) as listed:
        assert IPv4Interface("1.2.3.5/32") in {each for _, each in listed.present(4)}
        assert IPv6Interface("2001:db8::5/128") in {each for _, each in listed.present(6)}
