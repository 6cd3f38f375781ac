"""Load by HTTP: a GET, answered with JSON or with the words of HAProxy's agent-check. RFC 9112 as h11 reads it."""

import asyncio
import os

import h11

from clusterd.clock import boottime_s
from clusterd.loads.asked import Asked
from clusterd.loads.parsing import answer
from clusterd.weights.values import Reading

LIMIT_BYTES = 65536
PATH = "/load"


async def read(asked: Asked) -> Reading | str:
    """Ask once, on a connection of its own."""
    port = asked.load.port or asked.port
    try:
        async with asyncio.timeout(asked.load.timeout_s):
            reader, writer = await asyncio.open_connection(asked.address, port)
            try:
                return await _talk(reader, writer, asked, port)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return f"no answer within {asked.load.timeout_s:g} s"
    except OSError as error:
        return f"port {port}: {os.strerror(error.errno).lower() if error.errno else error}"
    except h11.RemoteProtocolError as error:
        return f"port {port} does not answer in HTTP: {error}"
    except ValueError as error:
        return str(error)


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked, port: int) -> Reading | str:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMIT_BYTES)
    host = f"[{asked.address}]" if ":" in asked.address else asked.address
    headers = [("Host", f"{host}:{port}"), ("User-Agent", "clusterd"), ("Accept", "*/*"), ("Connection", "close")]
    request = h11.Request(method="GET", target=asked.load.path or PATH, headers=headers)
    writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
    body = b""
    while len(body) <= LIMIT_BYTES:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(LIMIT_BYTES))
        elif isinstance(event, h11.Response) and event.status_code != 200:
            return f"HTTP {event.status_code}, expected 200"
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return answer(body.decode(errors="replace"), boottime_s())
    return f"answered more than {LIMIT_BYTES // 1024} KiB"
