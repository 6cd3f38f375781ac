"""A Cluster as a ruleset for `nft -f`: the table ``ip clusterd``, as a router has it.

Loading it replaces that table in one transaction and touches no other, as the router does; where there is
nothing to say, the table goes.
"""

from clusterd.desired import desired
from clusterd.model import Cluster
from clusterd.plane import Masquerade, NetfilterKey
from clusterd.plane import Netfilter as Table
from renderers.rendering import Rendering, fill


def render(cluster: Cluster) -> Rendering:
    """Return the ruleset. The format can say all that there is, so there are no warnings."""
    table = desired(cluster, {}).get(NetfilterKey())
    if not isinstance(table, Table):
        return Rendering(fill("nftables.j2", wanted=False), ())
    rules = [_rule(each) for each in table.masquerades]
    return Rendering(fill("nftables.j2", wanted=True, rules=rules, guards=table.guards), ())


def _rule(masquerade: Masquerade) -> dict[str, object]:
    source = masquerade.source
    host = source.prefixlen == 32  # nft lists a host without its prefix
    return {"source": source.network_address if host else source, "interface": masquerade.interface}
