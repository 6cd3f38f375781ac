"""A web server whose page is the address that the request came from: `python -m tests.lab.peer_address PORT`."""

import contextlib
import socket
import sys


def answer(connection: socket.socket, peer: str) -> None:
    connection.settimeout(5)
    with connection, contextlib.suppress(OSError):
        connection.recv(4096)
        body = peer + "\n"
        head = f"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall((head + body).encode())


def main() -> None:
    """Serve until killed."""
    with socket.create_server(("", int(sys.argv[1])), backlog=128) as server:
        while True:
            connection, (peer, _port) = server.accept()
            answer(connection, peer)


if __name__ == "__main__":
    main()
