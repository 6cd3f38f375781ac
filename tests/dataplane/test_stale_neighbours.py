"""Whoever takes an address over forgets which neighbour had it, in a namespace on whatever kernel the tests run on."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Interface, IPv6Interface

import pytest

from clusterd.clock import boottime_s
from clusterd.dataplane.addresses import Addresses
from clusterd.plane import Address, Operation, Verb
from tests.lab.namespaces import call, ip

ROUTER = f"stale-{os.getpid()}"
VIP, VIP6 = Address("wan", IPv4Interface("1.2.3.1/24")), Address("wan", IPv6Interface("2001:db8::1/64"))
OTHERS = ("1.2.3.9", "2001:db8::9")


@pytest.fixture(autouse=True)
def _router() -> Iterator[None]:
    ip([f"netns add {ROUTER}"])
    try:
        ip(["link add wan type veth peer name peer", "link set wan up", "link set peer up"], ROUTER)
        known = [
            f"neigh add {each} lladdr 02:00:00:00:00:09 dev wan nud stale" for each in (*OTHERS, *map(plain, BOTH))
        ]
        ip(known, ROUTER)
        yield
    finally:
        ip([f"netns del {ROUTER}"])


def plain(address: Address) -> str:
    return str(address.address.ip)


BOTH = (VIP, VIP6)


def neighbours() -> set[str]:
    listed = subprocess.run(["ip", "-n", ROUTER, "neigh"], capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in listed.splitlines()}


def apply(*operations: Operation) -> None:
    def work() -> None:
        with contextlib.closing(Addresses()) as made:
            assert made.apply(operations, boottime_s() + 60) == []

    call(ROUTER, work)


def test_who_had_an_address_is_forgotten_when_it_comes_and_who_has_another_is_not() -> None:
    assert neighbours() == {*OTHERS, *map(plain, BOTH)}
    apply(*(Operation(Verb.ADD, address) for address in BOTH))
    assert neighbours() == {*OTHERS}
    apply(*(Operation(Verb.ADD, address) for address in BOTH))  # once more: nobody is known


def test_letting_an_address_go_forgets_nobody() -> None:
    apply(Operation(Verb.DELETE, VIP))
    assert plain(VIP) in neighbours()
