"""How a real server is checked: one module per kind, and the list of them."""

from collections.abc import Awaitable, Callable, Mapping

from clusterd.checks import http, send_expect, tcp
from clusterd.health import Observation
from clusterd.model import Check, HttpCheck, SendExpectCheck, TcpCheck, Timing

# A kind's own probe takes that kind only, which a mapping cannot say: hence the three dots.
KINDS: Mapping[type[Timing], Callable[..., Awaitable[Observation]]] = {
    TcpCheck: tcp.probe,
    HttpCheck: http.probe,
    SendExpectCheck: send_expect.probe,
}


async def probe(address: str, port: int, check: Check) -> Observation:
    """Check one real server once, in `check.timeout_s` at most. Whatever goes wrong is an observation, never raised."""
    return await KINDS[type(check)](address, port, check)
