"""Leads the packets of a check through IPVS to one real server: see `clusterd.paths`."""

import socket
import struct

from clusterd.checks.dialogue import Through

_BIND_ADDRESS_NO_PORT = 24  # ip(7); Python has a name for it from 3.12 on
_ANY_PORT = 9


def lead(sock: socket.socket, through: Through) -> None:
    """Mark what this socket sends, and send it from the address by which this router reaches the real server.

    Without that the source would be the VIP where this router has it, and nothing would come back.
    Raises OSError: EPERM without CAP_NET_ADMIN, or CAP_NET_RAW from Linux 5.17 on (net/core/sock.c, SO_MARK).
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("I", through.mark))
    sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
    sock.bind((_source(sock.family, through.server), 0))


def _source(family: int, server: str) -> str:
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        asked.connect((server, _ANY_PORT))  # of a datagram: looks the route up, and sends nothing
        return str(asked.getsockname()[0])
