"""Words that several programs' files have in common, read as all of them do. Pure.

A word that is none raises ValueError with what is expected.
"""

from typing import Any

from clusterd.lvscf.values import HOST, NETMASK
from clusterd.reading import ipv6, number


def host(word: str) -> str:
    """Return an address of either family, one of IPv6 perhaps in brackets; names are not looked up."""
    address: Any = ipv6(word) or HOST.read(word)
    return str(address)


def client_bits(word: str) -> int:
    """Return how many bits of a client count: a netmask, or a prefix length (keepalived.conf(5), ldirectord(8))."""
    bits: Any = number(word) if word.isdigit() else NETMASK.read(word)
    return int(bits)
