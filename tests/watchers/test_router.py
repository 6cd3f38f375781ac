"""The router service on the store and the kernel in memory, with a real prober and real servers on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clusterd import configuration, document
from clusterd.configuration import Committed
from clusterd.dataplane.addresses import boottime_s
from clusterd.dataplane.memory import MemoryPlane
from clusterd.history import Author, Signature
from clusterd.keys import Keys
from clusterd.plane import Address, Destination, Scope, Service
from clusterd.store.contract import Delete, DeletePrefix, Put
from clusterd.store.memory import MemoryStore
from watchers.kernel_writer import KernelWriter
from watchers.router import Places, Router

KEYS = Keys("test")
DOCUMENT = """\
cluster:
  nat_router: {{address: 10.9.9.254/24, interface: lan}}
  masquerade: [{{source: 10.9.9.0/24, interface: wan}}]
routers:
  r1: {{public: 127.0.0.1}}
virtuals:
  web:
    address: 10.9.8.1/24
    interface: wan
    port: 80
    check: {{type: tcp, interval_s: 0.2, timeout_s: 0.2, fall: 1, rise: 1}}
    servers:
      rs1: {{address: 127.0.0.1, port: {port}, weight: 2}}
"""


async def until(condition: Callable[[], object], limit_s: float = 10) -> None:
    """Wait for a condition. The test's own timeout is the bound that matters."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.02)


@dataclass
class Rig:
    """One router and everything around it."""

    store: MemoryStore
    kernel: MemoryPlane
    places: Places
    web: asyncio.Server
    port: int
    router: Router | None = None
    running: asyncio.Task[None] | None = None

    async def commit(self, text: str, base: Committed | None = None) -> Committed:
        signature = Signature(Author(user="tester", host="here"), datetime.now(UTC), "a test")
        return await configuration.commit(self.store, KEYS, base, document.parse(text), signature)

    def start(self) -> Router:
        self.router = Router("r1", self.store, KEYS, KernelWriter(lambda: self.kernel), self.places)
        self.running = asyncio.create_task(self.router.run())
        return self.router

    async def stop(self) -> None:
        if self.router and self.running:
            self.router.stop()
            await self.running
            self.router = None

    def items(self, kind: type) -> list[Any]:
        return [item for item in self.kernel.items.values() if isinstance(item, kind)]

    async def status(self) -> dict[str, Any]:
        entry = await self.store.get(KEYS.router("r1"))
        return json.loads(entry.value) if entry else {}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    web = await asyncio.start_server(serve, "127.0.0.1", 0)
    places = Places(tmp_path / "good.json", tmp_path / "lease", tmp_path / "lvs.cf")
    made = Rig(MemoryStore(), MemoryPlane(boottime_s), places, web, web.sockets[0].getsockname()[1])
    yield made
    await made.stop()
    web.close()
    await web.wait_closed()


async def test_a_commit_reaches_the_kernel_and_the_router_becomes_active(rig: Rig) -> None:
    await rig.commit(DOCUMENT.format(port=rig.port))
    rig.start()
    await until(lambda: rig.items(Destination) and len(rig.items(Address)) == 2)
    assert [d.weight for d in rig.items(Destination)] == [2]
    assert {str(a.address.ip) for a in rig.items(Address)} == {"10.9.8.1", "10.9.9.254"}
    await until(rig.places.lvs_cf.exists)
    assert "virtual web {" in rig.places.lvs_cf.read_text()
