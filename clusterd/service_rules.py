"""What must hold so that IPVS takes a virtual server and its real servers as they are described.

One function a rule, each yields (path, message). What is merely accepted and never works is refused as well.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from clusterd.model import Cluster, checked_port, family, forwarding, port_ranges
from clusterd.paths import path_mark
from clusterd.plane import MarkKey

Finding = tuple[str, str]
HostAddress = IPv4Address | IPv6Address


def _addressed(cluster: Cluster) -> Iterator[Finding]:
    for name, virtual in cluster.virtuals.items():
        path = f"virtuals/{name}"
        if virtual.address is None and (virtual.mark is None or virtual.ports):
            yield f"{path}/address", "is missing" if virtual.mark is None else "is missing: the ports are an address's"
        if virtual.interface is None and (virtual.address is not None or virtual.mark is None):
            yield f"{path}/interface", "is missing"
        if virtual.interface is not None and virtual.address is None and virtual.mark is not None:
            yield f"{path}/interface", "there is no address that it could carry"
        if virtual.family and (virtual.mark is None or virtual.address is not None):
            yield f"{path}/family", "is that of the address: leave it out"


def _port_or_mark(cluster: Cluster) -> Iterator[Finding]:
    for name, virtual in cluster.virtuals.items():
        path = f"virtuals/{name}"
        if virtual.mark is None:
            if virtual.ports:
                yield f"{path}/mark", "is missing: several ports are one service by a firewall mark"
            elif virtual.port is None:
                yield f"{path}/port", "is missing"
        elif virtual.port is not None:
            yield f"{path}/port", "a mark stands instead of the port: leave one of them out, or write ports"
        if virtual.port == 0 and not virtual.persistence:
            yield (
                f"{path}/port",
                "every port needs persistence: without it IPVS schedules no connection (ip_vs_core.c, ip_vs_schedule)",
            )


def _unique_marks(cluster: Cluster) -> Iterator[Finding]:
    seen: dict[tuple[int, int], str] = {}
    for name, virtual in cluster.virtuals.items():
        if virtual.mark is None:
            continue
        key = (virtual.mark, family(virtual))
        if key in seen:
            yield f"virtuals/{name}/mark", f"mark {virtual.mark} is already virtuals/{seen[key]}"
        seen.setdefault(key, name)


def _disjoint_ports(cluster: Cluster) -> Iterator[Finding]:
    """A packet has one mark, and one with a mark is of no service by address and port (ip_vs_ctl.c)."""
    marked: dict[tuple[HostAddress, str], list[tuple[int, int, str]]] = {}
    placed = [(name, v, (v.address.ip, v.protocol)) for name, v in cluster.virtuals.items() if v.address is not None]
    for name, virtual, place in placed:
        for first, last in port_ranges(virtual):
            taken = [owner for low, high, owner in marked.get(place, ()) if low <= last and first <= high]
            if taken:
                yield f"virtuals/{name}/ports", f"port {first} is already one of virtuals/{taken[0]}/ports"
            marked.setdefault(place, []).append((first, last, name))
    for name, virtual, place in placed:
        owners = [owner for low, high, owner in marked.get(place, ()) if low <= (virtual.port or 0) <= high]
        if owners:
            yield f"virtuals/{name}/port", f"{virtual.port} is already one of virtuals/{owners[0]}/ports"


def _scheduling(cluster: Cluster) -> Iterator[Finding]:
    for name, virtual in cluster.virtuals.items():
        for number, flag in enumerate(virtual.flags):
            if not flag.startswith(f"{virtual.scheduler}-"):
                owner = flag.partition("-")[0]
                yield (
                    f"virtuals/{name}/flags/{number}",
                    f"{flag} is a flag of the scheduler {owner}, not of {virtual.scheduler}",
                )
        if virtual.one_packet and virtual.protocol != "udp":
            yield f"virtuals/{name}/one_packet", f"is for udp, and this virtual server's protocol is {virtual.protocol}"
        if virtual.persistence and virtual.persistence.engine and virtual.protocol != "udp":
            yield (
                f"virtuals/{name}/persistence/engine",
                f"{virtual.persistence.engine} is for udp, and this virtual server's protocol is {virtual.protocol}",
            )


def _thresholds(cluster: Cluster) -> Iterator[Finding]:
    for name, virtual in cluster.virtuals.items():
        for label, server in virtual.servers.items():
            if server.lower_threshold > server.upper_threshold:
                yield (
                    f"virtuals/{name}/servers/{label}/lower_threshold",
                    f"must be at most upper_threshold ({server.upper_threshold})",
                )


def _tunnels(cluster: Cluster) -> Iterator[Finding]:
    for name, virtual in cluster.virtuals.items():
        ways = {label: forwarding(cluster, virtual, server) for label, server in virtual.servers.items()}
        ways[""] = virtual.forwarding or cluster.settings.forwarding
        for label, server in virtual.servers.items():
            if server.tunnel and ways[label] != "tunnel":
                path = f"virtuals/{name}/servers/{label}/tunnel"
                yield path, f"no tunnel leads there: its forwarding is {ways[label]}"
        if virtual.tunnel and "tunnel" not in ways.values():
            yield f"virtuals/{name}/tunnel", f"no tunnel leads to its real servers: the forwarding is {ways['']}"


def _something_to_check(cluster: Cluster) -> Iterator[Finding]:
    for name, virtual in cluster.virtuals.items():
        if virtual.check.type == "icmp" and (virtual.load.source != "http" or virtual.load.port):
            continue  # nobody needs a port
        for label, server in virtual.servers.items():
            if virtual.mark is None and not (virtual.port == 0 and virtual.persistence):
                break  # it has a port, or that it has none is told already
            if not checked_port(virtual, server):
                yield (
                    f"virtuals/{name}/check/port",
                    f"is missing: nothing else says at which port {label} is checked",
                )
                break


def _data_paths(cluster: Cluster) -> Iterator[Finding]:
    """A mark leads to one real server, in one way, and nothing else has it."""
    owners: dict[MarkKey, tuple[object, str]] = {
        MarkKey(virtual.mark, family(virtual)): (None, f"virtuals/{name}")
        for name, virtual in cluster.virtuals.items()
        if virtual.mark is not None
    }
    for name, virtual in cluster.virtuals.items():
        if not virtual.check.data_path:
            continue
        path = f"virtuals/{name}/check/data_path"
        if virtual.check.type in ("icmp", "exec"):
            yield path, f"a check of type {virtual.check.type} cannot be led through IPVS"
        if virtual.address is None:
            yield path, "there is no VIP to connect to"
        for label, server in virtual.servers.items():
            way = forwarding(cluster, virtual, server)
            if way == "nat":
                yield path, f"is for direct routing and tunnels, and {label} is reached by nat"
            elif server.address.version != family(virtual):
                yield path, f"{label} is of another family than the VIP, from which it would have to answer"
            mark, place = path_mark(virtual, server), (server.address, way, server.tunnel or virtual.tunnel)
            if owners.setdefault(mark, (place, f"{name}/{label}"))[0] != place:
                yield path, f"the way to {label} would be {mark}, which is that of {owners[mark][1]}"


SERVICE_RULES = (
    _addressed,
    _port_or_mark,
    _unique_marks,
    _disjoint_ports,
    _scheduling,
    _thresholds,
    _tunnels,
    _something_to_check,
    _data_paths,
)
