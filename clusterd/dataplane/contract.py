"""What clusterd asks of a router's kernel: to be read, and to be changed by operations.

A data plane never looks at what is not in the scope, and never changes it. Calls are not concurrent: the router has
one writer. Times are seconds on CLOCK_BOOTTIME.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

from clusterd.plane import Address, AddressKey, Failure, HostAddress, Item, Key, Notice, Operation, Scope


class DataPlane(Protocol):
    """A kernel that can be read and changed. Raises ApplyError where it cannot be spoken to at all."""

    def read(self, scope: Scope) -> dict[Key, Item]:
        """Return what exists of ours: services on the VIPs of the scope, its addresses and sysctls, our nft table,
        and the sync daemons where the scope says that they are ours."""
        ...

    def reading(self, scope: Scope) -> Iterator[dict[Key, Item] | None]:
        """Do the same step by step: the last step gives what exists, None comes from those before it.

        Other calls may come between the steps: thousands of services take longer than an address may wait to be
        renewed. Addresses are read in the last one.
        """
        ...

    def review(self, keys: Collection[Key]) -> dict[Key, Item]:
        """Return what exists of these, and of a service all that is behind it. No destinations are named."""
        ...

    def apply(self, operations: Sequence[Operation], until_s: float) -> tuple[Failure, ...]:
        """Carry the operations out in their order and return those that the kernel refused.

        An ADD of what exists and a DELETE of what does not are no failures. Addresses are added only before `until_s`,
        for the whole seconds that are left until then, after which the kernel removes them by itself.
        """
        ...

    def renew(self, addresses: Iterable[Address], until_s: float) -> tuple[Failure, ...]:
        """Let addresses that exist live on until `until_s`, in whole seconds; one that is missing stays missing."""
        ...

    def announce(self, addresses: Iterable[Address]) -> None:
        """Tell the neighbours of those addresses that are here; loss is no error.

        By gratuitous ARP (RFC 5227, section 3), or an unsolicited advertisement (RFC 4861, section 7.2.6).

        What the kernel no longer has is not announced: whoever stood still for a while may not know that its time is
        over, and would take the address's packets from the one that has it now.
        """
        ...

    def listen(self, keys: Iterable[AddressKey], hosts: Iterable[HostAddress] = ()) -> None:
        """Heed other hosts' claims to these addresses and what these hosts say from now on, and no others."""
        ...

    def ask(self, hosts: Iterable[HostAddress]) -> None:
        """Ask neighbours whether they are there; an answer becomes a notice where it is listened for."""
        ...

    def without_carrier(self, interfaces: Iterable[str]) -> frozenset[str]:
        """Return those of the interfaces that are not there, not up, or have no cable."""
        ...

    def sources(self) -> tuple[int, ...]:
        """Return the file descriptors that become readable when there are notices."""
        ...

    def notices(self) -> list[Notice]:
        """Return what others did to addresses since the last call, without waiting; callable from any thread.

        Of very much, a part: the sources stay readable while there is more.
        """
        ...

    def close(self) -> None:
        """Let go of sockets. The kernel's state stays."""
        ...
