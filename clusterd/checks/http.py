"""Is a GET answered with one of the wanted status codes?

The status and the headers are the answer; the body is not waited for. RFC 9112 as h11 reads it.
"""

import asyncio

import h11

from clusterd.checks.conversation import LIMIT_BYTES, closed_early, connected, observed, quoted
from clusterd.health import Observation
from clusterd.model import HttpCheck


async def probe(address: str, port: int, check: HttpCheck) -> Observation:
    """Ask for `check.path` once, on a connection of its own."""
    received = bytearray()
    return await observed(_talk(address, port, check, received), check.timeout_s, received)


async def _talk(address: str, port: int, check: HttpCheck, received: bytearray) -> Observation:
    loop = asyncio.get_running_loop()
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMIT_BYTES)
    request = connection.send(request_to(address, port, check)) or b""
    async with connected(address, port) as sock:
        await loop.sock_sendall(sock, request)
        while len(received) < LIMIT_BYTES:
            data = await loop.sock_recv(sock, LIMIT_BYTES - len(received))
            if not data:
                return Observation(False, closed_early(received))
            received += data
            try:
                status = _status(connection, data, check.status)
            except h11.RemoteProtocolError as error:
                return Observation(False, f"answered {quoted(received)}, which is not HTTP: {error}")
            if status is not None:
                return _judged(status, check.status)
    return Observation(False, f"answered more than {LIMIT_BYTES // 1024} KiB of headers")


def request_to(address: str, port: int, check: HttpCheck) -> h11.Request:
    """Return what the server is asked."""
    own = f"[{address}]" if ":" in address else address  # RFC 3986, section 3.2.2
    host = check.host or (own if port == 80 else f"{own}:{port}")
    headers = [("Host", host), ("User-Agent", "clusterd"), ("Accept", "*/*"), ("Connection", "close")]
    return h11.Request(method="GET", target=check.path, headers=headers)


def _status(connection: h11.Connection, data: bytes, wanted: tuple[int, ...]) -> int | None:
    """Return the status code that decides, None when more must come. An interim answer (1xx) only decides if wanted."""
    connection.receive_data(data)
    while isinstance(event := connection.next_event(), h11.InformationalResponse):
        if event.status_code in wanted:
            return event.status_code
    return event.status_code if isinstance(event, h11.Response) else None


def _judged(status: int, wanted: tuple[int, ...]) -> Observation:
    if status in wanted:
        return Observation(True, f"HTTP {status}")
    return Observation(False, f"HTTP {status}, expected {' or '.join(map(str, wanted))}")
