"""Which configurations a router follows. Pure.

Silence is not news, and neither is a store that lost its memory: an empty, an older or a foreign one changes nothing,
until a person says that the commit which is followed here was given up.
"""

from collections.abc import Collection

from clusterd.configuration import Committed
from clusterd.errors import ConfigError
from watchers.last_good import LastGood

EMPTY = "restore etcd, or make it anew with `clusterd init` and `clusterd adopt --restored`"
REMEDY = "if this store is right, `clusterd adopt --restored` says so to all routers"


def refusal(
    current: LastGood | None, seen: Committed | ConfigError | None, given_up: Collection[str] = frozenset()
) -> str:
    """Return why what the store shows is not followed; "" when it is. `given_up` are hashes of commits."""
    if isinstance(seen, ConfigError):
        return f"the configuration in etcd cannot be read: {seen}"
    if seen is None:
        if current is None:
            return "nothing is committed yet: `clusterd init` makes the first commit"
        return f"etcd holds no configuration any more, commit {current.number} stays in force; {EMPTY}"
    if current is None or seen.number > current.number or current.hash in given_up:
        return ""
    if seen.number < current.number:
        return f"etcd holds commit {seen.number}, but commit {current.number} was followed before; {REMEDY}"
    if seen.head.hash != current.hash:
        return f"etcd holds another commit {seen.number} than the one that was followed before; {REMEDY}"
    return ""
