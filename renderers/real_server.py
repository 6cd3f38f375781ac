"""What a real server needs, as a shell script for its host: its default route, or the VIP and quiet ARP.

NAT: the floating gateway is the default route. Direct routing and tunnels: the host has the VIP itself, with all bits
set so that it is in no network, and answers no ARP for it (arp_ignore, arp_announce: ip-sysctl.rst). A tunnel's packets
come out of an interface whose rp_filter must not be strict. Every command can be run again.
"""

from dataclasses import dataclass

from clusterd.groups import gateways
from clusterd.model import Cluster, Server, Virtual, forwarding
from renderers.notes import Notes
from renderers.rendering import Rendering, fill

_MODULES = {"tunl0": "ipip", "sit0": "sit", "ip6tnl0": "ip6_tunnel", "gre0": "ip_gre", "ip6gre0": "ip6_gre"}


@dataclass(frozen=True, slots=True)
class Needs:
    """What one virtual server asks of a real server's host."""

    virtual: str
    server: str
    way: str
    vip: str  # with all its bits, "" where the document has none
    family: int  # of the VIP
    carrier: int  # the family of the real server's address, in which a tunnel carries
    gateway: str
    device: str  # that carries the VIP
    module: str
    port: int  # of gue


def render(cluster: Cluster, virtual: str, server: str) -> Rendering:
    """Return the script for one real server of a virtual server."""
    notes = Notes()
    found, real = cluster.virtuals[virtual], cluster.virtuals[virtual].servers[server]
    needs = _needs(cluster, virtual, found, server, real)
    if needs.way == "nat" and not needs.gateway:
        notes.add("cluster", "nat_router", "there is no floating gateway: the default route is not known")
    if needs.way != "nat" and not needs.vip:
        notes.add(f"virtuals/{virtual}", "address", "there is none: which addresses the mark stands for is not known")
    return Rendering(fill("real-server.sh.j2", needs=needs), notes.warnings)


def _needs(cluster: Cluster, name: str, virtual: Virtual, label: str, server: Server) -> Needs:
    way = forwarding(cluster, virtual, server)
    vip, version = virtual.address, server.address.version
    family = vip.version if vip else version
    gateway = [g for g in gateways(cluster) if g.group == virtual.group and g.address.version == version]
    tunnel = server.tunnel or virtual.tunnel
    kind = tunnel.type if tunnel else "ipip"
    device = _tunnel_end(kind, version, family) if way == "tunnel" else "lo"
    return Needs(
        virtual=name,
        server=f"{label} ({server.address})",
        way=way,
        vip=f"{vip.ip}/{vip.ip.max_prefixlen}" if vip else "",
        family=family,
        carrier=version,
        gateway=str(gateway[0].address.ip) if gateway else "",
        device=device,
        module=_MODULES.get(device, ""),
        port=(tunnel.port or 0) if tunnel else 0,
    )


def _tunnel_end(kind: str, carrier: int, family: int) -> str:
    """Return the interface of which packets of a family come out that were wrapped in those of another or the same.

    gue is unwrapped by its port, and what was in it goes the way of ipip (fou.c).
    """
    if kind == "gre":
        return "gre0" if carrier == 4 else "ip6gre0"
    if carrier == 6:
        return "ip6tnl0"
    return "tunl0" if family == 4 else "sit0"
