"""What every check does: connect, talk for a limited time, and say in words what went wrong.

The one place where a check's errors are caught, and its socket is opened and closed.
"""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from clusterd.health import Observation

LIMIT_BYTES = 65536  # no check reads more of an answer
QUOTED_BYTES = 60  # how much of an answer a detail shows
HELD_UP_S = 0.5  # a timeout noticed that much too late says more about this process than about the server

# Errors of this machine: nothing was asked of the server.
OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})


@asynccontextmanager
async def connected(address: str, port: int) -> AsyncIterator[socket.socket]:
    """Give a connection to an address and port as a socket for the loop's `sock_…` calls; closed whatever happens.

    The address is of either family, without brackets. Raises OSError.
    """
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
        yield sock


async def observed(talk: Coroutine[None, None, Observation], timeout_s: float, received: bytearray) -> Observation:
    """Return what `talk` finds out in at most `timeout_s`; `received` is where it keeps what has come back so far."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    try:
        async with asyncio.timeout_at(deadline_s):
            return await talk
    except OSError as error:  # TimeoutError is one, without a number when it is ours
        if error.errno is not None:
            return Observation(False, in_words(error.errno), conclusive=error.errno not in OURS)
    if loop.time() - deadline_s > HELD_UP_S:
        return Observation(False, "the check was held up", conclusive=False)
    if received:
        return Observation(False, f"answered {quoted(received)}, and no more within {timeout_s:g} s")
    return Observation(False, f"no answer within {timeout_s:g} s")


def in_words(number: int) -> str:
    """Return an errno(3) in words for the middle of a sentence: connection refused."""
    text = os.strerror(number)
    return text[0].lower() + text[1:]


def closed_early(received: bytes | bytearray) -> str:
    """Return the words for a connection that ended before the answer was complete."""
    if received:
        return f"closed the connection after {quoted(received)}"
    return "closed the connection without an answer"


def quoted(received: bytes | bytearray) -> str:
    """Return the beginning of an answer for people: in quotes, in one line, printable whatever it holds."""
    text = received[:QUOTED_BYTES].decode("latin-1").encode("unicode_escape").decode("ascii")
    return f'"{text}…"' if len(received) > QUOTED_BYTES else f'"{text}"'
