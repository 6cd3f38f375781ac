"""Does the server introduce itself as one of SSH 2? RFC 4253, section 4.2."""

from clusterd.checks.dialogue import Dialogue, Inbox, Place, quoted
from clusterd.health import Observation
from clusterd.model import SshCheck

OWN_BANNER = b"SSH-2.0-clusterd\r\n"


def talk(place: Place, check: SshCheck) -> Dialogue:
    """Exchange banners. Lines before the server's are allowed, unless they begin with SSH-."""
    inbox = Inbox()
    line = yield from inbox.line(OWN_BANNER)
    while not line.startswith(b"SSH-"):
        line = yield from inbox.line()
    if line.startswith((b"SSH-2.0-", b"SSH-1.99-")):
        return Observation(True, f"is {quoted(line)}")
    return Observation(False, f"is {quoted(line)}, expected SSH 2")
