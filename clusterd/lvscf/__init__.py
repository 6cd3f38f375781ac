"""Reads lvs.cf, the configuration file of Piranha, as a Cluster. Pure: no name is looked up, no file is opened.

`values` knows the kinds of values, `grammar` the keys, `syntax` the lines and blocks, `mapping` what they mean as a
document. Then the document's own rules hold, and their problems are told with the lines of the lvs.cf file.
"""

from dataclasses import dataclass

from clusterd import document
from clusterd.errors import ConfigError, Problem
from clusterd.lvscf.mapping import draft, masquerades
from clusterd.lvscf.syntax import Block, Parser
from clusterd.model import Cluster

__all__ = ["Reading", "masquerades", "read"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file says. `warnings` tells, by line, what was not carried over and what was made up."""

    cluster: Cluster
    warnings: tuple[Problem, ...]
    serial_no: int


def read(text: str | bytes) -> Reading:
    """Read a whole lvs.cf file. Raises ConfigError with every problem, each with its line and path in the file."""
    warnings: list[Problem] = []
    if isinstance(text, bytes):
        text, warnings = _decoded(text)
    parser = Parser(text)
    made = draft(parser.root)
    try:
        cluster = document.from_data(made.data, {path: line for path, (line, _) in made.origins.items()})
    except ConfigError as error:
        located = [made.located(problem) for problem in error.problems]
        raise ConfigError(list(dict.fromkeys(p for p in [*parser.problems, *located] if p))) from None
    if parser.problems:
        raise ConfigError(parser.problems)
    warnings += parser.warnings + made.warnings
    cluster = _masqueraded(cluster, parser.root, warnings)
    return Reading(cluster, tuple(sorted(warnings)), parser.root.sound("serial_no", 0))


def _decoded(text: bytes) -> tuple[str, list[Problem]]:
    try:
        return text.decode(), []
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        return text.decode("latin-1"), [Problem(line, "", "not UTF-8: the file is read as Latin-1")]


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
