"""What must hold between the objects of a cluster. One function a rule; each yields (path, message)."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import islice

from clusterd.groups import gateway_path, gateways, groups
from clusterd.model import DEFAULT_GROUP, Cluster, forwarding

Finding = tuple[str, str]

THIS_NETWORK = IPv4Network("0.0.0.0/8")
EVERYBODY = IPv4Address("255.255.255.255")
_WHAT_TO_DO = "write an address that a host can have, and its network's prefix or /32"


def broken_rules(cluster: Cluster) -> Iterator[Finding]:
    """Yield everything that contradicts itself, as (path in the document, what to change)."""
    for rule in RULES:
        yield from rule(cluster)


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


def _fixed_addresses(cluster: Cluster) -> Iterator[tuple[str, IPv4Address]]:
    for name, router in cluster.routers.items():
        yield f"routers/{name}/public", router.public
        if router.private is not None:
            yield f"routers/{name}/private", router.private


def _floating_addresses(cluster: Cluster) -> Iterator[tuple[str, IPv4Interface]]:
    for group, gateway in gateways(cluster).items():
        yield f"{gateway_path(group)}/address", gateway.address
    for name, virtual in cluster.virtuals.items():
        yield f"virtuals/{name}/address", virtual.address


def _possible_addresses(cluster: Cluster) -> Iterator[Finding]:
    for path, address in _floating_addresses(cluster):
        for reason in islice(_no_host(address), 1):
            yield path, f"{address} cannot be a floating address: {reason}; {_WHAT_TO_DO}"


def _no_host(address: IPv4Interface) -> Iterator[str]:
    """Yield why no host can have this address, nothing where one can. Source: RFC 1122, 3.2.1.3; RFC 3021 for /31."""
    ip, network = address.ip, address.network
    if ip in THIS_NETWORK:
        yield "0.0.0.0/8 means this network"
    if ip.is_loopback:
        yield "it is a loopback address"
    if ip.is_multicast:
        yield "it is a multicast address"
    if ip == EVERYBODY:
        yield "it is the broadcast address of every network"
    if network.prefixlen == 0:
        yield "a prefix of /0 is every network"
    if network.prefixlen < 31 and ip == network.network_address:
        yield f"it is the address of the network {network} itself"
    if network.prefixlen < 31 and ip == network.broadcast_address:
        yield f"it is the broadcast address of {network}"


def _router_addresses(cluster: Cluster) -> Iterator[Finding]:
    owner: dict[IPv4Address, str] = {}
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
    places = {virtual.address.ip: virtual.group for virtual in cluster.virtuals.values()}
    for number, each in enumerate(cluster.settings.masquerade):
        path = f"cluster/masquerade/{number}/address"
        if each.address in fixed:
            owner = fixed[each.address]
            yield path, f"{each.address} is {owner}, which others have not: name a VIP, or leave it out"
        for group, gateway in gateways(cluster).items():
            there = places.get(each.address, group) if each.address else group
            if gateway.address.ip in each.source and there != group:
                yield path, f"{each.address} moves with group {there}, but the gateway of {each.source} with {group}"


def _unique_services(cluster: Cluster) -> Iterator[Finding]:
    seen: dict[tuple[IPv4Address, int, str], str] = {}
    for name, virtual in cluster.virtuals.items():
        key = (virtual.address.ip, virtual.port, virtual.protocol)
        if key in seen:
            yield (
                f"virtuals/{name}/address",
                f"{virtual.protocol} {virtual.address.ip}:{virtual.port} is already virtuals/{seen[key]}",
            )
        seen.setdefault(key, name)


def _one_place_per_vip(cluster: Cluster) -> Iterator[Finding]:
    carried = [(gateway_path(group), each.address, each.interface, group) for group, each in gateways(cluster).items()]
    carried += [(f"virtuals/{name}", v.address, v.interface, v.group) for name, v in cluster.virtuals.items()]
    first: dict[IPv4Address, tuple[str, IPv4Interface, str, str]] = {}
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
        seen: dict[tuple[int, int], str] = {}  # int is hashed much faster than IPv4Address, and there can be 50,000
        vip = int(virtual.address)
        for label, server in virtual.servers.items():
            key = (int(server.address), server.port or virtual.port)
            path = f"virtuals/{name}/servers/{label}/address"
            if key in seen:
                yield path, f"{server.address}:{key[1]} is already server {seen[key]} of this virtual server"
            seen.setdefault(key, label)
            if key[0] == vip:
                yield path, f"{server.address} is the virtual server's own address"


def _same_port(cluster: Cluster) -> Iterator[Finding]:
    for name, virtual in cluster.virtuals.items():
        for label, server in virtual.servers.items():
            way = forwarding(cluster, virtual, server)
            if way != "nat" and server.port not in (None, virtual.port):
                yield (
                    f"virtuals/{name}/servers/{label}/port",
                    f"{way} forwarding cannot change the port: leave it out, or use nat",
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
)
