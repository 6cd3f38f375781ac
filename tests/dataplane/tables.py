"""Examples and random ones of our nft table."""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from hypothesis import strategies as st

from clusterd.model import Protocol
from clusterd.netfilter import Mark, Masquerade, Netfilter, Opening, Protection, Untracked, ranges

VIP, VIP6 = IPv4Address("1.2.3.1"), IPv6Address("2001:db8::1")
ONE = Netfilter(
    (Masquerade(IPv4Network("192.168.1.0/24"), "eth0"),),
    (Untracked("eth0", (VIP, IPv4Address("1.2.3.4"))),),
)
RICH = Netfilter(
    (
        Masquerade(IPv4Network("192.168.1.7/32"), "eth0", VIP),
        Masquerade(IPv4Network("192.168.0.0/16"), "eth0"),
        Masquerade(IPv6Network("fd00::7/128"), "eth0", VIP6),
        Masquerade(IPv6Network("fd00::/64"), "eth0"),
    ),
    (
        Untracked("eth0", (VIP, IPv4Address("1.2.3.4"))),
        Untracked("eth0", (IPv6Address("::ffff:1.2.3.4"), VIP6)),
        Untracked("eth1", (IPv6Address("fd00::fe"),)),
    ),
    (
        Mark("tcp", VIP, ((80, 80), (443, 443), (8000, 8010)), 7),
        Mark("udp", VIP, ((53, 53),), 0xFFFFFFFF),
        Mark("tcp", VIP6, ((1024, 65535),), 1),
    ),
    Protection(
        (VIP, IPv4Address("1.2.3.4"), VIP6),
        (
            Opening("tcp", VIP, ((80, 81), (443, 443))),
            Opening("udp", VIP, ((53, 53),)),
            Opening("tcp", IPv4Address("1.2.3.4"), ((22, 22),)),
            Opening("tcp", VIP6, ((80, 80),)),
        ),
    ),
)


def _ordered(kind: Callable[[Any], Any], rules: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(set(rules), key=kind))


def _order(rule: Any) -> Any:
    return rule.order


INTERFACES = st.from_regex(r"[A-Za-z0-9_.-]{1,15}", fullmatch=True)
V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(IPv6Address)
HOSTS = V4 | V6
NETWORKS = st.builds(
    lambda n, bits: IPv4Network((n >> (32 - bits) << (32 - bits), bits)), st.integers(0, 2**32 - 1), st.integers(0, 32)
) | st.builds(
    lambda n, bits: IPv6Network((n >> (128 - bits) << (128 - bits), bits)),
    st.integers(0, 2**128 - 1),
    st.integers(0, 128),
)
PORTS = st.lists(st.tuples(st.integers(1, 65535), st.integers(0, 9)), min_size=1, max_size=4).map(
    lambda found: ranges((first, min(65535, first + more)) for first, more in found)
)
PROTOCOLS: st.SearchStrategy[Protocol] = st.sampled_from(("tcp", "udp"))
MASQUERADES = st.builds(
    lambda source, interface, v4, v6, fixed: Masquerade(
        source, interface, (v4, v6)[source.version == 6] if fixed else None
    ),
    NETWORKS,
    INTERFACES,
    V4,
    V6,
    st.booleans(),
)
UNTRACKED = st.dictionaries(
    st.tuples(INTERFACES, st.sampled_from((4, 6))),
    st.tuples(st.sets(V4, min_size=1), st.sets(V6, min_size=1)),
    max_size=3,
).map(
    lambda found: [Untracked(name, tuple(sorted(both[family == 6]))) for (name, family), both in found.items()]  # type: ignore[arg-type]
)
MARKS = st.builds(Mark, PROTOCOLS, HOSTS, PORTS, st.integers(1, 2**32 - 1))
PROTECTIONS = st.dictionaries(HOSTS, st.dictionaries(PROTOCOLS, PORTS), max_size=4).map(
    lambda found: Protection(
        tuple(sorted(found, key=lambda address: (address.version, int(address)))),
        _ordered(_order, (Opening(p, a, ports) for a, each in found.items() for p, ports in each.items())),
    )
)
TABLES = st.builds(
    lambda rules, untracked, marks, protection: Netfilter(
        _ordered(_order, rules), _ordered(_order, untracked), _ordered(_order, marks), protection
    ),
    st.lists(MASQUERADES, max_size=3),
    UNTRACKED,
    st.lists(MARKS, max_size=3),
    PROTECTIONS,
)
