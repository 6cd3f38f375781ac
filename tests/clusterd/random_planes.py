"""Planes that a kernel could have, made by a seed: a hundred thousand in the time of a few thousand of hypothesis."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address
from random import Random

from clusterd.model import Forwarding
from clusterd.netfilter import Masquerade, Netfilter
from clusterd.plane import (
    Address,
    AnyServiceKey,
    Destination,
    DestinationKey,
    HostAddress,
    Item,
    Key,
    MarkKey,
    Service,
    ServiceKey,
    SyncDaemon,
    Sysctl,
    Timeout,
    Tunnel,
    plane,
)
from clusterd.services import IPIP
from clusterd.sysctls import SYSCTLS

_KEYS: tuple[AnyServiceKey, ...] = (
    ServiceKey("tcp", IPv4Address("1.2.3.1"), 80),
    ServiceKey("udp", IPv4Address("1.2.3.1"), 80),
    ServiceKey("sctp", IPv4Address("1.2.3.2"), 0),
    ServiceKey("tcp", IPv6Address("2001:db8::1"), 80),
    MarkKey(1),
    MarkKey(1, 6),
    MarkKey(4294967295),
)
_HOSTS: tuple[HostAddress, ...] = (
    IPv4Address("192.168.1.1"),
    IPv4Address("192.168.1.2"),
    IPv6Address("2001:db8:1::1"),
    IPv6Address("2001:db8:1::2"),
)
_TUNNELS = (IPIP, Tunnel("gre"), Tunnel("gre", 0, "csum"), Tunnel("gue", 6080), Tunnel("gue", 6081, "remcsum"))
_FLAGS = {"sh": ((), ("sh-port",), ("sh-port", "sh-fallback")), "mh": ((), ("mh-port",), ("mh-fallback",))}
_SYNC = SyncDaemon("backup", "eth1", 0, IPv4Address("224.0.0.81"), 8848, 1, 1472)


def random_plane(dice: Random) -> dict[Key, Item]:
    """Return a plane that the kernel would let exist: small, so that two of them share most keys."""
    keys = dice.sample(_KEYS, dice.randrange(len(_KEYS)))
    mixing = dice.random() < 0.5  # destinations of both families, or sync daemons
    items: list[Item] = [_service(dice, key) for key in keys]
    items += [item for key in keys for item in _pool(dice, key, mixing)]
    items += () if mixing else _daemons(dice)
    items += [Timeout(name, dice.randrange(1, 3)) for name in ("tcp", "tcpfin", "udp") if dice.random() < 0.3]
    items += [Sysctl(setting.name, dice.choice("01")) for setting in SYSCTLS if dice.random() < 0.3]
    items += [_address(dice, number) for number in (1, 2, 3) if dice.random() < 0.4]
    if dice.random() < 0.5:
        rules = (Masquerade(IPv4Network("10.0.0.0/8"), "eth0"),) * dice.randrange(2)
        items.append(Netfilter(rules, intact=dice.random() < 0.8))
    return plane(*items)


def _service(dice: Random, key: AnyServiceKey) -> Service:
    scheduler = dice.choice(("rr", "wlc", "sh", "mh"))
    plain = Service(key, scheduler, flags=frozenset(dice.choice(_FLAGS.get(scheduler, ((),)))))
    widest = 128 if key.version == 6 else 32
    if dice.random() < 0.4:
        plain = replace(plain, persistence_s=dice.choice((60, 300)), persistence_prefix=dice.choice((24, widest)))
    udp = isinstance(key, MarkKey) or key.protocol == "udp"
    return replace(plain, one_packet=udp and dice.random() < 0.3, engine="sip" if udp and dice.random() < 0.3 else "")


def _pool(dice: Random, key: AnyServiceKey, mixing: bool) -> Iterator[Destination]:
    for host in dice.sample(_HOSTS, dice.randrange(len(_HOSTS))):
        mixed = host.version != key.version
        if mixed and not mixing:
            continue
        ports = (0, 80, 8080)
        for port in dice.sample(ports, dice.randrange(1, 3)):
            way: Forwarding = "tunnel" if mixed else dice.choice(("nat", "direct", "tunnel"))
            tunnel = dice.choice(_TUNNELS) if way == "tunnel" else IPIP
            upper = dice.choice((0, 0, 10))
            lower = dice.randrange(upper + 1)
            yield Destination(DestinationKey(key, host, port), way, dice.randrange(3), tunnel, upper, lower)


def _daemons(dice: Random) -> Iterator[SyncDaemon]:
    if dice.random() < 0.4:
        yield replace(_SYNC, id=dice.randrange(2))
    if dice.random() < 0.2:
        yield replace(_SYNC, role="master", id=dice.randrange(2))


def _address(dice: Random, number: int) -> Address:
    return Address(dice.choice(("eth0", "eth1")), IPv4Interface(f"1.2.3.{number}/{dice.choice((24, 32))}"))
