"""The polling client: `python -m tests.lab.poller URL_HOST PERIOD_S LIMIT_S`, inside the client's namespace.

Every period it starts one connection, whatever the earlier ones do, and writes one line when that has ended:

    START_S END_S SERVER      of time.monotonic(); END_S is -1 and SERVER - for one that failed or took too long

so a server that is slow or away does not slow down the asking.
"""

import selectors
import socket
import sys
import time
from dataclasses import dataclass, field

from tests.lab.holder import family

REQUEST = b"GET / HTTP/1.0\r\n\r\n"


@dataclass(slots=True)
class Attempt:
    """One connection under way."""

    start_s: float
    answer: bytearray = field(default_factory=bytearray)

    def server(self) -> str | None:
        """The page, which is the server's name, or None for anything but a complete good answer."""
        head, _, body = bytes(self.answer).partition(b"\r\n\r\n")
        return body.decode().strip() or None if b" 200 " in head.split(b"\r\n")[0] else None


class Poller:
    """All connections, over one selector."""

    def __init__(self, host: str, limit_s: float) -> None:
        self._host, self._limit_s = host, limit_s
        self._family = family(host)
        self._selector = selectors.DefaultSelector()
        self._live: dict[socket.socket, Attempt] = {}

    def begin(self) -> None:
        connection = socket.socket(self._family)
        connection.setblocking(False)
        self._live[connection] = Attempt(time.monotonic())
        connection.connect_ex((self._host, 80))
        self._selector.register(connection, selectors.EVENT_WRITE)

    def serve(self, until_s: float) -> None:
        """Move every connection on until the time has come."""
        for key, events in self._selector.select(max(0.0, until_s - time.monotonic())):
            connection = key.fileobj
            if not isinstance(connection, socket.socket):
                raise TypeError(connection)
            try:
                if events & selectors.EVENT_WRITE:
                    connection.send(REQUEST)
                    self._selector.modify(connection, selectors.EVENT_READ)
                elif data := connection.recv(4096):
                    self._live[connection].answer += data
                else:
                    self._finish(connection, self._live[connection].server())
            except OSError:
                self._finish(connection, None)

    def give_up_old(self) -> None:
        oldest_s = time.monotonic() - self._limit_s
        for connection in [c for c, attempt in self._live.items() if attempt.start_s < oldest_s]:
            self._finish(connection, None)

    def _finish(self, connection: socket.socket, server: str | None) -> None:
        attempt = self._live.pop(connection)
        self._selector.unregister(connection)
        connection.close()
        end_s = time.monotonic() if server else -1
        print(f"{attempt.start_s:.4f} {end_s:.4f} {server or '-'}", flush=True)


def main() -> None:
    """Poll until killed."""
    host, period_s, limit_s = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    poller = Poller(host, limit_s)
    next_s = time.monotonic()
    while True:
        now_s = time.monotonic()
        if now_s >= next_s:
            poller.begin()
            next_s = max(next_s + period_s, now_s + period_s / 2)
        poller.serve(next_s)
        poller.give_up_old()


if __name__ == "__main__":
    main()
