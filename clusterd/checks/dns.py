"""Is a question answered without an error, and with the record that is wanted? RFC 1035 as dnspython reads it."""

import dns.exception
import dns.flags
import dns.message
import dns.rcode

from clusterd.checks.dialogue import Dialogue, Place, quoted
from clusterd.health import Observation
from clusterd.model import DnsCheck


def talk(place: Place, check: DnsCheck) -> Dialogue:
    """Ask until the answer to this question comes: whatever else comes is somebody else's."""
    question = dns.message.make_query(check.name, check.record, id=place.nonce & 0xFFFF)
    said = question.to_wire()
    while True:
        data, said = (yield said), b""
        try:
            answer = dns.message.from_wire(data)
        except (dns.exception.DNSException, ValueError) as error:
            return Observation(False, f"answered {quoted(data)}, which is not DNS: {error}")
        if question.is_response(answer):
            return judged(answer, check)


def judged(answer: dns.message.Message, check: DnsCheck) -> Observation:
    """Return what an answer says about the server."""
    if answer.rcode() != dns.rcode.NOERROR:
        return Observation(False, f"answered {dns.rcode.to_text(answer.rcode())} for {check.name} {check.record}")
    records = [record.to_text() for group in answer.answer for record in group]
    if check.answer is None:
        return Observation(True, f"answered with {len(records)} records")
    if check.answer in records:
        return Observation(True, f"answered {check.answer}")
    return Observation(False, f"answered {', '.join(records)[:200] or 'no records'}, expected {check.answer}")
