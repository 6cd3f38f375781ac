"""Why a real server gets the traffic that it gets: every factor of its weight, with its reason. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clusterd.model import Cluster
from clusterd.overview import Overview, ServerLine, VirtualLine
from clusterd.verdicts import EXTERNAL

BY_DEFAULT = "by default"
UNKNOWN = "who set it is not known while etcd is down"


@dataclass(frozen=True, slots=True)
class Factor:
    """One thing that has a say: what it says, why (by whom), and since when (UTC), "" where that is in the reason."""

    name: str
    says: str
    why: str = ""
    since: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A real server's weight, its share (0 to 1) of what all have, and what made it so. None: not in the pool."""

    virtual: str
    server: str
    address: str
    weight: int | None
    share: float | None
    factors: tuple[Factor, ...]


def explanations(
    view: Overview, cluster: Cluster, virtual: str, origins: Mapping[str, str] | None
) -> tuple[Explanation, ...]:
    """Return the explanation of each real server of a virtual server.

    `origins` says by paths in the document which commit set a value; None says that nobody knows now.
    """
    line = next(one for one in view.virtuals if one.name == virtual)
    total = sum(server.effective_weight or 0 for server in line.servers) + line.sorry_server_in_use
    return tuple(
        Explanation(
            virtual,
            server.name,
            f"{server.address}:{server.port}",
            server.effective_weight,
            server.effective_weight / total if server.effective_weight is not None and total else None,
            tuple(_factors(cluster, line, server, origins)),
        )
        for server in line.servers
    )


def _factors(
    cluster: Cluster, line: VirtualLine, server: ServerLine, origins: Mapping[str, str] | None
) -> Iterator[Factor]:
    virtual = cluster.virtuals[line.name]
    wanted = virtual.servers[server.name]
    here = f"virtuals/{line.name}"
    there = f"{here}/servers/{server.name}"

    def origin(path: str) -> str:
        return UNKNOWN if origins is None else origins.get(path, BY_DEFAULT)

    yield Factor("configured", f"weight {wanted.weight}", origin(f"{there}/weight"))
    if not virtual.enabled:
        yield Factor("virtual server", "disabled", origin(f"{here}/enabled"))
    enabled = "enabled" if wanted.enabled else "disabled: not in the pool, and not checked"
    yield Factor("server", enabled, origin(f"{there}/enabled"))
    if wanted.drain:
        yield Factor("drain", "weight 0: connections go on, new ones go elsewhere", origin(f"{there}/drain"))
    yield from _health(server, virtual.verdicts)
    if server.state == "down":
        quiesce = "on: it keeps its connections at weight 0" if virtual.quiesce else "off: it leaves the pool"
        yield Factor("quiesce", quiesce, origin(f"{here}/quiesce"))
    yield from (Factor(one.name, one.says, one.why, one.since) for one in server.factors)
    if not any(one.name == "load" for one in server.factors):
        load = virtual.load.source
        read = "none: static weight" if load == "none" else f"{load}: no router tells what it reads"
        yield Factor("load", read, origin(f"{here}/load/source"))
    if line.sorry_server_in_use:
        yield Factor("sorry server", f"{line.sorry_server} answers", "no real server is available")


def _health(server: ServerLine, policy: str) -> Iterator[Factor]:
    words = {True: "up", False: "down", None: "not readable"}
    if server.state != "disabled" and server.up is None and not server.verdicts:
        yield Factor("health", "unchecked", "no verdict yet: it joins the pool when its first check succeeds")
    if server.up is not None and not server.observer:
        yield Factor("health", words[server.up], f"by verdicts: {policy}: {server.detail}")
    for one in sorted(server.verdicts, key=lambda one: one.observer != server.observer):
        counts = "which decides" if one.observer == server.observer else "which does not count here"
        if not server.observer and not one.observer.startswith(EXTERNAL):
            counts = "which counts"
        since = f"since {one.since}: " if one.since else ""
        yield Factor("health", words[one.up], f"{since}{one.detail or 'no detail'}, says {one.observer}, {counts}")
