"""Real servers, as one router sees them: connections to them, their load, and what they say themselves by ssh.

A connection that begins at the router's public address tells of a real server's default route without asking it: the
answer comes only if it is sent through the floating gateway, which the active router has.
"""

import asyncio
import os
import time
from collections.abc import Collection, Mapping
from typing import Any

from clusterd.doctor import asking
from clusterd.doctor.facts import ServerFacts
from clusterd.loads.sources import SOURCES, Asked, read
from clusterd.loads.ssh import Printed, printed
from clusterd.model import Cluster, Router, Server, Virtual, forwarding, port_ranges
from clusterd.weights.values import Reading

CONNECT_S = 1.5
ASK_S = 5.0  # each step of ssh, and other sources of load, unless the document gives less
LIMIT_S = 12.0
AT_ONCE = 64


async def look_at_servers(
    cluster: Cluster, groups: Collection[str] | None, router: Router | None, me: str, limit_s: float = LIMIT_S
) -> Mapping[str, ServerFacts]:
    """Return what is seen of the real servers of these groups (None: all), by virtual server and real server.

    `router` is who looks, None where that is no active router. What takes too long is not seen.
    """
    turn = asyncio.Semaphore(AT_ONCE)
    tasks = {
        f"{name}/{label}": asyncio.create_task(_in_turn(turn, _Looked(cluster, virtual, label, router, me)))
        for name, virtual in cluster.virtuals.items()
        if virtual.enabled and (groups is None or virtual.group in groups)
        for label, server in virtual.servers.items()
        if server.enabled
    }
    if not tasks:
        return {}
    done, late = await asyncio.wait(tasks.values(), timeout=limit_s)
    for task in late:
        task.cancel()
    late_facts = ServerFacts(seen_by=me, ssh=f"no answer within {limit_s:g} s")
    return {place: task.result() if task in done else late_facts for place, task in tasks.items()}


async def _in_turn(turn: asyncio.Semaphore, looked: "_Looked") -> ServerFacts:
    async with turn:
        return await looked.facts()


class _Looked:
    """One real server that is looked at."""

    def __init__(self, cluster: Cluster, virtual: Virtual, label: str, router: Router | None, me: str) -> None:
        self._cluster, self._virtual, self._router, self._me = cluster, virtual, router, me
        self._server: Server = virtual.servers[label]
        ranges = port_ranges(virtual)
        self._port = self._server.port or virtual.port or (ranges[0][0] if ranges else 0)

    async def facts(self) -> ServerFacts:
        (answers, way), told = await asyncio.gather(self._connections(), self._told())
        return ServerFacts(seen_by=self._me, answers=answers, way=way, **told)

    async def _connections(self) -> tuple[str | None, str | None]:
        if self._virtual.protocol != "tcp" or not self._port:
            return None, None
        address = str(self._server.address)
        source = self._public_source()
        answers = await connection(address, self._port)
        return answers, None if source is None else await connection(address, self._port, source)

    def _public_source(self) -> str | None:
        """Return the address from which a connection shows the real server's way back, None where none does."""
        nat = forwarding(self._cluster, self._virtual, self._server) == "nat"
        if self._router is None or not nat:
            return None
        version = self._server.address.version
        own = [each for each in (self._router.public, self._router.public6) if each and each.version == version]
        return str(own[0]) if own else None

    async def _told(self) -> dict[str, Any]:
        """Return what it says by ssh, and whether its load can be read: one after the other, on one connection."""
        load = self._virtual.load
        if load.source not in SOURCES:
            return {}
        hasty = load.model_copy(update={"timeout_s": min(ASK_S, load.timeout_s)})
        asked = Asked(str(self._server.address), self._port, hasty)
        found: dict[str, Any] = {}
        if load.source == "ssh":
            answer = await printed(asked, asking.script(self._hosts()))
            if isinstance(answer, Printed):
                found = {"ssh": "", **asking.answer(answer.text, time.time())}
            else:
                found = {"ssh": answer, "load": answer}
        if "load" not in found:
            reading = await read(asked)
            found["load"] = "" if isinstance(reading, Reading) else reading
        return found

    def _hosts(self) -> list[str]:
        """Return hosts of the public network: one that answers is enough."""
        version = self._server.address.version
        hosts = [each for each in self._cluster.settings.reachability.hosts if each.version == version]
        routers = self._cluster.routers.values()
        hosts += [each for one in routers for each in (one.public, one.public6) if each and each.version == version]
        return [str(each) for each in dict.fromkeys(hosts)]


async def connection(address: str, port: int, source: str = "") -> str:
    """Return "" where a connection can be made, else why not."""
    try:
        async with asyncio.timeout(CONNECT_S):
            local = (source, 0) if source else None
            _, writer = await asyncio.open_connection(address, port, local_addr=local)
            writer.transport.abort()
            return ""
    except TimeoutError:
        return f"no connection to port {port} within {CONNECT_S:g} s"
    except OSError as error:
        return f"port {port}: {os.strerror(error.errno).lower() if error.errno else error}"
