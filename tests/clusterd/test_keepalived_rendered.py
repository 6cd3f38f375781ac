"""What the renderers write is read back the same, as far as the formats can say it."""

from typing import Any

from hypothesis import given, settings

from clusterd import ipvsadm, keepalived
from clusterd.model import Cluster, Persistence, Server, Tunnel, Virtual, family, forwarding
from renderers.ipvsadm import render as render_ipvsadm
from renderers.keepalived import render as render_keepalived
from tests.strategies import clusters


def services(cluster: Cluster, *, weights: bool = True) -> list[Any]:
    """Return the virtual servers that are in use, without what neither format can say."""
    found = []
    for each in cluster.virtuals.values():
        servers = sorted(
            (
                *(str(one.address), one.port or each.port or 0, forwarding(cluster, each, one)),
                *(one.weight if weights else 0, one.upper_threshold, one.lower_threshold),
                str(_tunnel(cluster, each, one)),
            )
            for one in each.servers.values()
            if one.enabled
        )
        if each.enabled:
            kept = _kept(each)
            place = (each.mark, each.family) if each.mark else (str(each.address and each.address.ip), each.port)
            plain = (each.scheduler, sorted(each.flags), each.one_packet, kept)
            found.append((place, each.protocol, plain, servers))
    return sorted(found, key=repr)


def _kept(virtual: Virtual) -> Persistence | None:
    """Return the persistence, without a prefix where that is all of an address."""
    kept, whole = virtual.persistence, 128 if family(virtual) == 6 else 32
    return kept.model_copy(update={"prefix": None}) if kept and kept.prefix == whole else kept


def _tunnel(cluster: Cluster, virtual: Virtual, server: Server) -> Tunnel | None:
    """Return the tunnel to a server, none where it is the plain one."""
    said = server.tunnel or virtual.tunnel if forwarding(cluster, virtual, server) == "tunnel" else None
    return None if said == Tunnel() else said


def everything_up(cluster: Cluster) -> Cluster:
    """Return the cluster with what a table shows when nothing is drained and no sorry server stands in."""
    virtuals = {}
    for name, each in cluster.virtuals.items():
        servers = {label: one.model_copy(update={"drain": False}) for label, one in each.servers.items()}
        udp = each.one_packet or bool(each.persistence and each.persistence.engine)
        nowhere: dict[str, Any] = {"address": None, "interface": None, "ports": (), "protocol": "udp" if udp else "tcp"}
        nowhere["family"] = "ipv6" if family(each) == 6 else None
        same = {"servers": servers, "sorry_server": None} | (nowhere if each.mark else {})  # a mark says no address
        virtuals[name] = each.model_copy(update=same)
    return cluster.model_copy(update={"virtuals": virtuals})


@given(clusters())
@settings(max_examples=100)
def test_what_is_rendered_for_ipvsadm_is_read_back(given: Cluster) -> None:
    cluster = everything_up(given)
    assert services(ipvsadm.read(render_ipvsadm(cluster).text, "eth0").cluster) == services(cluster)


@given(clusters())
@settings(max_examples=100)
def test_what_is_rendered_for_keepalived_is_read_back(given: Cluster) -> None:
    cluster = everything_up(given)
    read = keepalived.read(render_keepalived(cluster).text, "eth0").cluster
    assert services(read) == [each for each in services(cluster) if each[-1]]  # keepalived refuses one of no server
    for each in read.virtuals.values():
        place = (each.address, each.port, each.mark)
        before = next(one for one in cluster.virtuals.values() if (one.address, one.port, one.mark) == place)
        assert (each.address, each.interface, each.quiesce) == (before.address, before.interface, before.quiesce)
