"""Since when the document drains which real server; routers keep it on disk, so that a restart begins nothing anew.

The moments are those in which this router saw the commits, on its own clock: whoever commits may have another one.
"""

from collections.abc import Mapping

from clusterd.model import Cluster, others

Drains = Mapping[str, float]  # "virtual/server" -> UTC


def drained(before: Drains, former: Cluster, cluster: Cluster, now_s: float) -> dict[str, float]:
    """Return it for this cluster: as it was known `before` of the `former` one, for those that are new from now on.

    What both share is not looked at.
    """
    changed = others(former, cluster)
    since_s = {each: at_s for each, at_s in before.items() if each.partition("/")[0] not in changed}
    for name in changed & cluster.virtuals.keys():
        names = (f"{name}/{label}" for label, server in cluster.virtuals[name].servers.items() if server.drain)
        since_s |= {each: before.get(each, now_s) for each in names}
    return since_s
