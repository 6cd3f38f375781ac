"""Long connections with traffic all the time: `python -m tests.lab.talker PERIOD_S HOST:PORT...`, at the client.

Every period it sends a line over each connection to a `tests.lab.echo`, and writes one line for each that comes back:

    NUMBER SENT_S CAME_S      of time.monotonic(); CAME_S is -1 when the connection has ended instead

NUMBER counts the connections in the order of the arguments.
"""

import selectors
import socket
import sys
import time
from collections.abc import Sequence


class Talker:
    """The connections, over one selector. Raises OSError where one cannot be made."""

    def __init__(self, targets: Sequence[str]) -> None:
        self._selector = selectors.DefaultSelector()
        self._buffers: dict[socket.socket, bytes] = {}
        for number, target in enumerate(targets):
            host, port = target.rsplit(":", 1)
            connection = socket.create_connection((host, int(port)), 5)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setblocking(False)
            self._buffers[connection] = b""
            self._selector.register(connection, selectors.EVENT_READ, number)

    def say(self) -> None:
        """Send a line over each connection."""
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                try:
                    key.fileobj.send(f"{time.monotonic():.4f}\n".encode())
                except OSError:
                    self._ended(key.fileobj, key.data)

    def listen(self, until_s: float) -> None:
        """Take what comes back until then."""
        while (left_s := until_s - time.monotonic()) > 0:
            for key, _ in self._selector.select(left_s):
                if isinstance(key.fileobj, socket.socket):
                    self._hear(key.fileobj, key.data)

    def _hear(self, connection: socket.socket, number: int) -> None:
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._ended(connection, number)
            return
        *lines, self._buffers[connection] = (self._buffers[connection] + data).split(b"\n")
        for line in lines:
            print(f"{number} {line.decode()} {time.monotonic():.4f}", flush=True)

    def _ended(self, connection: socket.socket, number: int) -> None:
        print(f"{number} {time.monotonic():.4f} -1", flush=True)
        self._selector.unregister(connection)
        connection.close()


def main() -> None:
    """Talk until killed."""
    period_s = float(sys.argv[1])
    talker = Talker(sys.argv[2:])
    while True:
        next_s = time.monotonic() + period_s
        talker.say()
        talker.listen(next_s)


if __name__ == "__main__":
    main()
