"""Checks through the data path: packets of a check that IPVS takes to one real server, as it takes clients'. Pure.

Behind direct routing or a tunnel a real server answers clients only where it has the VIP itself, which a check of its
own address does not see. So the check goes to the VIP, and its packets carry a firewall mark that IPVS knows as a
service with this real server alone:

    router's address ── mark ──▶ IPVS ──▶ real server, where the VIP must be ── answer of the VIP ──▶ router's address

There is one mark for each real server: the last 31 bits of its address, and for IPv6 of a hash of that, so that no
change of others ever moves it. 31, because ipvsadm prints marks as signed numbers and does not take negative ones.

IPVS knows connections by addresses and ports alone. One of UDP would stay for minutes, and lead a check of another
server to this one when that happens to have the same port: so datagrams leave none (one_packet). For TCP see
`clusterd.probing.leading`.
"""

import hashlib
from collections.abc import Iterator

from clusterd.model import Cluster, Server, Virtual, family, forwarding
from clusterd.plane import Destination, DestinationKey, MarkKey, Service, Tunnel

_MOST = 2**31 - 1
SCHEDULER = "rr"  # there is one to choose from


def path_mark(virtual: Virtual, server: Server) -> MarkKey:
    """Return by which mark packets go to this real server and to no other."""
    address = server.address
    number = address.packed if address.version == 4 else hashlib.blake2b(address.packed, digest_size=4).digest()
    return MarkKey(int.from_bytes(number, "big") & _MOST or 1, family(virtual))


def paths(cluster: Cluster) -> Iterator[Service | Destination]:
    """Yield what IPVS must have for these checks: a service by mark for each real server, with nobody else behind it.

    It is there for as long as the server is checked, whether it is up or down.
    """
    for virtual in cluster.virtuals.values():
        if virtual.enabled and virtual.check.data_path:
            for server in virtual.servers.values():
                if server.enabled:
                    yield from _path(cluster, virtual, server)


def _path(cluster: Cluster, virtual: Virtual, server: Server) -> Iterator[Service | Destination]:
    key, way = path_mark(virtual, server), forwarding(cluster, virtual, server)
    yield Service(key, SCHEDULER, one_packet=True)
    said = server.tunnel or virtual.tunnel
    tunnel = Tunnel(said.type, said.port or 0, said.checksum) if said and way == "tunnel" else Tunnel()
    yield Destination(DestinationKey(key, server.address, 0), way, 1, tunnel)  # port 0: the one that is asked for


def path_marks(cluster: Cluster) -> frozenset[MarkKey]:
    """Return the marks that are ours for these checks, wanted at the moment or not."""
    return frozenset(
        path_mark(virtual, server)
        for virtual in cluster.virtuals.values()
        if virtual.check.data_path
        for server in virtual.servers.values()
    )
