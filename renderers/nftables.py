"""A Cluster as a ruleset for `nft -f`: the table ``inet clusterd``, as a router has it.

Loading it replaces that table, and the ``ip clusterd`` that a router had before, in one transaction and touches no
other, as the router does; where there is nothing to say, the table goes.
"""

from collections.abc import Iterable, Iterator
from typing import get_args

from clusterd.desired import netfilter
from clusterd.model import Cluster, Protocol
from clusterd.netfilter import LET_IN, Mark, Masquerade, Netfilter, Protection, Untracked, ports_text
from renderers.rendering import Rendering, fill


def render(cluster: Cluster) -> Rendering:
    """Return the ruleset. The format can say all that there is, so there are no warnings."""
    return Rendering(fill("nftables.j2", tables=[text(table) for table in netfilter(cluster)]), ())


def text(table: Netfilter) -> dict[str, tuple[str, list[str]]]:
    """Return the chains that have rules: name -> (what it hooks, its rules)."""
    chains = {
        "prerouting": ("filter hook prerouting priority raw", [*map(_untracked, table.untracked)]),
        "marking": ("filter hook prerouting priority mangle", [*map(_mark, table.marks)]),
        "protection": ("filter hook input priority filter", [*_protection(table.protection)]),
        "postrouting": ("nat hook postrouting priority srcnat", [*map(_masquerade, table.masquerades)]),
    }
    return {name: chain for name, chain in chains.items() if chain[1]}


def _ip(version: int) -> str:
    return "ip" if version == 4 else "ip6"


def _one_of(values: Iterable[object]) -> str:
    written = [str(value) for value in values]
    return f"{{ {', '.join(written)} }}" if len(written) > 1 else written[0]


def _untracked(untracked: Untracked) -> str:
    place = f"{_ip(untracked.addresses[0].version)} daddr {_one_of(untracked.addresses)}"
    return f'iifname "{untracked.interface}" {place} fib daddr type != local notrack'


def _mark(mark: Mark) -> str:
    ports = _one_of(ports_text([each]) for each in mark.ports)
    place = f"{_ip(mark.address.version)} daddr {mark.address} {mark.protocol} dport {ports}"
    return f"{place} meta mark set 0x{mark.mark:08x}"


def _protection(protection: Protection) -> Iterator[str]:
    families = sorted({address.version for address in protection.addresses})
    for family in families:
        for protocol in get_args(Protocol):
            found = [
                each for each in protection.openings if (each.address.version, each.protocol) == (family, protocol)
            ]
            pairs = [f"{each.address} . {ports_text([ports])}" for each in found for ports in each.ports]
            if pairs:
                yield f"{_ip(family)} daddr . {protocol} dport {{ {', '.join(pairs)} }} accept"
    if families:
        yield from (f"{protocol} type {_one_of(kinds)} accept" for protocol, kinds in LET_IN.items())
        yield "ct direction reply accept"
    for family in families:
        addresses = [address for address in protection.addresses if address.version == family]
        yield f"{_ip(family)} daddr {_one_of(addresses)} drop"


def _masquerade(masquerade: Masquerade) -> str:
    source, family = masquerade.source, _ip(masquerade.source.version)
    host = source.prefixlen == source.max_prefixlen  # nft lists a host without its prefix
    deed = f"snat {family} to {masquerade.address}" if masquerade.address else "masquerade"
    place = f"{family} saddr {source.network_address if host else source}"
    return f'{place} oifname "{masquerade.interface}" {deed}'
