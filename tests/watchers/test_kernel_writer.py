"""The one writer to the kernel: long work lets the renewal of lifetimes come in between."""

import asyncio
from collections.abc import Iterable
from ipaddress import IPv4Interface

from clusterd.clock import boottime_s
from clusterd.dataplane.memory import MemoryPlane
from clusterd.plane import Address, Failure
from watchers.kernel_writer import TOLD_AT_ONCE, KernelWriter

MANY = tuple(Address("wan", IPv4Interface((0x0A000001 + n, 16))) for n in range(3 * TOLD_AT_ONCE + 1))


class Diary(MemoryPlane):
    """A kernel that remembers in which order it was asked."""

    def __init__(self) -> None:
        super().__init__(boottime_s)
        self.asked: list[str] = []

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
