"""Does a Redis server answer PING? RESP: https://redis.io/docs/latest/develop/reference/protocol-spec/"""

from clusterd.checks.dialogue import Dialogue, Inbox, Place, quoted
from clusterd.health import Observation
from clusterd.model import RedisCheck


def talk(place: Place, check: RedisCheck) -> Dialogue:
    """Ping. A server that wants a password first is well; one that is loading its data is not."""
    answer = yield from Inbox().line(b"*1\r\n$4\r\nPING\r\n")
    if answer == b"+PONG":
        return Observation(True, "answered PONG")
    if answer.startswith(b"-NOAUTH"):
        return Observation(True, "asks for a password")
    return Observation(False, f"answered {quoted(answer)}, expected +PONG")
