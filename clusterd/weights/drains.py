"""Since when the document drains which real server; routers keep it on disk, so that a restart begins nothing anew.

The moments are those in which this router saw the commits, on its own clock: whoever commits may have another one.
"""

from collections.abc import Mapping

from clusterd.model import Cluster

Drains = Mapping[str, float]  # "virtual/server" -> UTC


def drained(before: Drains, cluster: Cluster, now_s: float) -> dict[str, float]:
    """Return it for this cluster: as it was known before, and from now on for those that are new."""
    names = (
        f"{name}/{label}"
        for name, virtual in cluster.virtuals.items()
        for label, server in virtual.servers.items()
        if server.drain
    )
    return {each: before.get(each, now_s) for each in names}
