"""What our own nft table says, as values. They are in one order, so that equal tables are equal values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from clusterd.model import Protocol

_Host = IPv4Address | IPv6Address
PortRange = tuple[int, int]  # first and last; of a single port both are that

# What a protected address lets in beside its ports: pings, errors (path MTU discovery needs them), neighbour discovery.
LET_IN: Mapping[str, tuple[str, ...]] = {  # protocol -> its types as nft(8) writes them, by number
    "icmp": ("destination-unreachable", "echo-request", "time-exceeded", "parameter-problem"),
    "icmpv6": (
        *("destination-unreachable", "packet-too-big", "time-exceeded", "parameter-problem", "echo-request"),
        *("nd-router-solicit", "nd-router-advert", "nd-neighbor-solicit", "nd-neighbor-advert"),
    ),
}


def ranges(ports: Iterable[PortRange]) -> tuple[PortRange, ...]:
    """Return the same ports in order, those that overlap or touch as one: nft lists them so (nft(8), auto-merge)."""
    found: list[PortRange] = []
    for first, last in sorted(ports):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def ports_text(ports: Iterable[PortRange]) -> str:
    """Return ports as nft(8) writes them: 80, 8000-8010."""
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in ports)


@dataclass(frozen=True, slots=True)
class Masquerade:
    """Packets from `source` leave through `interface` under this address, or under that interface's own."""

    source: IPv4Network | IPv6Network
    interface: str
    address: _Host | None = None  # of the source's family

    @property
    def order(self) -> tuple[int, int, int, str, str]:
        """Narrower networks come first: the first rule that fits decides."""
        network = self.source
        return network.version, -network.prefixlen, int(network.network_address), self.interface, str(self.address)

    def __str__(self) -> str:
        return f"masquerade {self.source} out {self.interface}{f' as {self.address}' if self.address else ''}"


@dataclass(frozen=True, slots=True)
class Untracked:
    """Packets for these floating addresses, coming in where the addresses live, are not tracked while we lack them.

    Whoever sent them here has not heard yet that the address moved, so they are passed on. Tracked, they would leave a
    connection behind that there is not; when the client uses its port again and this router has the address then, IPVS
    takes the new connection for that one and drops its first packet, which costs the client a second
    (ip_vs_core.c, ip_vs_in_hook: conn_reuse_mode). Neighbour discovery is never tracked (nf_conntrack_proto_icmpv6.c).
    """

    interface: str
    addresses: tuple[IPv4Address, ...] | tuple[IPv6Address, ...]  # sorted, of one family

    @property
    def order(self) -> tuple[str, int]:
        """By interface, then by family."""
        return self.interface, self.addresses[0].version

    def __str__(self) -> str:
        return f"{len(self.addresses)} floating addresses on {self.interface} untracked elsewhere"


@dataclass(frozen=True, slots=True)
class Mark:
    """Packets to these ports of a floating address carry a firewall mark, so that they are one service.

    All packets of a connection do (ipvsadm(8), -f).
    """

    protocol: Protocol
    address: _Host
    ports: tuple[PortRange, ...]  # as `ranges` returns them
    mark: int  # 1 … 2³² − 1

    @property
    def order(self) -> tuple[int, int, str, tuple[PortRange, ...], int]:
        """By address, then by protocol and ports."""
        return self.address.version, int(self.address), self.protocol, self.ports, self.mark

    def __str__(self) -> str:
        return f"mark {self.mark} on {self.protocol} {self.address} port {ports_text(self.ports)}"


@dataclass(frozen=True, slots=True)
class Opening:
    """Ports of a protected address that are served."""

    protocol: Protocol
    address: _Host
    ports: tuple[PortRange, ...]  # as `ranges` returns them

    @property
    def order(self) -> tuple[int, int, str]:
        """By address, then by protocol."""
        return self.address.version, int(self.address), self.protocol


@dataclass(frozen=True, slots=True)
class Protection:
    """To these floating addresses come only the openings, what is in `LET_IN`, and answers to what we asked.

    IPVS takes what comes in as for the router itself, behind the filters (ip_vs_core.c, ip_vs_ops4: priority 98, 99).
    What is only forwarded is not meant, such as the real servers' packets through the gateway.
    """

    addresses: tuple[_Host, ...] = ()  # IPv4 before IPv6, sorted
    openings: tuple[Opening, ...] = ()  # each address and protocol once, by `order`


@dataclass(frozen=True, slots=True, order=True)
class NetfilterKey:
    """There is one own nft table, replaced as a whole."""


@dataclass(frozen=True, slots=True)
class Netfilter:
    """Our own nft table, rules by their `order`; `intact` is false where a read-back found what we never write."""

    masquerades: tuple[Masquerade, ...]
    untracked: tuple[Untracked, ...] = ()  # one an interface and family
    marks: tuple[Mark, ...] = ()
    protection: Protection = Protection()
    intact: bool = True

    @property
    def key(self) -> NetfilterKey:
        """The same for every content."""
        return NetfilterKey()

    def __str__(self) -> str:
        rules = [str(rule) for rule in (*self.masquerades, *self.untracked, *self.marks)]
        if self.protection.addresses:
            rules.append(f"{len(self.protection.addresses)} floating addresses protected")
        return f"nft table: {', '.join(rules) or 'empty'}{'' if self.intact else ' and foreign content'}"
