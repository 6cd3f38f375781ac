"""A Cluster as input for `ipvsadm -R`, in the form that `ipvsadm -Sn` prints.

It is the table that a router has while every enabled real server is up. The format has no comments; what it cannot
say is told as warnings only.
"""

from collections import defaultdict
from ipaddress import IPv4Network

from clusterd.desired import desired, service_key
from clusterd.model import Cluster, Forwarding
from clusterd.plane import Destination, DestinationKey, Plane, Service, ServiceKey, endpoint
from renderers.notes import Notes
from renderers.rendering import Rendering, fill

_FORWARDING: dict[Forwarding, str] = {"nat": "-m", "direct": "-g", "tunnel": "-i"}
_TUNNEL = "--tun-type ipip"  # printed behind the weight since ipvsadm 1.30; what the kernel does by default
_PROTOCOLS = {"tcp": "-t", "udp": "-u"}


def render(cluster: Cluster) -> Rendering:
    """Return the IPVS table with the configured weights, and what the format could not say."""
    up = {(name, label): True for name, virtual in cluster.virtuals.items() for label in virtual.servers}
    table = desired(cluster, up)
    services = [_service(item) for item in table.values() if isinstance(item, Service)]
    behind: defaultdict[str, list[dict[str, object]]] = defaultdict(list)
    for item in table.values():
        if isinstance(item, Destination):
            behind[_key(item.key.service)].append(_destination(item))
    return Rendering(fill("ipvsadm.j2", services=services, behind=behind), _notes(cluster, table).warnings)


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
        sorry = virtual.sorry_server
        if sorry and DestinationKey(service_key(virtual), sorry, virtual.port) not in table:
            notes.add(part, "sorry_server", f"{sorry} is not said: a table knows no checks")
        if virtual.load.source != "none":
            notes.add(part, "load/source", f"{virtual.load.source} is not said: a table has the configured weights")
    return notes


def _key(key: ServiceKey) -> str:
    return f"{_PROTOCOLS[key.protocol]} {endpoint(key.address, key.port)}"


def _service(service: Service) -> dict[str, object]:
    return {
        "key": _key(service.key),
        "scheduler": service.scheduler,
        "persistence_s": service.persistence_s,
        "netmask": _netmask(service),
    }


def _netmask(service: Service) -> object:
    """Return what stands after -M: none for single clients, and for IPv6 a prefix length."""
    prefix = service.persistence_prefix
    if not service.persistence_s or prefix == service.key.address.max_prefixlen:
        return None
    return prefix if service.key.address.version == 6 else IPv4Network((0, prefix)).netmask


def _destination(destination: Destination) -> dict[str, object]:
    return {
        "address": endpoint(destination.key.address, destination.key.port),
        "forwarding": _FORWARDING[destination.forwarding],
        "weight": destination.weight,
        "tunnel": _TUNNEL if destination.forwarding == "tunnel" else None,
    }
