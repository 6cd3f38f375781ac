"""Would a MySQL or MariaDB server let somebody log in?

The client/server protocol, https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html: packets of a length
(3 bytes, little endian), a number, and a payload, whose first byte says what it is.
"""

from collections.abc import Generator

from clusterd.checks.dialogue import Dialogue, Ended, Inbox, Place, Step, Tell, quoted
from clusterd.health import Observation
from clusterd.model import MysqlCheck

_OK, _SWITCH, _MORE, _ERROR = 0x00, 0xFE, 0x01, 0xFF
_PROTOCOL_41, _SECURE, _PLUGIN = 0x0200, 0x8000, 0x80000
_UTF8MB4 = 45
_QUIT = b"\x01\0\0\0\x01"
# About the user alone: ER_DBACCESS_DENIED_ERROR, ER_ACCESS_DENIED_ERROR, ER_ACCESS_DENIED_NO_PASSWORD_ERROR, and
# ER_ACCOUNT_HAS_BEEN_LOCKED of MySQL and of MariaDB
_REFUSED = (1044, 1045, 1698, 3118, 4151)
_LONGEST = 4096


def talk(place: Place, check: MysqlCheck) -> Dialogue:
    """Read the greeting, log in without a password, and take a refusal for what it is: an answer."""
    inbox = Inbox()
    number, greeting = yield from _packet(inbox)
    if greeting[:1] != b"\x0a":
        return _unwell(greeting)
    version = greeting[1:].partition(b"\0")[0]
    number, answer = yield from _packet(inbox, number, _login(check.user))
    while answer[:1] in (bytes([_SWITCH]), bytes([_MORE])):
        number, answer = yield from _packet(inbox, number, b"")  # another way to send a password: there still is none
    if answer[:1] == bytes([_OK]):
        yield Tell(_QUIT)
    elif _code(answer) not in _REFUSED:
        return _unwell(answer)
    return Observation(True, f"is {quoted(version)}")


def _login(user: str) -> bytes:
    """Return the payload of a HandshakeResponse41 with an empty password."""
    flags = _PROTOCOL_41 | _SECURE | _PLUGIN
    head = flags.to_bytes(4, "little") + (2**24).to_bytes(4, "little") + bytes([_UTF8MB4]) + bytes(23)
    return head + user.encode() + b"\0" + b"\0" + b"mysql_native_password\0"


def _packet(inbox: Inbox, number: int | None = None, say: bytes = b"") -> Generator[Step, bytes, tuple[int, bytes]]:
    """Send a packet as the answer to that number, and return the next one: number and payload. Raises Ended."""
    if number is not None:
        yield from inbox.more(len(say).to_bytes(3, "little") + bytes([(number + 1) % 256]) + say)
    head = yield from inbox.exactly(4)
    size = int.from_bytes(head[:3], "little")
    if not 0 < size <= _LONGEST:
        raise Ended(f"answered {quoted(head + inbox.held)}, which is not MySQL")
    return head[3], (yield from inbox.exactly(size))


def _code(packet: bytes) -> int:
    return int.from_bytes(packet[1:3], "little") if packet[:1] == bytes([_ERROR]) else 0


def _unwell(packet: bytes) -> Observation:
    if packet[:1] == bytes([_ERROR]):
        return Observation(False, f"refused with error {_code(packet)}: {quoted(packet[3:])}")
    return Observation(False, f"answered {quoted(packet)}, which is not MySQL")
