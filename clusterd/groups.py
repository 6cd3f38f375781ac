"""Groups of floating addresses: each has a lock of its own, so that several routers can be active at once.

The group `default` is always there: its gateway is the cluster's, its priorities are the routers' own. Pure.
"""

from dataclasses import dataclass

from clusterd.model import DEFAULT_GROUP, Cluster, Group, HostWithPrefix, InterfaceName, Settings


@dataclass(frozen=True, slots=True)
class Gateway:
    """A group's floating gateway for one family of addresses, and where the document has it."""

    group: str
    path: str
    interface: InterfaceName
    address: HostWithPrefix


def groups(cluster: Cluster) -> tuple[str, ...]:
    """Return the groups' names, `default` first."""
    return (DEFAULT_GROUP, *(name for name in cluster.settings.groups if name != DEFAULT_GROUP))


def gateways(cluster: Cluster) -> tuple[Gateway, ...]:
    """Return the floating gateways of all groups."""
    settings = cluster.settings
    given: list[tuple[str, str, Settings | Group]] = [(DEFAULT_GROUP, "cluster", settings)]
    given += [(name, f"cluster/groups/{name}", settings.groups[name]) for name in groups(cluster)[1:]]
    return tuple(
        Gateway(group, f"{path}/{key}", gateway.interface, gateway.address)
        for group, path, where in given
        for key, gateway in (("nat_router", where.nat_router), ("nat_router6", where.nat_router6))
        if gateway
    )


def priority(cluster: Cluster, group: str, router: str) -> int:
    """Return a router's priority in a group: the group's word, else the router's own."""
    said = cluster.settings.groups[group].priorities if group in cluster.settings.groups else {}
    return said.get(router, cluster.routers[router].priority)
