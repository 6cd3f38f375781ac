"""What went wrong on the way, in words, and whether it says something about the server."""

import errno
import os

from clusterd.health import Observation

# Errors of this machine: nothing was asked of the server.
OURS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EPERM}
)


def in_words(number: int) -> str:
    """Return an errno(3) in words for the middle of a sentence: connection refused."""
    text = os.strerror(number)
    return text[0].lower() + text[1:]


def failed(error: OSError, led: bool = False) -> Observation:
    """Return what an error of a socket says. Where IPVS is to lead, that there is no route is this router's affair."""
    if error.errno is None:
        return Observation(False, str(error))
    ours = error.errno in OURS or (led and error.errno == errno.ENETUNREACH)
    return Observation(False, in_words(error.errno), conclusive=not ours)
