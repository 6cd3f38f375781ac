"""Servers that do what servers must not: `python -m tests.clusterd.probing.faults CERTIFICATE`, a process of its own.

It prints one line of JSON: the port of each fault, on 127.0.0.1.
"""

import asyncio
import json
import socket
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable
from typing import TypeAlias

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
_HEADERS = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"
_RESET = struct.pack("ii", 1, 0)


async def well(reader: Reader, writer: Writer) -> None:
    """No fault: what the others are measured beside."""
    await reader.read(65536)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
    await writer.drain()


async def hangs(reader: Reader, writer: Writer) -> None:
    """Never says anything."""
    await asyncio.sleep(3600)


async def floods(reader: Reader, writer: Writer) -> None:
    """Says the same for ever, as fast as it can."""
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def gigabyte(reader: Reader, writer: Writer) -> None:
    """Answers with a body of 1 GiB."""
    await reader.read(65536)
    writer.write(_HEADERS)
    for _ in range(2**14):
        writer.write(b"x" * 65536)
        await writer.drain()


async def resets(reader: Reader, writer: Writer) -> None:
    """Hangs up at once, and rudely."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


async def garbage(reader: Reader, writer: Writer) -> None:
    """Speaks no protocol."""
    writer.write(bytes(range(256)) * 8)
    await writer.drain()


async def drips(reader: Reader, writer: Writer) -> None:
    """Says one byte at a time, and never an end."""
    await reader.read(65536)
    writer.write(b"HTTP/1.1 200 OK\r\nA: ")
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.01)


FAULTS = (well, hangs, floods, gigabyte, resets, garbage, drips)


def guarded(serve: Callable[[Reader, Writer], Awaitable[None]]) -> Callable[[Reader, Writer], Awaitable[None]]:
    """Return a server that survives its clients."""

    async def handle(reader: Reader, writer: Writer) -> None:
        try:
            await serve(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()

    return handle


async def main(certificate: str) -> None:
    """Serve until killed."""
    servers = {fault.__name__: await asyncio.start_server(guarded(fault), "127.0.0.1", 0) for fault in FAULTS}
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    servers["expired"] = await asyncio.start_server(guarded(well), "127.0.0.1", 0, ssl=context)
    print(json.dumps({name: server.sockets[0].getsockname()[1] for name, server in servers.items()}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
