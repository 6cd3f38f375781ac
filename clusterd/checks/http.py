"""Is a page answered as wanted: its status, and where that was asked for its body? RFC 9112 as h11 reads it.

Each page is asked for on a connection of its own. Where neither `body` nor `digest` is given, the status and the
headers are the answer, and the body is not waited for.
"""

import hashlib
from collections.abc import Generator

import h11

from clusterd.checks.dialogue import AGAIN, LIMIT_BYTES, Dialogue, Encrypt, Place, Step, closed_early, quoted
from clusterd.checks.send_expect import compiled
from clusterd.health import Observation
from clusterd.model import HttpCheck, HttpsCheck, Page, accepted

DIGESTED_BYTES = 2**20  # of a body that has a digest; none of it is kept


def talk(place: Place, check: HttpCheck | HttpsCheck) -> Dialogue:
    """Ask for each page, and stop at the first that is not good."""
    for number, page in enumerate(check.pages):
        if number:
            yield AGAIN
        if isinstance(check, HttpsCheck):
            yield Encrypt(check.server_name or _name(page.host), check.verify, check.ca_file)
        found = yield from _page(request_to(place, check, page), page)
        if not found.ok:
            return found if not check.also else Observation(False, f"{page.path}: {found.detail}")
    return found


def request_to(place: Place, check: HttpCheck | HttpsCheck, page: Page) -> h11.Request:
    """Return what the server is asked for a page."""
    usual = 443 if isinstance(check, HttpsCheck) else 80
    address = f"[{place.address}]" if ":" in place.address else place.address  # RFC 3986, section 3.2.2
    host = page.host or (address if place.port == usual else f"{address}:{place.port}")
    headers = {"Host": host, "User-Agent": "clusterd", "Accept": "*/*", "Connection": "close"} | dict(check.headers)
    if check.method in ("POST", "PUT"):
        headers["Content-Length"] = "0"
    return h11.Request(method=check.method, target=page.path, headers=list(headers.items()))


def _name(host: str | None) -> str | None:
    """Return the host of a Host header without its port."""
    return host.rsplit(":", 1)[0] if host and host.rpartition(":")[2].isdigit() else host


def _page(request: h11.Request, page: Page) -> Generator[Step, bytes, Observation]:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMIT_BYTES)
    received = bytearray()
    data = yield (connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b"")
    try:
        while data:
            received += data
            connection.receive_data(data)
            status = _status(connection, page)
            if status is not None:
                return (yield from _judged(connection, status, page))
            if len(received) >= LIMIT_BYTES:
                return Observation(False, f"answered more than {LIMIT_BYTES // 1024} KiB of headers")
            data = yield b""
    except h11.RemoteProtocolError as error:
        return Observation(False, f"answered {quoted(received)}, which is not HTTP: {error}")
    return Observation(False, closed_early(received))


def _status(connection: h11.Connection, page: Page) -> int | None:
    """Return the status code that decides, None when more must come. An interim answer (1xx) only decides if wanted."""
    while isinstance(event := connection.next_event(), h11.InformationalResponse):
        if event.status_code in accepted(page.status):
            return event.status_code
    return event.status_code if isinstance(event, h11.Response) else None


def _judged(connection: h11.Connection, status: int, page: Page) -> Generator[Step, bytes, Observation]:
    if status not in accepted(page.status):
        return Observation(False, f"HTTP {status}, expected {' or '.join(map(str, page.status))}")
    if page.body is None and page.digest is None:
        return Observation(True, f"HTTP {status}")
    kept, size = bytearray(), 0
    hashed = hashlib.new((page.digest or "sha256:").partition(":")[0], usedforsecurity=False)
    while not isinstance(event := connection.next_event(), h11.EndOfMessage | h11.ConnectionClosed):
        if isinstance(event, h11.Data):
            size += len(event.data)
            kept += event.data[: LIMIT_BYTES - len(kept)]
            hashed.update(event.data)
            if page.digest is None and len(kept) == LIMIT_BYTES:
                break
            if size > DIGESTED_BYTES:
                return Observation(False, f"HTTP {status}, and a body of more than {DIGESTED_BYTES // 1024} KiB")
        else:
            connection.receive_data((yield b""))
    if page.digest and page.digest != f"{hashed.name}:{hashed.hexdigest()}":
        return Observation(False, f"HTTP {status}, but the body's digest is {hashed.name}:{hashed.hexdigest()}")
    if page.body is not None and not compiled(page.body).search(kept):
        return Observation(False, f"HTTP {status}, but {quoted(kept)} does not match {page.body}")
    return Observation(True, f"HTTP {status}, and its body is as expected")
