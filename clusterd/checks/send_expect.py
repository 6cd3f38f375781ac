r"""Does what comes back begin as expected? (lvs.cf: send, expect, use_regex)

With both, `send` goes first; with one alone, that one; with neither the connection is all there is to it. An expected
text must stand at the beginning of what comes back, a regular expression anywhere in its first 64 KiB.

`send` and `expect` are kept as people wrote them, so \n, \r, \t, \\ and \' are translated here; any other backslash
stays. A regular expression is not translated: `re` reads these five itself, and \\. must not become \. before it does.
"""

import asyncio
import re
from functools import lru_cache

from clusterd.checks.conversation import LIMIT_BYTES, closed_early, connected, observed, quoted
from clusterd.health import Observation
from clusterd.model import SendExpectCheck

ANYTHING = "*"  # any answer, but one
ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'"}


async def probe(address: str, port: int, check: SendExpectCheck) -> Observation:
    """Connect, send if there is something to send, and compare if something is expected."""
    received = bytearray()
    return await observed(_talk(address, port, check, received), check.timeout_s, received)


def translated(text: str) -> bytes:
    """Return the bytes that a `send` or `expect` stands for (UTF-8)."""
    return re.sub(r"\\([nrt\\'])", lambda match: ESCAPED[match[1]], text).encode()


async def _talk(address: str, port: int, check: SendExpectCheck, received: bytearray) -> Observation:
    loop = asyncio.get_running_loop()
    async with connected(address, port) as sock:
        if check.send:
            await loop.sock_sendall(sock, translated(check.send))
        if not check.expect:
            return Observation(True, "accepted what was sent" if check.send else "accepted a connection")
        while True:
            data = await loop.sock_recv(sock, LIMIT_BYTES - len(received))
            received += data
            complete = not data or len(received) == LIMIT_BYTES
            good = _good(check, check.expect, bytes(received), complete)
            if good is not None:
                return _judged(check, received, good)


def _good(check: SendExpectCheck, expect: str, received: bytes, complete: bool) -> bool | None:
    """Return whether the answer is good, None as long as it may still become so."""
    if expect == ANYTHING:
        good, hopeful = bool(received), True
    elif check.regex:
        good, hopeful = _compiled(expect).search(received) is not None, True
    else:
        wanted = translated(expect)
        good, hopeful = received.startswith(wanted), wanted.startswith(received)
    return None if not good and hopeful and not complete else good


def _judged(check: SendExpectCheck, received: bytearray, good: bool) -> Observation:
    if good:
        return Observation(True, "answered as expected")
    if not received:
        return Observation(False, closed_early(received))
    return Observation(False, f"answered {quoted(received)}, expected {check.expect}")


@lru_cache(maxsize=4096)
def _compiled(expression: str) -> re.Pattern[bytes]:
    return re.compile(expression.encode())
