"""The one writer to the kernel: long work lets the renewal of lifetimes come in between."""

import asyncio
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Interface

from clusterd.clock import boottime_s
from clusterd.dataplane.memory import MemoryPlane
from clusterd.plane import Address, AddressKey, Failure, Item, Key, Scope, Service, ServiceKey, plane
from watchers.kernel_writer import AT_ONCE, TOLD_AT_ONCE, Deadlines, KernelWriter

MANY = tuple(Address("wan", IPv4Interface((0x0A000001 + n, 16))) for n in range(3 * TOLD_AT_ONCE + 1))


class Diary(MemoryPlane):
    """A kernel that remembers in which order it was asked."""

    def __init__(self) -> None:
        super().__init__(boottime_s)
        self.asked: list[str] = []

    def read(self, scope: Scope) -> dict[Key, Item]:
        """Remember it."""
        self.asked.append("read")
        return super().read(scope)

    def review(self, keys: Collection[Key]) -> dict[Key, Item]:
        """Remember how many of which."""
        addresses = sum(isinstance(key, AddressKey) for key in keys)
        self.asked.append(f"review {addresses} addresses, {len(keys) - addresses} services")
        return super().review(keys)

    def announce(self, addresses: Iterable[Address]) -> None:
        """Remember how many."""
        self.asked.append(f"announce {len(tuple(addresses))}")

    def renew(self, addresses: Iterable[Address], until_s: float) -> tuple[Failure, ...]:
        """Remember it."""
        self.asked.append("renew")
        return super().renew(addresses, until_s)


async def test_thousands_of_addresses_are_announced_in_slices_and_renewed_between_them() -> None:
    kernel = Diary()
    writer = KernelWriter(lambda: kernel)
    await writer.open()
    await asyncio.gather(writer.announce(MANY), writer.renew(MANY, boottime_s))
    await writer.close()
    whole = f"announce {TOLD_AT_ONCE}"
    assert kernel.asked == [whole, "renew", whole, whole, "announce 1"]


async def test_a_reading_lets_a_renewal_come_between_its_steps() -> None:
    kernel = Diary()
    writer = KernelWriter(lambda: kernel)
    await writer.open()
    await asyncio.gather(writer.read(Scope()), writer.renew(MANY, boottime_s))
    await writer.close()
    assert kernel.asked == ["renew", "read"]


async def test_services_are_read_back_in_slices_and_addresses_once() -> None:
    kernel = Diary()
    writer = KernelWriter(lambda: kernel)
    await writer.open()
    vip = IPv4Address("10.0.0.1")
    wanted = plane(*MANY, *(Service(ServiceKey("tcp", vip, port + 1), "wlc") for port in range(2 * AT_ONCE + 1)))
    scope = Scope(addresses=frozenset(address.key for address in MANY), vips=frozenset({vip}))
    deadlines = Deadlines(lambda _: boottime_s() + 60, {address.key: "default" for address in MANY})
    done = await writer.converge(wanted, scope, deadlines, look=True)
    await writer.close()
    assert done.converged
    assert done.actual.items() >= wanted.items()
    whole = f"review 0 addresses, {AT_ONCE} services"
    assert kernel.asked == [
        "read",
        f"review {len(MANY)} addresses, 0 services",
        whole,
        whole,
        "review 0 addresses, 1 services",
    ]
