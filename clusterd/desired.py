"""What should exist on a router: the cluster, the verdicts on its real servers and the router's role as a plane.

Every router has the whole IPVS table, the masquerading and the kernel settings; only a group's active one has its
floating addresses, so that taking over is adding addresses and nothing else.
"""

from collections.abc import Collection, Iterator, Mapping

from clusterd.filtering import tables
from clusterd.groups import gateways
from clusterd.model import Cluster, Sync, Virtual, forwarding
from clusterd.netfilter import Netfilter
from clusterd.plane import (
    Address,
    AddressKey,
    Destination,
    DestinationKey,
    Item,
    Key,
    Scope,
    Service,
    ServiceKey,
    SyncDaemon,
    SyncRole,
    plane,
)
from clusterd.sysctls import sysctls

_FRAME_BYTES = 1500  # the kernel's own assumption, whatever the interface has (ip_vs_sync.c, start_sync_thread)
_HEADER_BYTES = {4: 20 + 8, 6: 40 + 8}  # IP and UDP

ServerId = tuple[str, str]  # names of the virtual server and the real server


def desired(cluster: Cluster, up: Mapping[ServerId, bool], active_groups: Collection[str] = ()) -> dict[Key, Item]:
    """Return the plane that this cluster wants on a router that is active in these groups.

    `up` holds the verdicts; a real server without one is not in the pool yet. A server that is down leaves the pool,
    or stays at weight 0 where the virtual server says `quiesce`. A drained server has weight 0 while it is up. The
    sorry server steps in when every enabled server is down or drained.
    """
    items: list[Item] = [*sysctls(cluster, floating(cluster))]
    items += netfilter(cluster)
    for name, virtual in cluster.virtuals.items():
        if virtual.enabled:
            items += _service(virtual)
            items += _pool(cluster, name, virtual, up)
    items += floating(cluster, active_groups)
    return plane(*items)


def sync_daemons(cluster: Cluster, sending: bool) -> dict[Key, Item]:
    """Return the daemons that synchronise connections: every router takes in, and the one with the traffic sends.

    One that goes on taking in while it is active misses nothing that its predecessor still sends, and knows how long
    it has been listening. One that sends without traffic would spread the age of what it only heard of: the kernel
    sends a connection again when it renews it for others that hang on it (ip_vs_conn.c, ip_vs_conn_expire).
    """
    sync = cluster.settings.sync
    if not sync:
        return {}
    return plane(*[_sync_daemon(sync, "backup"), *([_sync_daemon(sync, "master")] if sending else [])])


def _sync_daemon(sync: Sync, role: SyncRole) -> SyncDaemon:
    maxlen = sync.maxlen or _FRAME_BYTES - _HEADER_BYTES[sync.group.version]
    return SyncDaemon(role, sync.interface, sync.id, sync.group, sync.port, sync.ttl, maxlen)


def netfilter(cluster: Cluster) -> tuple[Netfilter, ...]:
    """Return our nft table, if anything is to be in it."""
    return tables(cluster, floating(cluster))


def service_key(virtual: Virtual) -> ServiceKey:
    """Return what IPVS knows the virtual server by."""
    return ServiceKey(virtual.protocol, virtual.address.ip, virtual.port)


def destination_key(virtual: Virtual, server: str) -> DestinationKey:
    """Return what IPVS knows a real server of the virtual server by."""
    real = virtual.servers[server]
    return DestinationKey(service_key(virtual), real.address, real.port or virtual.port)


def _service(virtual: Virtual) -> Iterator[Service]:
    kept = virtual.persistence
    if kept:
        prefix = kept.prefix or virtual.address.max_prefixlen
        yield Service(service_key(virtual), virtual.scheduler, kept.timeout_s, prefix)
    else:
        yield Service(service_key(virtual), virtual.scheduler)


def _pool(cluster: Cluster, name: str, virtual: Virtual, up: Mapping[ServerId, bool]) -> Iterator[Destination]:
    none_available = True
    for label, server in virtual.servers.items():
        if not server.enabled:
            continue
        verdict = up.get((name, label))
        none_available = none_available and (server.drain or verdict is False)
        if verdict is None or not (verdict or virtual.quiesce):
            continue
        weight = server.weight if verdict and not server.drain else 0
        yield Destination(destination_key(virtual, label), forwarding(cluster, virtual, server), weight)
    if virtual.sorry_server and none_available:
        way = virtual.forwarding or cluster.settings.forwarding
        key = DestinationKey(service_key(virtual), virtual.sorry_server, virtual.port)
        yield Destination(key, way, 1)


def floating(cluster: Cluster, of: Collection[str] | None = None) -> tuple[Address, ...]:
    """Return the addresses that whoever is active in these groups has, each once: gateways and VIPs. None: all."""
    return tuple(address for address, group in carried(cluster).items() if of is None or group in of)


def carried(cluster: Cluster) -> dict[Address, str]:
    """Return every floating address with its group."""
    found = {Address(each.interface, each.address): each.group for each in gateways(cluster)}
    return found | {Address(v.interface, v.address): v.group for v in cluster.virtuals.values() if v.enabled}


def scope(cluster: Cluster) -> Scope:
    """Return what is ours while this cluster is the configuration, whether it is wanted at the moment or not."""
    vips = frozenset(virtual.address.ip for virtual in cluster.virtuals.values())
    places = {AddressKey(v.interface, v.address.ip) for v in cluster.virtuals.values()}
    places |= {AddressKey(each.interface, each.address.ip) for each in gateways(cluster)}
    names = frozenset(each.name for each in sysctls(cluster, floating(cluster)))
    return Scope(vips, frozenset(places), cluster.settings.sync is not None, names)
