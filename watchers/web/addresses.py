"""Where the console listens, and which address a request comes from. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from clusterd.errors import wrong

Networks = Sequence[IPv4Network | IPv6Network]


@dataclass(frozen=True, slots=True)
class Listen:
    """An address of this host, and a TCP port."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this host reaches it."""
        return ip_address(self.host).is_loopback


def listen(said: str) -> Listen:
    """Return what ``127.0.0.1:8480`` or ``[::1]:8480`` means. ConfigError where it is no address with a port."""
    host, _, port = said.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        address, number = ip_address(bare), int(port)
    except ValueError:
        raise wrong("web_listen", f"an address and a port are expected (127.0.0.1:8480), not {said}") from None
    if not 0 <= number <= 65535 or (bare != host) != (address.version == 6):
        raise wrong("web_listen", f"an address and a port are expected (127.0.0.1:8480, [::1]:8480), not {said}")
    return Listen(bare, number)


def client(peer: str, forwarded: str, proxies: Networks) -> str:
    """Return who asks: the peer, or whom a trusted proxy names last in X-Forwarded-For that is no such proxy itself.

    What others put before that into the header is not believed.
    """
    who = peer
    for named in reversed([one.strip() for one in forwarded.split(",")]):
        if not trusted(who, proxies) or not _address(named):
            break
        who = named
    return who


def trusted(peer: str, proxies: Networks) -> bool:
    """Tell whether a peer is one of the proxies whose headers are believed."""
    return _address(peer) and any(ip_address(peer) in network for network in proxies)


def neighbourhood(address: str) -> str:
    """Return what counts as one place where attempts are counted: an IPv4 address, or a network /64 of IPv6."""
    if not _address(address):
        return address
    known = ip_address(address)
    return str(IPv6Network((known, 64), strict=False)) if isinstance(known, IPv6Address) else address


def _address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
