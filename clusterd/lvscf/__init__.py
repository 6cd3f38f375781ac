"""Reads lvs.cf, the configuration file of Piranha, as a Cluster. Pure: no name is looked up, no file is opened.

`values` knows the kinds of values, `grammar` the keys, `syntax` the lines and blocks, `mapping` what they mean as a
document. Then the document's own rules hold, and their problems are told with the lines of the lvs.cf file.
"""

from clusterd.errors import Problem
from clusterd.lvscf.mapping import draft, masquerades
from clusterd.lvscf.syntax import Block, Parser
from clusterd.model import Cluster
from clusterd.reading import Reading, decoded

__all__ = ["Reading", "masquerades", "read"]


def read(text: str | bytes) -> Reading:
    """Read a whole lvs.cf file. Raises ConfigError with every problem, each with its line and path in the file."""
    text, warnings = decoded(text)
    parser = Parser(text)
    made = draft(parser.root)
    made.problems += parser.problems
    cluster = made.cluster()
    warnings += parser.warnings + made.warnings
    cluster = _masqueraded(cluster, parser.root, warnings)
    return Reading(cluster, tuple(sorted(warnings)), parser.root.sound("serial_no", 0))


def _masqueraded(cluster: Cluster, root: Block, warnings: list[Problem]) -> Cluster:
    gateway = cluster.settings.nat_router
    if gateway is None or cluster.settings.forwarding != "nat":
        return cluster
    added = masquerades(cluster)
    where = ", ".join(f"{item.source} on {item.interface}" for item in added)
    why = "which network is private" if gateway.address.network.prefixlen == 32 else "which interface is public"
    said = f"added to masquerade: {where}" if added else f"nothing added to masquerade: not known {why}"
    warnings.append(Problem(root.given["nat_router"].line, "nat_router", said))
    return cluster.model_copy(update={"settings": cluster.settings.model_copy(update={"masquerade": added})})
