"""The I/O of checks: sockets, TLS, programs and deadlines for what `clusterd.checks` says."""

import asyncio

from clusterd.checks.dialogue import Through
from clusterd.health import Observation
from clusterd.model import Check
from clusterd.probing.engine import Engine


async def probe(address: str, port: int, check: Check, through: Through | None = None) -> Observation:
    """Check one real server once, in `check.timeout_s` at most. Whatever goes wrong is an observation, never raised."""
    engine = Engine()
    found: asyncio.Future[Observation] = asyncio.get_running_loop().create_future()
    try:
        engine.check(address, port, check, found.set_result, through)
        return await found
    finally:
        engine.close()
        await engine.ended()
