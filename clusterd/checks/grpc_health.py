"""Does a gRPC server say that it serves? HTTP/2 (RFC 9113) as h2 reads it, one call of grpc.health.v1.Health/Check.

The messages have one field each, so they are put together and taken apart here: HealthCheckRequest has the service's
name as field 1, HealthCheckResponse the status as field 1 (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
"""

from collections.abc import Generator

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from clusterd.checks.dialogue import Dialogue, Encrypt, Inbox, Place, Step, quoted
from clusterd.health import Observation
from clusterd.model import GrpcCheck

SERVING = 1
STATUSES = {0: "UNKNOWN", SERVING: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_STREAM = 1
_FRAME_HEADER, _SETTINGS = 9, 4  # a server begins with a frame of this type: RFC 9113, sections 3.4 and 4.1
_LONGEST = 4096  # of the answer's message


def talk(place: Place, check: GrpcCheck) -> Dialogue:
    """Make the call, and judge its answer."""
    if check.tls:
        yield Encrypt(check.server_name, check.verify, check.ca_file, ("h2",))
    try:
        return (yield from _call(place, check))
    except (h2.exceptions.H2Error, ValueError) as error:  # of a header that is no text, too
        return Observation(False, f"does not speak HTTP/2 with us: {error or type(error).__name__}")


def _call(place: Place, check: GrpcCheck) -> Generator[Step, bytes, Observation]:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="latin-1"))
    connection.initiate_connection()
    connection.send_headers(_STREAM, _headers(place, check))
    connection.send_data(_STREAM, request(check.service), end_stream=True)
    inbox, message = Inbox(), bytearray()
    said: dict[str, str] = {}
    yield from inbox.more(connection.data_to_send())
    while len(inbox.held) < _FRAME_HEADER:
        yield from inbox.more()
    if inbox.held[3] != _SETTINGS:
        return Observation(False, f"answered {quoted(inbox.held)}, which is not HTTP/2")
    while True:
        events = connection.receive_data(bytes(inbox.held))
        inbox.held.clear()
        for event in events:
            if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                said |= {str(name): str(value) for name, value in event.headers}
            elif isinstance(event, h2.events.DataReceived):
                message += event.data[: _LONGEST - len(message)]
                connection.acknowledge_received_data(event.flow_controlled_length, _STREAM)
            elif isinstance(event, h2.events.StreamEnded):
                return judged(said, bytes(message))
            elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                return Observation(False, f"gave the call up with HTTP/2 error {event.error_code}")
        yield from inbox.more(connection.data_to_send())


def _headers(place: Place, check: GrpcCheck) -> list[tuple[str, str]]:
    address = f"[{place.address}]" if ":" in place.address else place.address
    return [
        (":method", "POST"),
        (":scheme", "https" if check.tls else "http"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":authority", check.server_name or f"{address}:{place.port}"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", "clusterd"),
    ]


def request(service: str) -> bytes:
    """Return a HealthCheckRequest with its length before it."""
    name = service.encode()
    size = bytes([len(name)]) if len(name) < 128 else bytes([len(name) & 127 | 128, len(name) >> 7])
    message = b"\x0a" + size + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def judged(said: dict[str, str], message: bytes) -> Observation:
    """Return what an answer says: its headers and trailers, and its message with the length before it."""
    if said.get(":status") != "200":
        return Observation(False, f"HTTP {said.get(':status')}, expected gRPC")
    if said.get("grpc-status") != "0":
        text = said.get("grpc-message", "")
        return Observation(False, f"gRPC status {said.get('grpc-status')}" + (f": {text[:200]}" if text else ""))
    status = status_of(message)
    if status is None:
        return Observation(False, f"answered {quoted(message)}, which is no HealthCheckResponse")
    return Observation(status == SERVING, f"says {STATUSES.get(status, status)}")


def status_of(message: bytes) -> int | None:
    """Return the status in a HealthCheckResponse, None where it is none. One that is 0 is left out by proto3."""
    size = int.from_bytes(message[1:5], "big")
    body = message[5:]
    if len(message) < 5 or message[0] or len(body) != size:
        return None
    if not body:
        return 0
    return body[1] if len(body) == 2 and body[0] == 8 and body[1] < 128 else None
