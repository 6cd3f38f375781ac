"""A Cluster as a ruleset for `nft -f`: the table ``ip clusterd``, as a router has it.

Loading it replaces that table in one transaction and touches no other, as the router does; where there is
nothing to say, the table goes.
"""

from clusterd.desired import netfilter
from clusterd.model import Cluster
from clusterd.plane import Masquerade
from renderers.rendering import Rendering, fill


def render(cluster: Cluster) -> Rendering:
    """Return the ruleset. The format can say all that there is, so there are no warnings."""
    tables = [
        {"rules": [_rule(each) for each in table.masquerades], "untracked": table.untracked}
        for table in netfilter(cluster)
    ]
    return Rendering(fill("nftables.j2", tables=tables), ())


def _rule(masquerade: Masquerade) -> dict[str, object]:
    source = masquerade.source
    host = source.prefixlen == 32  # nft lists a host without its prefix
    return {"source": source.network_address if host else source, "interface": masquerade.interface}
