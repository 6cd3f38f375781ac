"""How much a commit takes out of service, and whether that is more than the brakes of the configuration let pass.

In service is a virtual server that is enabled, and a real server of such a one that is enabled, not drained and has a
weight above 0. What was in service before a commit and is not after it, by its name, was taken out: removed, renamed,
disabled, drained, or given a weight of 0. A virtual server that goes takes its real servers along.

A brake holds when the share of what is taken out is larger than it: 3 of 6 pass at 0.5, 4 of 6 do not. The brakes
that count are those of the configuration as it was before, so a commit does not loosen its own. One thing at a time
may always go, whatever the brakes say, so that small clusters stay usable: a commit that takes out one real server
alone, or one virtual server with the real servers behind it and no other.
"""

from collections.abc import Set
from fractions import Fraction

from clusterd.model import Cluster

Name = tuple[str, ...]  # of a virtual server alone, or with one of its real servers


def held(before: Cluster, after: Cluster) -> tuple[str, ...]:
    """Return a sentence for each brake that holds this change; none when it may pass."""
    virtuals, servers = _virtuals(before), _servers(before)
    virtuals_out, servers_out = virtuals - _virtuals(after), servers - _servers(after)
    alone = {name for name in servers_out if name[:1] not in virtuals_out}
    if len(virtuals_out) + len(alone) <= 1:
        return ()
    brakes = before.settings.brakes
    found = (
        _held("real servers", servers_out, servers, brakes.servers),
        _held("virtual servers", virtuals_out, virtuals, brakes.virtuals),
    )
    return tuple(sentence for sentence in found if sentence)


def _held(kind: str, out: Set[Name], of: Set[Name], share: float) -> str:
    if len(out) <= Fraction(repr(share)) * len(of):  # as it is written: 0.29 of 100 are 29
        return ""
    brake = f"the brake is at {share * 100:.15g} %"
    return f"this takes {len(out)} of {len(of)} {kind} out of service, {brake}; --force does it anyway"


def _virtuals(cluster: Cluster) -> frozenset[Name]:
    return frozenset((name,) for name, virtual in cluster.virtuals.items() if virtual.enabled)


def _servers(cluster: Cluster) -> frozenset[Name]:
    return frozenset(
        (name, label)
        for name, virtual in cluster.virtuals.items()
        for label, server in virtual.servers.items()
        if virtual.enabled and server.enabled and not server.drain and server.weight > 0
    )
