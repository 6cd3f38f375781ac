"""What should exist on a router: the cluster, the verdicts on its real servers and the router's role as a plane.

Every router has the whole IPVS table, the masquerading and the kernel settings; only a group's active one has its
floating addresses, so that taking over is adding addresses and nothing else.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from clusterd import model
from clusterd.filtering import tables
from clusterd.groups import gateways
from clusterd.model import Cluster, Forwarding, Sync, Virtual, family, forwarding
from clusterd.netfilter import Netfilter
from clusterd.paths import path_marks, paths
from clusterd.plane import (
    Address,
    AddressKey,
    AnyServiceKey,
    Destination,
    DestinationKey,
    Item,
    Key,
    MarkKey,
    Scope,
    Service,
    ServiceKey,
    SyncDaemon,
    SyncRole,
    Timeout,
    Tunnel,
    plane,
)
from clusterd.services import IPIP, TimeoutName
from clusterd.sysctls import sysctls
from clusterd.weights import Pool, Standing

_FRAME_BYTES = 1500  # the kernel's own assumption, whatever the interface has (ip_vs_sync.c, start_sync_thread)
_HEADER_BYTES = {4: 20 + 8, 6: 40 + 8}  # IP and UDP

_NO_POOLS: Mapping[str, Pool] = {}
_NO_FLAGS = frozenset[str]()  # one for all: Python makes another each time

ServerId = tuple[str, str]  # names of the virtual server and the real server

_NOTHING_KNOWN: Mapping[ServerId, bool] = {}


def desired(
    cluster: Cluster,
    up: Mapping[ServerId, bool],
    active_groups: Collection[str] = (),
    pools: Mapping[str, Pool] = _NO_POOLS,
) -> dict[Key, Item]:
    """Return the plane that this cluster wants on a router that is active in these groups.

    `pools` says by virtual server which weights there are, as `weights` worked them out. Where it says nothing, `up`
    holds the verdicts; a real server without one is not in the pool yet. A server that is down leaves the pool, or
    stays at weight 0 where the virtual server says `quiesce`. A drained server has weight 0 while it is up. The sorry
    server steps in when every enabled server is down or drained.
    """
    items: list[Item] = [*common(cluster)]
    for name in cluster.virtuals:
        items += served(cluster, name, pools.get(name), up)
    items += floating(cluster, active_groups)
    return plane(*items)


def common(cluster: Cluster) -> tuple[Item, ...]:
    """Return what every router has, and what belongs to no virtual server alone."""
    everywhere = floating(cluster)
    return (*sysctls(cluster, everywhere), *_timeouts(cluster), *tables(cluster, everywhere), *paths(cluster))


def served(
    cluster: Cluster, name: str, pool: Pool | None, up: Mapping[ServerId, bool] = _NOTHING_KNOWN
) -> Iterator[Item]:
    """Yield what a virtual server is in IPVS: its service and the real servers behind it."""
    virtual = cluster.virtuals[name]
    if virtual.enabled:
        key = service_key(virtual)  # one object for all that is behind it
        yield _service(virtual, key)
        yield from _pool(cluster, virtual, key, pool or _plain(name, virtual, up))


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


def _timeouts(cluster: Cluster) -> Iterator[Timeout]:
    said = cluster.settings.timeouts
    names: tuple[tuple[TimeoutName, int | None], ...] = (
        ("tcp", said.tcp_s),
        ("tcpfin", said.tcpfin_s),
        ("udp", said.udp_s),
    )
    yield from (Timeout(name, timeout_s) for name, timeout_s in names if timeout_s is not None)


def netfilter(cluster: Cluster) -> tuple[Netfilter, ...]:
    """Return our nft table, if anything is to be in it."""
    return tables(cluster, floating(cluster))


def service_key(virtual: Virtual) -> AnyServiceKey:
    """Return what IPVS knows the virtual server by."""
    if virtual.mark is not None or virtual.address is None:
        return MarkKey(virtual.mark or 0, family(virtual))
    return ServiceKey(virtual.protocol, virtual.address.ip, virtual.port or 0)


def destination_key(virtual: Virtual, server: str) -> DestinationKey:
    """Return what IPVS knows a real server of the virtual server by."""
    return _behind(service_key(virtual), virtual, server)


def _behind(service: AnyServiceKey, virtual: Virtual, server: str) -> DestinationKey:
    real = virtual.servers[server]
    return DestinationKey(service, real.address, real.port or virtual.port or 0)


def sorry_key(virtual: Virtual) -> DestinationKey | None:
    """Return what IPVS knows the sorry server by, None where there is none."""
    if virtual.sorry_server is None:
        return None
    return DestinationKey(service_key(virtual), virtual.sorry_server, virtual.port or 0)


def _service(virtual: Virtual, key: AnyServiceKey) -> Service:
    kept, flags = virtual.persistence, frozenset[str](virtual.flags) if virtual.flags else _NO_FLAGS
    plain = Service(key, virtual.scheduler, flags=flags, one_packet=virtual.one_packet)
    if not kept:
        return plain
    prefix = kept.prefix or (128 if plain.key.version == 6 else 32)
    return replace(plain, persistence_s=kept.timeout_s, persistence_prefix=prefix, engine=kept.engine or "")


def _destination(cluster: Cluster, virtual: Virtual, key: AnyServiceKey, label: str, weight: int) -> Destination:
    server = virtual.servers[label]
    way = forwarding(cluster, virtual, server)
    tunnel = _tunnel(way, server.tunnel or virtual.tunnel)
    limits = server.upper_threshold, server.lower_threshold
    return Destination(_behind(key, virtual, label), way, weight, tunnel, *limits)


def _tunnel(way: Forwarding, said: model.Tunnel | None) -> Tunnel:
    return Tunnel(said.type, said.port or 0, said.checksum) if said and way == "tunnel" else IPIP


def _plain(name: str, virtual: Virtual, up: Mapping[ServerId, bool]) -> Pool:
    """Return the pool that configuration and verdicts alone make."""
    standings, none_available = {}, True
    for label, server in virtual.servers.items():
        if not server.enabled:
            continue
        verdict = up.get((name, label))
        none_available = none_available and (server.drain or verdict is False)
        if verdict is None or not (verdict or virtual.quiesce):
            continue
        standings[label] = Standing(server.weight if verdict and not server.drain else 0)
    return Pool(standings, sorry=none_available)


def _pool(cluster: Cluster, virtual: Virtual, key: AnyServiceKey, pool: Pool) -> Iterator[Destination]:
    for label, standing in pool.standings.items():
        if standing.weight is not None and label in virtual.servers:
            yield _destination(cluster, virtual, key, label, standing.weight)
    if (sorry := sorry_key(virtual)) and pool.sorry:
        way = virtual.forwarding or cluster.settings.forwarding
        yield Destination(sorry, way, 1, _tunnel(way, virtual.tunnel))


def floating(cluster: Cluster, of: Collection[str] | None = None) -> tuple[Address, ...]:
    """Return the addresses that whoever is active in these groups has, each once: gateways and VIPs. None: all."""
    return tuple(address for address, group in carried(cluster).items() if of is None or group in of)


def carried(cluster: Cluster) -> dict[Address, str]:
    """Return every floating address with its group."""
    found = {Address(each.interface, each.address): each.group for each in gateways(cluster)}
    return found | {address: v.group for v in cluster.virtuals.values() if v.enabled for address in _carried(v)}


def _carried(virtual: Virtual) -> tuple[Address, ...]:
    """Return the VIP of a virtual server, nothing where it has none."""
    if virtual.address is None or virtual.interface is None:
        return ()
    return (Address(virtual.interface, virtual.address),)


def scope(cluster: Cluster) -> Scope:
    """Return what is ours while this cluster is the configuration, whether it is wanted at the moment or not."""
    virtuals = cluster.virtuals.values()
    vips = {virtual.address.ip for virtual in virtuals if virtual.address is not None}
    marks = path_marks(cluster).union(key for key in map(service_key, virtuals) if isinstance(key, MarkKey))
    places = {address.key for virtual in virtuals for address in _carried(virtual)}
    places |= {AddressKey(each.interface, each.address.ip) for each in gateways(cluster)}
    names = frozenset(each.name for each in sysctls(cluster, floating(cluster)))
    return Scope(frozenset(vips), frozenset(places), cluster.settings.sync is not None, names, marks)
