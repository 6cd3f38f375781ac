"""Planes for tests: short ways to write items down, and any plane that hypothesis can think of."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from hypothesis import strategies as st

from clusterd.model import Forwarding
from clusterd.netfilter import Masquerade, Netfilter
from clusterd.plane import (
    Address,
    Destination,
    DestinationKey,
    Item,
    Key,
    Service,
    ServiceKey,
    SyncDaemon,
    SyncRole,
    Sysctl,
    plane,
)
from clusterd.sysctls import SYSCTLS

WEB = ServiceKey("tcp", IPv4Address("1.2.3.1"), 80)
MAIL = ServiceKey("tcp", IPv4Address("1.2.3.4"), 25)
VIP = Address("eth0", IPv4Interface("1.2.3.1/24"))
NAT = Netfilter((Masquerade(IPv4Network("192.168.1.0/24"), "eth0"),))
SYNC = SyncDaemon("backup", "eth1", 0, IPv4Address("224.0.0.81"), 8848, 1, 1472)
WAYS: tuple[Forwarding, ...] = ("nat", "direct", "tunnel")


def real(last: int, weight: int = 1, way: Forwarding = "nat", service: ServiceKey = WEB) -> Destination:
    """Return the real server 192.168.1.`last` behind a service."""
    return Destination(DestinationKey(service, IPv4Address(f"192.168.1.{last}"), service.port), way, weight)


@st.composite
def planes(draw: st.DrawFn) -> dict[Key, Item]:
    """Planes that are small and alike, so that two of them share most keys and differ in content."""
    items: list[Item] = []
    for number in draw(st.sets(st.integers(1, 3))):
        key = ServiceKey(draw(st.sampled_from(("tcp", "udp"))), IPv4Address(f"1.2.3.{number}"), 80)
        scheduler = draw(st.sampled_from(("rr", "wlc")))
        kept = draw(st.sampled_from(((0, 32), (300, 32), (300, 24))))
        items.append(Service(key, scheduler, *kept))
        for last in draw(st.sets(st.integers(1, 3))):
            items.append(real(last, draw(st.integers(0, 2)), draw(st.sampled_from(WAYS)), key))
    for number in draw(st.sets(st.integers(1, 3))):
        prefix = draw(st.sampled_from((24, 32)))
        items.append(Address(draw(st.sampled_from(("eth0", "eth1"))), IPv4Interface(f"1.2.3.{number}/{prefix}")))
    if draw(st.booleans()):
        sources = draw(st.sets(st.sampled_from(("10.0.0.0/8", "192.168.1.0/24"))))
        rules = tuple(Masquerade(IPv4Network(source), "eth0") for source in sorted(sources))
        items.append(Netfilter(rules, intact=draw(st.booleans())))
    roles: tuple[SyncRole, ...] = ("master", "backup")
    for role in draw(st.sets(st.sampled_from(roles))):
        items.append(replace(SYNC, role=role, id=draw(st.integers(0, 1))))
    items += [Sysctl(setting.name, draw(st.sampled_from("01"))) for setting in SYSCTLS if draw(st.booleans())]
    return plane(*items)
