"""A server that sends back what it gets, on long connections: `python -m tests.lab.echo PORT`."""

import contextlib
import socketserver
import sys


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.request.recv(4096):
                self.request.sendall(data)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64


def main() -> None:
    """Serve until killed."""
    with _Server(("", int(sys.argv[1])), _Echo) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
