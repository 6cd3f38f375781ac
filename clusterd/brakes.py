"""How much a commit takes out of service, and whether that is more than the brakes of the configuration let pass.

In service is a virtual server that is enabled, and a real server of such a one that is enabled, not drained and has a
weight above 0. What was in service before a commit and is not after it, by its name, was taken out: removed, renamed,
disabled, drained, or given a weight of 0. A virtual server that goes takes its real servers along.

A brake holds when the share of what is taken out is larger than it: 3 of 6 pass at 0.5, 4 of 6 do not. The brakes
that count are those of the configuration as it was before, so a commit does not loosen its own. One thing at a time
may always go, whatever the brakes say, so that small clusters stay usable: a commit that takes out one real server
alone, or one virtual server with the real servers behind it and no other. The last one is not one of many: where real
servers are in service, what takes out all of them, or all virtual servers, is never let pass as a single thing.

Two more things hold a commit whatever the shares are, for they stop every service at once: no router is left of those
that there were, and the floating gateway goes while virtual servers that forward by nat stay. And one because it could
let two routers answer: a floating address goes from one group to another, each of which has a lock of its own.
"""

from collections.abc import Iterator, Set
from fractions import Fraction

from clusterd.desired import carried
from clusterd.groups import Gateway, gateways
from clusterd.model import Cluster, family, forwarding

Name = tuple[str, ...]  # of a virtual server alone, or with one of its real servers
FORCE = "--force does it anyway"


def held(before: Cluster, after: Cluster) -> tuple[str, ...]:
    """Return a sentence for each brake that holds this change; none when it may pass."""
    return (*_shares(before, after), *_routers(before, after), *_gateway(before, after), *_moved(before, after))


def _shares(before: Cluster, after: Cluster) -> Iterator[str]:
    virtuals, servers = _virtuals(before), _servers(before)
    virtuals_out, servers_out = virtuals - _virtuals(after), servers - _servers(after)
    alone = {name for name in servers_out if name[:1] not in virtuals_out}
    everything = bool(servers) and (servers_out == servers or virtuals_out == virtuals)
    if len(virtuals_out) + len(alone) <= 1 and not everything:
        return
    brakes = before.settings.brakes
    yield from _held("real servers", servers_out, servers, brakes.servers)
    yield from _held("virtual servers", virtuals_out, virtuals, brakes.virtuals)


def _held(kind: str, out: Set[Name], of: Set[Name], share: float) -> Iterator[str]:
    if len(out) > Fraction(repr(share)) * len(of):  # as it is written: 0.29 of 100 are 29
        brake = f"the brake is at {share * 100:.15g} %"
        yield f"this takes {len(out)} of {len(of)} {kind} out of service, {brake}; {FORCE}"


def _routers(before: Cluster, after: Cluster) -> Iterator[str]:
    number = len(before.routers)
    if number and not after.routers:
        yield f"this removes {number} of {number} routers, and nothing is left to carry the services; {FORCE}"


def _gateway(before: Cluster, after: Cluster) -> Iterator[str]:
    virtuals = _virtuals(before)
    need = virtuals & _natted(before) & _virtuals(after) & _natted(after)
    left = {each.path for each in gateways(after)}
    for gateway in gateways(before):
        inside = {name for name in need if _uses(before, name, gateway) and _uses(after, name, gateway)}
        if gateway.path not in left and inside:
            said = f"{len(inside)} of {len(virtuals)} virtual servers in service forward by nat"
            yield f"this removes {gateway.path} while {said}; {FORCE}"


def _uses(cluster: Cluster, name: Name, gateway: Gateway) -> bool:
    virtual = cluster.virtuals[name[0]]
    return virtual.group == gateway.group and family(virtual) == gateway.address.version


def _moved(before: Cluster, after: Cluster) -> Iterator[str]:
    was = {address.key: group for address, group in carried(before).items()}
    now = {address.key: group for address, group in carried(after).items()}
    for place in sorted(place for place, group in was.items() if now.get(place, group) != group):
        way = f"from group {was[place]} to {now[place]}"
        yield (
            f"this moves {place} {way}, and two routers may answer for it for a moment: first disable, in a commit of "
            f"its own, what uses it; {FORCE}"
        )


def _virtuals(cluster: Cluster) -> frozenset[Name]:
    return frozenset((name,) for name, virtual in cluster.virtuals.items() if virtual.enabled)


def _servers(cluster: Cluster) -> frozenset[Name]:
    return frozenset(
        (name, label)
        for name, virtual in cluster.virtuals.items()
        for label, server in virtual.servers.items()
        if virtual.enabled and server.enabled and not server.drain and server.weight > 0
    )


def _natted(cluster: Cluster) -> frozenset[Name]:
    """Return the virtual servers with a real server whose answers come back through the router."""
    return frozenset(
        (name,)
        for name, virtual in cluster.virtuals.items()
        if any(server.enabled and forwarding(cluster, virtual, server) == "nat" for server in virtual.servers.values())
    )
