"""Does the port answer a datagram, or at least not refuse it?

Without `expect` silence is good, since many services answer nothing to what they do not know; what is refused is told
by ICMP (port unreachable), which only a host that is up can send. A host that is down is silent, too: give `expect`
where there is an answer to be had.
"""

from clusterd.checks.dialogue import LIMIT_BYTES, Dialogue, Place
from clusterd.checks.send_expect import judged, matches, translated
from clusterd.health import Observation
from clusterd.model import UdpCheck


def talk(place: Place, check: UdpCheck) -> Dialogue:
    """Send one datagram, and compare what comes back."""
    try:
        data = yield translated(check.send) or b"\0"
    except TimeoutError:
        if check.expect:
            raise
        return Observation(True, "was not refused")
    if not check.expect:
        return Observation(True, "answered")
    received = data[:LIMIT_BYTES]
    return judged(check.expect, received, bool(matches(check.expect, check.regex, received, complete=True)))
