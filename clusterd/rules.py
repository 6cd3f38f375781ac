"""What must hold between the objects of a cluster. One function a rule; each yields (path, message)."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from itertools import islice

from clusterd.model import Cluster, forwarding

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


def _fixed_addresses(cluster: Cluster) -> Iterator[tuple[str, IPv4Address]]:
    for name, router in cluster.routers.items():
        yield f"routers/{name}/public", router.public
        if router.private is not None:
            yield f"routers/{name}/private", router.private


def _floating_addresses(cluster: Cluster) -> Iterator[tuple[str, IPv4Interface]]:
    gateway = cluster.settings.nat_router
    if gateway:
        yield "cluster/nat_router/address", gateway.address
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
    place: dict[IPv4Address, tuple[str, str, str]] = {}
    gateway = cluster.settings.nat_router
    if gateway:
        place[gateway.address.ip] = (str(gateway.address), gateway.interface, "cluster/nat_router")
    for name, virtual in cluster.virtuals.items():
        here = (str(virtual.address), virtual.interface)
        there = place.setdefault(virtual.address.ip, (*here, f"virtuals/{name}"))
        if there[:2] != here:
            yield (
                f"virtuals/{name}/address",
                f"{here[0]} on {here[1]}, but {there[2]} has it as {there[0]} on {there[1]}; one address has one place",
            )


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
    _possible_addresses,
    _router_addresses,
    _unique_services,
    _one_place_per_vip,
    _unique_servers,
    _same_port,
)
