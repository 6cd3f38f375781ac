"""Which configurations a router follows. Pure.

Silence is not news, and neither is a store that lost its memory: an empty, an older or a foreign one changes nothing.
"""

from clusterd.configuration import Committed
from clusterd.errors import ConfigError
from watchers.last_good import LastGood

REMEDY = "if this store is right, stop the router service, remove {path} and start it again"


def refusal(current: LastGood | None, seen: Committed | ConfigError | None, path: str) -> str:
    """Return why what the store shows is not followed; "" when it is. `path` is where the last good one is kept."""
    remedy = REMEDY.format(path=path)
    if isinstance(seen, ConfigError):
        return f"the configuration in etcd cannot be read: {seen}"
    if seen is None:
        if current is None:
            return "nothing is committed yet: `clusterd init` makes the first commit"
        return f"etcd holds no configuration any more, commit {current.number} stays in force; {remedy}"
    if current is None or seen.number > current.number:
        return ""
    if seen.number < current.number:
        return f"etcd holds commit {seen.number}, but commit {current.number} was followed before; {remedy}"
    if seen.head.hash != current.hash:
        return f"etcd holds another commit {seen.number} than the one that was followed before; {remedy}"
    return ""
