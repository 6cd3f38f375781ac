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
    address = ("::", int(sys.argv[1]))
    with socket.create_server(address, family=socket.AF_INET6, backlog=128, dualstack_ipv6=True) as server:
        while True:
            connection, (peer, *_) = server.accept()
            answer(connection, peer.removeprefix("::ffff:"))


if __name__ == "__main__":
    main()
