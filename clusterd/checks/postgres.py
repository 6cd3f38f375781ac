"""Would a PostgreSQL server let somebody log in? As pg_isready(1) asks it.

https://www.postgresql.org/docs/current/protocol-message-formats.html: a letter, a length that counts itself (4 bytes,
big endian), and fields.
"""

from collections.abc import Generator

from clusterd.checks.dialogue import Dialogue, Ended, Inbox, Place, Step, quoted
from clusterd.health import Observation
from clusterd.model import PostgresCheck

_VERSION_3 = (3 << 16).to_bytes(4, "big")
_LET_IN = bytes(4)  # AuthenticationOk
_LONGEST = 8192
# https://www.postgresql.org/docs/current/errcodes-appendix.html: classes whose errors are about who asks and for what
_ABOUT_US = ("28", "3D", "42")


def talk(place: Place, check: PostgresCheck) -> Dialogue:
    """Begin to log in. To be asked for a password, or to be refused by name, is a good answer."""
    inbox = Inbox()
    yield from inbox.more(_startup(check))
    kind, body = yield from _message(inbox, b"REv")
    if (kind, body) == (b"R", _LET_IN):  # what is wrong with the database, or that it is full, comes only now
        kind, body = yield from _message(inbox, b"ESKZN")
    if kind != b"E":
        return Observation(True, "is ready for logins")
    said = {field[:1]: field[1:] for field in body.split(b"\0") if field}
    code = said.get(b"C", b"").decode("latin-1")
    if code.startswith(_ABOUT_US):
        return Observation(True, f"is ready for logins, but not for {check.user}")
    return Observation(False, f"refused with {quoted(said.get(b'C', b''))}: {quoted(said.get(b'M', b''))}")


def _message(inbox: Inbox, kinds: bytes) -> Generator[Step, bytes, tuple[bytes, bytes]]:
    """Return the letter and the fields of the next message, which is one of these kinds. Raises Ended."""
    head = yield from inbox.exactly(5)
    size = int.from_bytes(head[1:], "big") - 4
    if head[0] not in kinds or not 0 <= size <= _LONGEST:
        raise Ended(f"answered {quoted(head + inbox.held)}, which is not PostgreSQL")
    return head[:1], (yield from inbox.exactly(size))


def _startup(check: PostgresCheck) -> bytes:
    fields = ("user", check.user, "database", check.database, "application_name", "clusterd")
    body = _VERSION_3 + b"".join(field.encode() + b"\0" for field in fields) + b"\0"
    return (len(body) + 4).to_bytes(4, "big") + body
