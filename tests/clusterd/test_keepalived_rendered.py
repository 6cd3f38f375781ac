"""What the renderers write is read back the same, as far as the formats can say it."""

from typing import Any

from hypothesis import given, settings

from clusterd import ipvsadm, keepalived
from clusterd.model import Cluster, forwarding
from renderers.ipvsadm import render as render_ipvsadm
from renderers.keepalived import render as render_keepalived
from tests.strategies import clusters


def services(cluster: Cluster, *, weights: bool = True) -> list[Any]:
    """Return the virtual servers that are in use, without what neither format can say."""
    found = []
    for each in cluster.virtuals.values():
        servers = sorted(
            (str(one.address), one.port or each.port, forwarding(cluster, each, one), one.weight if weights else 0)
            for one in each.servers.values()
            if one.enabled
        )
        if each.enabled:
            kept = (each.persistence.timeout_s, each.persistence.prefix) if each.persistence else None
            found.append((str(each.address.ip), each.port, each.protocol, each.scheduler, kept, servers))
    return sorted(found)


def everything_up(cluster: Cluster) -> Cluster:
    """Return the cluster with what a table shows when nothing is drained and no sorry server stands in."""
    virtuals = {}
    for name, each in cluster.virtuals.items():
        servers = {label: one.model_copy(update={"drain": False}) for label, one in each.servers.items()}
        virtuals[name] = each.model_copy(update={"servers": servers, "sorry_server": None})
    return cluster.model_copy(update={"virtuals": virtuals})


@given(clusters())
@settings(max_examples=100, deadline=None)
def test_what_is_rendered_for_ipvsadm_is_read_back(given: Cluster) -> None:
    cluster = everything_up(given)
    assert services(ipvsadm.read(render_ipvsadm(cluster).text, "eth0").cluster) == services(cluster)


@given(clusters())
@settings(max_examples=100, deadline=None)
def test_what_is_rendered_for_keepalived_is_read_back(given: Cluster) -> None:
    cluster = everything_up(given)
    read = keepalived.read(render_keepalived(cluster).text, "eth0").cluster
    assert services(read) == [each for each in services(cluster) if each[-1]]  # keepalived refuses one of no server
    for each in read.virtuals.values():
        before = next(
            one for one in cluster.virtuals.values() if (one.address.ip, one.port) == (each.address.ip, each.port)
        )
        assert (each.address, each.interface, each.quiesce) == (before.address, before.interface, before.quiesce)
