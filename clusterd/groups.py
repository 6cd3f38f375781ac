"""Groups of floating addresses: each has a lock of its own, so that several routers can be active at once.

The group `default` is always there: its gateway is the cluster's, its priorities are the routers' own. Pure.
"""

from collections.abc import Mapping

from clusterd.model import DEFAULT_GROUP, Cluster, NatRouter


def groups(cluster: Cluster) -> tuple[str, ...]:
    """Return the groups' names, `default` first."""
    return (DEFAULT_GROUP, *(name for name in cluster.settings.groups if name != DEFAULT_GROUP))


def gateways(cluster: Cluster) -> Mapping[str, NatRouter]:
    """Return the floating gateways by group; a group without one has no key."""
    settings = cluster.settings
    given = {DEFAULT_GROUP: settings.nat_router} | {
        name: group.nat_router for name, group in settings.groups.items() if name != DEFAULT_GROUP
    }
    return {name: gateway for name, gateway in given.items() if gateway}


def gateway_path(group: str) -> str:
    """Return where the document has a group's gateway."""
    return "cluster/nat_router" if group == DEFAULT_GROUP else f"cluster/groups/{group}/nat_router"


def priority(cluster: Cluster, group: str, router: str) -> int:
    """Return a router's priority in a group: the group's word, else the router's own."""
    said = cluster.settings.groups[group].priorities if group in cluster.settings.groups else {}
    return said.get(router, cluster.routers[router].priority)
