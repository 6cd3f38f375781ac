"""A Cluster as input for `ipvsadm -R`, in the form that `ipvsadm -Sn` prints.

It is the table that a router has while every enabled real server is up, and the timeouts. The format has no comments;
what it cannot say is told as warnings only. `ipvsadm -S` forgets timeouts and thresholds, but `ipvsadm -R` takes them.
"""

from collections import defaultdict
from ipaddress import IPv4Network

from clusterd.desired import desired, sorry_key
from clusterd.model import Checksum, Cluster, Forwarding
from clusterd.paths import path_marks
from clusterd.plane import AnyServiceKey, Destination, Item, MarkKey, Plane, Service, Timeout, Tunnel, endpoint
from clusterd.services import TimeoutName
from renderers.notes import Notes
from renderers.rendering import Rendering, fill

_FORWARDING: dict[Forwarding, str] = {"nat": "-m", "direct": "-g", "tunnel": "-i"}
_PROTOCOLS = {"tcp": "-t", "udp": "-u", "sctp": "--sctp-service"}
_CHECKSUMS: dict[Checksum, str] = {"none": "--tun-nocsum", "csum": "--tun-csum", "remcsum": "--tun-remcsum"}
_TIMEOUTS: tuple[TimeoutName, ...] = ("tcp", "tcpfin", "udp")


def render(cluster: Cluster) -> Rendering:
    """Return the IPVS table with the configured weights, and what the format could not say."""
    up = {(name, label): True for name, virtual in cluster.virtuals.items() for label in virtual.servers}
    ways = path_marks(cluster)  # of checks, which the format does not know
    table = {key: item for key, item in desired(cluster, up).items() if _service_of(item) not in ways}
    services = [_service(item) for item in table.values() if isinstance(item, Service)]
    behind: defaultdict[str, list[dict[str, object]]] = defaultdict(list)
    for item in table.values():
        if isinstance(item, Destination):
            behind[_key(item.key.service)].append(_destination(item))
    timeouts = {item.name: item.timeout_s for item in table.values() if isinstance(item, Timeout)}
    said = " ".join(str(timeouts.get(name, 0)) for name in _TIMEOUTS) if timeouts else ""
    text = fill("ipvsadm.j2", timeouts=said, services=services, behind=behind)
    return Rendering(text, _notes(cluster, table).warnings)


def _notes(cluster: Cluster, table: Plane) -> Notes:
    notes = Notes()
    for name, virtual in cluster.virtuals.items():
        part = f"virtuals/{name}"
        if not virtual.enabled:
            notes.add(part, "", "left out: it is not enabled")
            continue
        for label, server in virtual.servers.items():
            if not server.enabled:
                notes.add(part, f"servers/{label}", "left out: it is not enabled")
            elif server.drain:
                notes.add(part, f"servers/{label}/drain", f"is said as weight 0 instead of {server.weight}")
        if (sorry := sorry_key(virtual)) and sorry not in table:
            notes.add(part, "sorry_server", f"{sorry.address} is not said: a table knows no checks")
        if virtual.ports:
            notes.add(part, "ports", "are not said: rules of nft give their packets the mark")
        if virtual.load.source != "none":
            notes.add(part, "load/source", f"{virtual.load.source} is not said: a table has the configured weights")
    return notes


def _service_of(item: Item) -> object:
    return item.key.service if isinstance(item, Destination) else item.key


def _key(key: AnyServiceKey) -> str:
    if isinstance(key, MarkKey):
        return f"-f {key.mark}{' -6' if key.version == 6 else ''}"
    return f"{_PROTOCOLS[key.protocol]} {endpoint(key.address, key.port)}"


def _service(service: Service) -> dict[str, object]:
    return {
        "key": _key(service.key),
        "scheduler": service.scheduler,
        "persistence_s": service.persistence_s,
        "netmask": _netmask(service),
        "engine": service.engine,
        "one_packet": service.one_packet,
        "flags": ",".join(sorted(service.flags)),
    }


def _netmask(service: Service) -> object:
    """Return what stands after -M: none for single clients, and for IPv6 a prefix length."""
    prefix, six = service.persistence_prefix, service.key.version == 6
    if not service.persistence_s or prefix == (128 if six else 32):
        return None
    return prefix if six else IPv4Network((0, prefix)).netmask


def _destination(destination: Destination) -> dict[str, object]:
    return {
        "address": endpoint(destination.key.address, destination.key.port),
        "forwarding": _FORWARDING[destination.forwarding],
        "weight": destination.weight,
        "tunnel": _tunnel(destination.tunnel) if destination.forwarding == "tunnel" else None,
        "upper": destination.upper,
        "lower": destination.lower,
    }


def _tunnel(tunnel: Tunnel) -> str:
    """Return a tunnel as it is printed behind the weight since ipvsadm 1.30."""
    if tunnel.type == "ipip":
        return "--tun-type ipip"
    port = f" --tun-port {tunnel.port}" if tunnel.port else ""
    return f"--tun-type {tunnel.type}{port} {_CHECKSUMS[tunnel.checksum]}"
