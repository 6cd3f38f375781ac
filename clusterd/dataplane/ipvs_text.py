"""The kernel's own text of the IPVS table, /proc/net/ip_vs (ip_vs_ctl.c, ip_vs_info_seq_show).

It is read a hundred times faster than the table over netlink, and tells which services are worth asking for. It says
neither flags of schedulers, engines, limits nor tunnels.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from clusterd.model import Protocol
from clusterd.plane import AnyServiceKey, MarkKey, ServiceKey

_COUNTED = re.compile(rb"^(  -> \S+ +\S+ +[0-9]+) +[0-9]+ +[0-9]+ *$", re.MULTILINE)
_SERVICE = re.compile(rb"^((?:TCP|UDP|SCTP|FWM)  \S+) .*\n(?:  -> .*\n)*", re.MULTILINE)
_PROTOCOLS: dict[bytes, Protocol] = {b"TCP": "tcp", b"UDP": "udp", b"SCTP": "sctp"}


def blocks(table: bytes) -> dict[AnyServiceKey, bytes]:
    """Return what the text says of each service and what is behind it, less the connections that it counts there.

    It does not tell the family of a mark: what it says then is of both.
    """
    found: dict[AnyServiceKey, bytes] = {}
    for match in _SERVICE.finditer(_COUNTED.sub(rb"\1", table)):
        for key in _keys(match[1]):
            found[key] = found.get(key, b"") + match[0]
    return found


@lru_cache(maxsize=1 << 16)
def _keys(head: bytes) -> tuple[AnyServiceKey, ...]:
    """Return what the first words of a service's line may be the key of."""
    kind, where = head.split()
    if kind == b"FWM":
        return MarkKey(int(where, 16), 4), MarkKey(int(where, 16), 6)
    host, _, port = where.decode().rpartition(":")
    address = IPv6Address(host[1:-1]) if host.startswith("[") else IPv4Address(int(host, 16))
    return (ServiceKey(_PROTOCOLS[kind], address, int(port, 16)),)
