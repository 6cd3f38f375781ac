r"""Does what comes back begin as expected? (lvs.cf: send, expect, use_regex)

With both, `send` goes first; with one alone, that one; with neither the connection is all there is to it. An expected
text must stand at the beginning of what comes back, a regular expression anywhere in its first 64 KiB.

`send` and `expect` are kept as people wrote them, so \n, \r, \t, \\ and \' are translated here; any other backslash
stays. A regular expression is not translated: `re` reads these five itself, and \\. must not become \. before it does.
"""

import re
from functools import lru_cache

from clusterd.checks.dialogue import LIMIT_BYTES, Dialogue, Place, Tell, closed_early, quoted
from clusterd.health import Observation
from clusterd.model import SendExpectCheck

ANYTHING = "*"  # any answer, but one
ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'"}


def talk(place: Place, check: SendExpectCheck) -> Dialogue:
    """Send if there is something to send, and compare if something is expected."""
    said = translated(check.send) if check.send else b""
    if not check.expect:
        if said:
            yield Tell(said)
        return Observation(True, "accepted what was sent" if said else "accepted a connection")
    received = bytearray()
    data = yield said
    while True:
        received += data[: LIMIT_BYTES - len(received)]
        complete = not data or len(received) == LIMIT_BYTES
        good = matches(check.expect, check.regex, bytes(received), complete)
        if good is not None:
            return judged(check.expect, received, good)
        data = yield b""


def translated(text: str) -> bytes:
    """Return the bytes that a `send` or `expect` stands for (UTF-8)."""
    return re.sub(r"\\([nrt\\'])", lambda match: ESCAPED[match[1]], text).encode()


def matches(expect: str, regex: bool, received: bytes, complete: bool) -> bool | None:
    """Return whether the answer is good, None as long as it may still become so."""
    if expect == ANYTHING:
        good, hopeful = bool(received), True
    elif regex:
        good, hopeful = compiled(expect).search(received) is not None, True
    else:
        wanted = translated(expect)
        good, hopeful = received.startswith(wanted), wanted.startswith(received)
    return None if not good and hopeful and not complete else good


def judged(expect: str, received: bytes | bytearray, good: bool) -> Observation:
    """Return the words for an answer that is good or not."""
    if good:
        return Observation(True, "answered as expected")
    if not received:
        return Observation(False, closed_early(received))
    return Observation(False, f"answered {quoted(received)}, expected {expect}")


@lru_cache(maxsize=4096)
def compiled(expression: str) -> re.Pattern[bytes]:
    """Return a regular expression that the model has accepted, for bytes (UTF-8)."""
    return re.compile(expression.encode())
