"""What our nft table should say for a cluster.

It is the same on every router, whichever is active: taking over changes nothing in it.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv6Address

from clusterd.model import Cluster, Protocol, port_ranges
from clusterd.netfilter import Mark, Masquerade, Netfilter, Opening, PortRange, Protection, Untracked, ranges
from clusterd.plane import Address, HostAddress


def tables(cluster: Cluster, floating: Iterable[Address]) -> tuple[Netfilter, ...]:
    """Return our nft table, if anything is to be in it."""
    settings, marks = cluster.settings, tuple(_marks(cluster))
    masquerades = [Masquerade(each.source, each.interface, each.address) for each in settings.masquerade]
    wanted = Netfilter(
        tuple(sorted(masquerades, key=lambda each: each.order)),
        tuple(sorted(_untracked(floating), key=lambda each: each.order)),
        tuple(sorted(marks, key=lambda each: each.order)),
        _protection(cluster, marks) if settings.protect else Protection(),
    )
    return (wanted,) if wanted != Netfilter(()) else ()


def _marks(cluster: Cluster) -> Iterator[Mark]:
    for virtual in cluster.virtuals.values():
        if virtual.enabled and virtual.address is not None and virtual.mark is not None and virtual.ports:
            yield Mark(virtual.protocol, virtual.address.ip, ranges(port_ranges(virtual)), virtual.mark)


def _untracked(floating: Iterable[Address]) -> Iterator[Untracked]:
    v4: dict[str, set[IPv4Address]] = {}
    v6: dict[str, set[IPv6Address]] = {}
    for each in floating:
        if isinstance(each.address, IPv4Interface):
            v4.setdefault(each.interface, set()).add(each.address.ip)
        else:
            v6.setdefault(each.interface, set()).add(each.address.ip)
    yield from (Untracked(interface, tuple(sorted(addresses))) for interface, addresses in v4.items())
    yield from (Untracked(interface, tuple(sorted(addresses))) for interface, addresses in v6.items())


def _protection(cluster: Cluster, marks: Iterable[Mark]) -> Protection:
    """Return which addresses are protected, and which of their ports are served."""
    ports: dict[tuple[Protocol, HostAddress], set[PortRange]] = {}
    unknown: set[HostAddress] = set()  # others' rules mark what they like of these, which is not for us to drop
    for virtual in cluster.virtuals.values():
        if not virtual.enabled or virtual.address is None:
            continue
        if virtual.port is not None:
            own = (virtual.port, virtual.port) if virtual.port else (1, 65535)
            ports.setdefault((virtual.protocol, virtual.address.ip), set()).add(own)
        elif not virtual.ports:
            unknown.add(virtual.address.ip)
    for mark in marks:
        ports.setdefault((mark.protocol, mark.address), set()).update(mark.ports)
    addresses = {address for _, address in ports} - unknown
    ports = {key: found for key, found in ports.items() if key[1] in addresses}
    openings = (Opening(protocol, address, ranges(found)) for (protocol, address), found in ports.items())
    return Protection(
        tuple(sorted(addresses, key=lambda address: (address.version, int(address)))),
        tuple(sorted(openings, key=lambda opening: opening.order)),
    )
