"""Leads the packets of a check through IPVS to one real server: see `clusterd.paths`."""

import random
import socket
import struct

from clusterd.checks.dialogue import Through

# IPVS knows a connection by addresses and ports alone, for up to a minute after its end (ip_vs_proto_tcp.c), and leads
# there whoever has that port again. So each real server has ports of its own, by the end of its mark, which is that of
# its address. They are within ip_local_port_range as it is by default.
_FIRST_PORT, _SERVERS, _EACH = 32768, 256, 110
_ANY_PORT = 9


def lead(sock: socket.socket, through: Through) -> None:
    """Mark what this socket sends, and send it from the address by which this router reaches the real server.

    Without that the source would be the VIP where this router has it, and nothing would come back.
    Raises OSError: EPERM without CAP_NET_ADMIN, or CAP_NET_RAW from Linux 5.17 on (net/core/sock.c, SO_MARK).
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("I", through.mark))
    port = 0
    if sock.type == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # others may have it to other places
        port = _FIRST_PORT + _SERVERS * random.randrange(_EACH) + through.mark % _SERVERS  # noqa: S311 - no secret
    sock.bind((_source(sock.family, through.server), port))


def _source(family: int, server: str) -> str:
    with socket.socket(family, socket.SOCK_DGRAM) as asked:
        asked.connect((server, _ANY_PORT))  # of a datagram: looks the route up, and sends nothing
        return str(asked.getsockname()[0])
