"""Does the mail server greet, and answer EHLO (RFC 5321)? Does it begin TLS where it should (RFC 3207)?"""

from collections.abc import Generator

from clusterd.checks.dialogue import Dialogue, Encrypt, Ended, Inbox, Place, Step, quoted
from clusterd.health import Observation
from clusterd.model import SmtpCheck


def talk(place: Place, check: SmtpCheck) -> Dialogue:
    """Hold the conversation, and say good-bye."""
    inbox = Inbox()
    hello = f"EHLO {check.hello}\r\n".encode()
    yield from _reply(inbox, b"", b"220", "the greeting")
    can = yield from _reply(inbox, hello, b"250", "EHLO")
    if check.starttls:
        if not any(line[4:].strip().upper() == b"STARTTLS" for line in can):
            return Observation(False, "does not offer STARTTLS")
        yield from _reply(inbox, b"STARTTLS\r\n", b"220", "STARTTLS")
        if inbox.held:
            return Observation(False, "said something between STARTTLS and TLS")
        yield Encrypt(check.server_name, check.verify, check.ca_file)
        yield from _reply(inbox, hello, b"250", "EHLO within TLS")
    yield from _reply(inbox, b"QUIT\r\n", b"", "QUIT")
    return Observation(True, "answered EHLO" + (" within TLS" if check.starttls else ""))


def _reply(inbox: Inbox, say: bytes, wanted: bytes, what: str) -> Generator[Step, bytes, list[bytes]]:
    """Return the lines of a reply (RFC 5321, 4.2.1). Raises Ended where it does not have the wanted code."""
    lines = [(yield from inbox.line(say))]
    while lines[-1][3:4] == b"-":
        lines.append((yield from inbox.line()))
    if not lines[-1].startswith(wanted):
        raise Ended(f"answered {quoted(lines[-1])} to {what}, expected {wanted.decode()}")
    return lines
