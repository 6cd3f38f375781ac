"""What must hold between the objects of a cluster. One function a rule; each yields (path, message)."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from itertools import islice

from clusterd.groups import gateways, groups
from clusterd.model import (
    DEFAULT_GROUP,
    Cluster,
    Host,
    HostWithPrefix,
    Virtual,
    family,
    forwarding,
    others,
    place,
)
from clusterd.plane import endpoint
from clusterd.service_rules import SERVICE_RULES
from clusterd.verdicts import EXTERNAL

Finding = tuple[str, str]

THIS_NETWORK = IPv4Network("0.0.0.0/8")
EVERYBODY = IPv4Address("255.255.255.255")


def broken_rules(cluster: Cluster) -> Iterator[Finding]:
    """Yield everything that contradicts itself, as (path in the document, what to change)."""
    for rule in RULES:
        yield from rule(cluster)


def breakable(cluster: Cluster, sound: Cluster) -> Cluster:
    """Return as much of a cluster as can break a rule, where `sound`, of which it was made, breaks none.

    Rules look at each virtual server together with settings and routers, and at several only for their places. Where
    all that is as it was, they find in the virtual servers that are others now what they would find in all.
    """
    names = others(sound, cluster)
    there = {name: cluster.virtuals[name] for name in names if name in cluster.virtuals}
    shared = cluster.settings is sound.settings and cluster.routers is sound.routers
    if shared and all(name in there and _stays(sound.virtuals.get(name), there[name]) for name in names):
        return cluster.model_copy(update={"virtuals": there})
    return cluster


def _stays(before: Virtual | None, after: Virtual) -> bool:
    return before is not None and place(before) == place(after)


def _heartbeat(cluster: Cluster) -> Iterator[Finding]:
    beat = cluster.settings.heartbeat
    if beat.deadtime_s < 2 * beat.keepalive_s:
        yield (
            "cluster/heartbeat/deadtime_s",
            f"must be at least twice keepalive_s ({beat.keepalive_s:g}), else one late refresh loses the lock",
        )
    if beat.fast and beat.fast.interval_ms * beat.fast.misses >= 1000 * beat.deadtime_s:
        yield (
            "cluster/heartbeat/fast",
            f"{beat.fast.misses} times {beat.fast.interval_ms} ms is not faster than deadtime_s ({beat.deadtime_s})",
        )


def _known_groups(cluster: Cluster) -> Iterator[Finding]:
    for name, group in cluster.settings.groups.items():
        if name == DEFAULT_GROUP:
            yield (
                f"cluster/groups/{name}",
                "is always there: its gateway is cluster/nat_router, its priorities are the routers' own",
            )
        for router in group.priorities:
            if router not in cluster.routers:
                yield f"cluster/groups/{name}/priorities/{router}", f"there is no router {router}"
    known = groups(cluster)
    for name, virtual in cluster.virtuals.items():
        if virtual.group not in known:
            yield f"virtuals/{name}/group", f"there is no group {virtual.group}; there are: {', '.join(known)}"


def _reachability(cluster: Cluster) -> Iterator[Finding]:
    asked = cluster.settings.reachability
    if asked.timeout_s < 2 * asked.interval_s:
        yield (
            "cluster/reachability/timeout_s",
            f"must be at least twice interval_s ({asked.interval_s:g}), else one lost answer isolates",
        )


def _fixed_addresses(cluster: Cluster) -> Iterator[tuple[str, Host]]:
    for name, router in cluster.routers.items():
        yield f"routers/{name}/public", router.public
        for key, address in (("private", router.private), ("public6", router.public6), ("private6", router.private6)):
            if address is not None:
                yield f"routers/{name}/{key}", address


def _floating_addresses(cluster: Cluster) -> Iterator[tuple[str, HostWithPrefix]]:
    for gateway in gateways(cluster):
        yield f"{gateway.path}/address", gateway.address
    for name, virtual in cluster.virtuals.items():
        if virtual.address is not None:
            yield f"virtuals/{name}/address", virtual.address


def _possible_addresses(cluster: Cluster) -> Iterator[Finding]:
    for path, address in _floating_addresses(cluster):
        ends = _no_place(address) if path.startswith("virtuals") else ()
        for reason in islice((*_no_host(address.ip), *_no_host_inside(address), *ends), 1):
            to_do = f"write an address that a host can have, and its network's prefix or /{address.max_prefixlen}"
            yield path, f"{address} cannot be a floating address: {reason}; {to_do}"
    for path, host in _hosts6(cluster):
        for reason in islice((*_no_host(host), *_no_place(host)), 1):
            yield path, f"{host} cannot be a host's address here: {reason}"


def _hosts6(cluster: Cluster) -> Iterator[tuple[str, IPv6Address]]:
    """Yield the IPv6 addresses of hosts that this router talks to, or sends to."""
    hosts = [*_fixed_addresses(cluster)]
    hosts += [(f"cluster/reachability/hosts/{place}", h) for place, h in enumerate(cluster.settings.reachability.hosts)]
    for name, virtual in cluster.virtuals.items():
        hosts += [(f"virtuals/{name}/servers/{label}/address", each.address) for label, each in virtual.servers.items()]
        hosts += [(f"virtuals/{name}/sorry_server", virtual.sorry_server)] if virtual.sorry_server else []
    return ((path, host) for path, host in hosts if isinstance(host, IPv6Address))


def _no_host(ip: Host) -> Iterator[str]:
    """Yield why no host can have this address. Source: RFC 1122, 3.2.1.3, and for IPv6 RFC 4291, 2.5 and 2.7."""
    if isinstance(ip, IPv4Address) and ip in THIS_NETWORK:
        yield "0.0.0.0/8 means this network"
    if isinstance(ip, IPv6Address) and ip.is_unspecified:
        yield ":: means no address"
    if ip.is_loopback:
        yield "it is a loopback address"
    if ip.is_multicast:
        yield "it is a multicast address"
    if ip == EVERYBODY:
        yield "it is the broadcast address of every network"
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        yield f"it means an IPv4 address, which is written {ip.ipv4_mapped}"


def _no_place(address: Host | HostWithPrefix) -> Iterator[str]:
    """Yield why others cannot name this address. A gateway may have it: who uses that knows the link.

    IPVS takes no real server with one (ip_vs_ctl.c, ip_vs_new_dest).
    """
    if isinstance(address, IPv6Address) and address.is_link_local:
        yield "it is link-local, so it means another host on every link"


def _no_host_inside(address: HostWithPrefix) -> Iterator[str]:
    """Yield why no host can have this address in its network.

    Source: RFC 1122, 3.2.1.3; RFC 3021 for /31; RFC 4291, 2.6.1, and RFC 6164 for /127.
    """
    ip, network = address.ip, address.network
    alone = network.prefixlen >= network.max_prefixlen - 1
    if network.prefixlen == 0:
        yield "a prefix of /0 is every network"
    if not alone and ip == network.network_address:
        meant = "the address of the network {} itself" if ip.version == 4 else "what every router of {} answers to"
        yield f"it is {meant.format(network)}"
    if not alone and ip.version == 4 and ip == network.broadcast_address:
        yield f"it is the broadcast address of {network}"


def _router_addresses(cluster: Cluster) -> Iterator[Finding]:
    owner: dict[Host, str] = {}
    for path, address in _fixed_addresses(cluster):
        if address in owner:
            yield path, f"{address} is already {owner[address]}"
        owner.setdefault(address, path)
    for path, floating in _floating_addresses(cluster):
        if floating.ip in owner:
            yield path, f"{floating.ip} belongs to {owner[floating.ip]}; a floating address must be free to move"


def _masquerade_addresses(cluster: Cluster) -> Iterator[Finding]:
    """Answers come to whoever has the address: that must be the router to which the network sends."""
    fixed = {address: path for path, address in _fixed_addresses(cluster)}
    places = {v.address.ip: v.group for v in cluster.virtuals.values() if v.address is not None}
    for number, each in enumerate(cluster.settings.masquerade):
        path = f"cluster/masquerade/{number}/address"
        if each.address in fixed:
            owner = fixed[each.address]
            yield path, f"{each.address} is {owner}, which others have not: name a VIP, or leave it out"
        if each.address and each.address.version != each.source.version:
            yield path, f"{each.address} is of another family than {each.source}"
        for gateway in gateways(cluster):
            there = places.get(each.address, gateway.group) if each.address else gateway.group
            if gateway.address.ip in each.source and there != gateway.group:
                owner = f"the gateway of {each.source} with {gateway.group}"
                yield path, f"{each.address} moves with group {there}, but {owner}"


def _unique_services(cluster: Cluster) -> Iterator[Finding]:
    seen: dict[tuple[Host, int, str], str] = {}
    for name, virtual in cluster.virtuals.items():
        if virtual.address is None or virtual.port is None:
            continue
        key = (virtual.address.ip, virtual.port, virtual.protocol)
        if key in seen:
            yield (
                f"virtuals/{name}/address",
                f"{virtual.protocol} {endpoint(*key[:2])} is already virtuals/{seen[key]}",
            )
        seen.setdefault(key, name)


def _one_place_per_vip(cluster: Cluster) -> Iterator[Finding]:
    carried = [(each.path, each.address, each.interface, each.group) for each in gateways(cluster)]
    for name, v in cluster.virtuals.items():
        if v.address is not None and v.interface is not None:
            carried.append((f"virtuals/{name}", v.address, v.interface, v.group))
    first: dict[Host, tuple[str, HostWithPrefix, str, str]] = {}
    for here in carried:
        there = first.setdefault(here[1].ip, here)
        if there[1:3] != here[1:3]:
            yield (
                f"{here[0]}/address",
                f"{here[1]} on {here[2]}, but {there[0]} has it as {there[1]} on {there[2]}; one address has one place",
            )
        elif there[3] != here[3]:
            path = f"{here[0]}/{'group' if here[0].startswith('virtuals') else 'address'}"
            yield path, f"{here[1].ip} is in group {there[3]} by {there[0]}; one address is in one group"


def _unique_servers(cluster: Cluster) -> Iterator[Finding]:
    for name, virtual in cluster.virtuals.items():
        seen: dict[tuple[bytes, int], str] = {}  # bytes are hashed much faster than addresses, and there can be 50,000
        vip = virtual.address.packed if virtual.address is not None else b""
        for label, server in virtual.servers.items():
            key = (server.address.packed, server.port or virtual.port or 0)
            path = f"virtuals/{name}/servers/{label}/address"
            if key in seen:
                taken = endpoint(server.address, key[1])
                yield path, f"{taken} is already server {seen[key]} of this virtual server"
            seen.setdefault(key, label)
            if key[0] == vip:
                yield path, f"{server.address} is the virtual server's own address"


def _quorums(cluster: Cluster) -> Iterator[Finding]:
    for name, virtual in cluster.virtuals.items():
        if virtual.hysteresis >= virtual.quorum:
            yield (
                f"virtuals/{name}/hysteresis",
                f"must be less than the quorum ({virtual.quorum}), else the quorum is never lost",
            )


def _observers(cluster: Cluster) -> Iterator[Finding]:
    for name in cluster.routers:
        if name.startswith(EXTERNAL):
            yield f"routers/{name}", f"names that begin with {EXTERNAL} are for external parties' verdicts"


def _same_port(cluster: Cluster) -> Iterator[Finding]:
    for name, virtual in cluster.virtuals.items():
        for label, server in virtual.servers.items():
            way = forwarding(cluster, virtual, server)
            if way != "nat" and server.port not in (None, virtual.port):
                yield (
                    f"virtuals/{name}/servers/{label}/port",
                    f"{way} forwarding cannot change the port: leave it out, or use nat",
                )


def _one_family(cluster: Cluster) -> Iterator[Finding]:
    """Source: ip_vs_ctl.c, ip_vs_genl_set_cmd."""
    for name, virtual in cluster.virtuals.items():
        for path, address, way in _behind(cluster, virtual):
            if address.version == family(virtual):
                continue
            clients = f"the VIP {virtual.address.ip}" if virtual.address is not None else f"mark {virtual.mark}"
            said = f"{address} is of another family than {clients}"
            if way != "tunnel":
                yield f"virtuals/{name}/{path}", f"{said}, which {way} forwarding cannot bridge: only tunnel can"
            elif cluster.settings.sync:
                yield f"virtuals/{name}/{path}", f"{said}, and connections of such are not synchronised: leave one out"


def _behind(cluster: Cluster, virtual: Virtual) -> Iterator[tuple[str, Host, str]]:
    """Yield what a virtual server sends to: where the document has it, its address, and how packets reach it."""
    for label, server in virtual.servers.items():
        yield f"servers/{label}/address", server.address, forwarding(cluster, virtual, server)
    if virtual.sorry_server:
        yield "sorry_server", virtual.sorry_server, virtual.forwarding or cluster.settings.forwarding


def _possible_prefix(cluster: Cluster) -> Iterator[Finding]:
    for name, virtual in cluster.virtuals.items():
        kept, most = virtual.persistence, 128 if family(virtual) == 6 else 32
        if kept and kept.prefix and kept.prefix > most:
            yield (
                f"virtuals/{name}/persistence/prefix",
                f"must be at most {most}, as many bits as a client's address has, not {kept.prefix}",
            )


RULES = (
    _heartbeat,
    _reachability,
    _known_groups,
    _possible_addresses,
    _router_addresses,
    _masquerade_addresses,
    _unique_services,
    _one_place_per_vip,
    _unique_servers,
    _same_port,
    _one_family,
    _possible_prefix,
    _quorums,
    _observers,
    *SERVICE_RULES,
)
