"""Would a PostgreSQL server let somebody log in? As pg_isready(1) asks it.

https://www.postgresql.org/docs/current/protocol-message-formats.html: a letter, a length that counts itself (4 bytes,
big endian), and fields.
"""

from clusterd.checks.dialogue import Dialogue, Inbox, Place, quoted
from clusterd.health import Observation
from clusterd.model import PostgresCheck

_VERSION_3 = (3 << 16).to_bytes(4, "big")
_LONGEST = 8192
# https://www.postgresql.org/docs/current/errcodes-appendix.html: classes whose errors are about who asks and for what
_ABOUT_US = ("28", "3D", "42")


def talk(place: Place, check: PostgresCheck) -> Dialogue:
    """Begin to log in. To be asked for a password, or to be refused by name, is a good answer."""
    inbox = Inbox()
    yield from inbox.more(_startup(check))
    head = yield from inbox.exactly(5)
    size = int.from_bytes(head[1:], "big") - 4
    if head[:1] not in (b"R", b"E", b"v") or not 0 <= size <= _LONGEST:
        return Observation(False, f"answered {quoted(head + inbox.held)}, which is not PostgreSQL")
    body = yield from inbox.exactly(size)
    if head[:1] != b"E":
        return Observation(True, "is ready for logins")
    said = {field[:1]: field[1:] for field in body.split(b"\0") if field}
    code = said.get(b"C", b"").decode("latin-1")
    if code.startswith(_ABOUT_US):
        return Observation(True, f"is ready for logins, but not for {check.user}")
    return Observation(False, f"refused with {quoted(said.get(b'C', b''))}: {quoted(said.get(b'M', b''))}")


def _startup(check: PostgresCheck) -> bytes:
    fields = ("user", check.user, "database", check.database, "application_name", "clusterd")
    body = _VERSION_3 + b"".join(field.encode() + b"\0" for field in fields) + b"\0"
    return (len(body) + 4).to_bytes(4, "big") + body
