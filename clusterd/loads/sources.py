"""Sources of load: each asks one real server once and returns a reading, or in words why there is none.

A source never raises for what the other side does, and takes no longer than the configured timeout. A new one is a
file here and a line in `SOURCES`. (`agent` is none of them: agents write keys, which the router follows.)
"""

from collections.abc import Awaitable, Callable, Mapping

from clusterd.loads import http, programs, ssh
from clusterd.loads.asked import Asked
from clusterd.weights.values import Reading

__all__ = ["SOURCES", "Asked", "read"]

SOURCES: Mapping[str, Callable[[Asked], Awaitable[Reading | str]]] = {
    "ssh": ssh.read,
    "http": http.read,
    "rup": programs.rup,
    "ruptime": programs.ruptime,
}


async def read(asked: Asked) -> Reading | str:
    """Return a reading of a real server by its virtual server's source, or why there is none."""
    return await SOURCES[asked.load.source](asked)
