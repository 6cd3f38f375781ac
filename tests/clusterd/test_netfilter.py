"""What our nft table says: its values and their order."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from clusterd.netfilter import Mark, Masquerade, Netfilter, PortRange, Protection, Untracked, ranges

VIP = IPv4Address("1.2.3.1")


def in_order(*rules: Masquerade | Untracked | Mark) -> list[Masquerade | Untracked | Mark]:
    turned = list(reversed(rules))
    turned.sort(key=lambda rule: rule.order)
    return turned


def test_the_narrower_network_comes_first_since_the_first_rule_that_fits_decides() -> None:
    rules = (
        Masquerade(IPv4Network("192.168.1.7/32"), "eth0", VIP),
        Masquerade(IPv4Network("10.0.0.0/16"), "eth0"),
        Masquerade(IPv4Network("192.168.0.0/16"), "eth0"),
        Masquerade(IPv4Network("192.168.0.0/16"), "eth1"),
        Masquerade(IPv6Network("fd00::/64"), "eth0"),
        Masquerade(IPv6Network("::/0"), "eth0"),
    )
    assert in_order(*rules) == list(rules)


def test_what_is_untracked_and_marked_has_an_order_whatever_the_family() -> None:
    untracked = (
        Untracked("eth0", (VIP,)),
        Untracked("eth0", (IPv6Address("::1"),)),
        Untracked("eth1", (VIP,)),
    )
    assert in_order(*untracked) == list(untracked)
    marks = (
        Mark("tcp", VIP, ((80, 80),), 7),
        Mark("udp", VIP, ((53, 53),), 7),
        Mark("tcp", IPv6Address("::1"), ((80, 80),), 7),
    )
    assert in_order(*marks) == list(marks)


PORTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5)).map(lambda each: (each[0], sum(each))))


@given(PORTS)
def test_ranges_hold_the_same_ports_and_neither_overlap_nor_touch(ports: list[PortRange]) -> None:
    found = ranges(ports)
    assert {port for a, b in found for port in range(a, b + 1)} == {p for a, b in ports for p in range(a, b + 1)}
    assert all(before[1] + 1 < after[0] for before, after in pairwise(found))
    assert ranges(found) == found


def test_a_table_says_what_is_in_it() -> None:
    table = Netfilter(
        (Masquerade(IPv6Network("fd00::/64"), "eth0", IPv6Address("2001:db8::1")),),
        marks=(Mark("tcp", VIP, ((80, 80), (8000, 8010)), 7),),
        protection=Protection((VIP,)),
    )
    assert str(table) == (
        "nft table: masquerade fd00::/64 out eth0 as 2001:db8::1, mark 7 on tcp 1.2.3.1 port 80, 8000-8010, "
        "1 floating addresses protected"
    )
