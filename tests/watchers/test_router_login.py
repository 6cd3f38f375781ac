"""Routers, an agent and an undoer with the rights of their roles and no others, in an etcd that asks for logins."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import pytest

from clusterd import configuration, document
from clusterd.clock import boottime_s
from clusterd.dataplane.memory import MemoryPlane
from clusterd.errors import StoreError
from clusterd.history import Author, Signature
from clusterd.keys import Keys
from clusterd.store.contract import Put
from clusterd.store.etcd import EtcdStore
from tests.clusterd.guarded import DOCUMENT, Guarded, certified, guarded
from tests.store.etcd_server import free_ports
from watchers.agent import Agent
from watchers.kernel_writer import KernelWriter
from watchers.router import Places, Router
from watchers.undoing_service import UndoingService

pytestmark = pytest.mark.etcd

KEYS = Keys("main")
ME = Signature(Author(user="tester", host="here"), datetime.now(UTC), "a test")


@dataclass
class House:
    """What runs in an etcd with logins; `seen` is a connection that may see everything."""

    made: Guarded
    folder: Path
    seen: EtcdStore
    routers: dict[str, Router] = field(default_factory=dict)
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start a router with the login of its own."""
        places = Places(self.folder / f"{name}.json", self.folder / f"{name}.lease", self.folder / f"{name}.cf")
        writer = KernelWriter(lambda: MemoryPlane(boottime_s))
        self.routers[name] = Router(name, self.made.store(f"router-{name}"), KEYS, writer, places)
        self.running[name] = asyncio.create_task(self.routers[name].run())

    async def until(self, condition: Callable[[], Awaitable[bool]], limit_s: float = 30) -> None:
        async with asyncio.timeout(limit_s):
            while not await condition():
                await asyncio.sleep(0.05)

    async def status(self, name: str) -> dict[str, Any]:
        entry = await self.seen.get(KEYS.router(name))
        found: dict[str, Any] = json.loads(entry.value) if entry else {}
        return found

    async def follows(self, name: str, number: int, role: str) -> None:
        """Wait until a router is what it should be, and has applied a commit."""

        async def told() -> bool:
            status = await self.status(name)
            return (status.get("role"), status.get("applied"), status.get("converged")) == (role, number, True)

        await self.until(told)

    async def lock(self) -> tuple[str, int]:
        entry = await self.seen.get(KEYS.active())
        return (entry.value.decode(), entry.create_revision) if entry else ("", 0)

    async def keys(self, prefix: str) -> list[str]:
        return [entry.key for entry in (await self.seen.snapshot(prefix)).entries]

    async def clusterd(self, *arguments: str) -> tuple[int, str]:
        """Run the command as the operator, beside what runs here."""
        variables = self.made.variables("alice")
        process = self.made.clusterd.start(*arguments, variables=variables, stdout=PIPE, stderr=STDOUT)
        said, _ = await asyncio.to_thread(process.communicate)
        return process.returncode, said


@pytest.fixture
def real_server() -> int:
    return free_ports(1)[0]


@pytest.fixture
def made(tmp_path: Path, real_server: int) -> Iterator[Guarded]:
    with guarded(tmp_path, DOCUMENT.format(port=real_server)) as found:
        yield found


@pytest.fixture
async def house(made: Guarded, real_server: int, tmp_path: Path) -> AsyncIterator[House]:
    async with housed(made, real_server, tmp_path) as found:
        yield found


@asynccontextmanager
async def housed(made: Guarded, real_server: int, tmp_path: Path) -> AsyncIterator[House]:
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", real_server):
        found = House(made, tmp_path, made.store("bob"))
        yield found
        for task in found.running.values():
            task.cancel()
        await asyncio.gather(*found.running.values(), return_exceptions=True)
        await found.seen.close()


async def test_a_router_lives_its_whole_life_with_the_login_of_a_router(house: House) -> None:
    house.start("r1")
    await house.follows("r1", 1, "active")
    house.start("r2")
    await house.follows("r2", 1, "backup")
    holder, token = await house.lock()
    assert (holder, await house.keys(KEYS.applied_prefix)) == ("r1", [KEYS.applied(1, "r1"), KEYS.applied(1, "r2")])
    assert KEYS.health("web", "rs1", "r1") in await house.keys(KEYS.health_prefix)
    assert (await house.clusterd("set", "virtuals/web/scheduler=rr", "--yes", "--wait=20"))[0] == 0
    house.routers["r1"].stop()
    await asyncio.wait_for(house.running["r1"], 20)
    await house.follows("r2", 2, "active")
    assert (await house.lock())[1] > token
    last = await house.seen.get(KEYS.last())
    assert last is not None
    assert json.loads(last.value)["router"] == "r2"
    await house.until(lambda: there(house, "takeover"))


async def there(house: House, kind: str) -> bool:
    """Whether an event of a kind was recorded."""
    return any(
        json.loads(entry.value)["kind"] == kind for entry in (await house.seen.snapshot(KEYS.events_prefix)).entries
    )


async def test_a_router_keeps_lock_and_lease_when_etcd_forgets_all_logins(house: House) -> None:
    house.start("r1")
    await house.follows("r1", 1, "active")
    before = await house.lock()
    root = house.made.store("root")
    for number in (2, 3):
        await root.transact([], [Put("/written", b"")])  # else etcd replays the logins when it begins again
        await asyncio.sleep(0.5)
        house.made.member.kill()
        await asyncio.to_thread(house.made.member.start)
        told, said = await house.clusterd("set", f"virtuals/web/servers/rs1/weight={number + 3}", "--yes")
        assert told == 0, said
        await house.follows("r1", number, "active")
        assert await house.lock() == before
    await root.close()


async def test_a_router_cannot_commit_and_says_so_and_an_undoer_undoes_in_its_place(house: House) -> None:
    house.start("r1")
    await house.follows("r1", 1, "active")
    store = house.made.store("router-r1")
    base = await configuration.read(store, KEYS)
    assert base is not None
    with pytest.raises(StoreError, match="permission denied"):
        await configuration.commit(store, KEYS, base, document.parse("{}"), ME)
    await store.close()
    assert (await house.status("r1"))["undoes"] is False
    change = ("set", "virtuals/web/scheduler=rr", "--yes", "--confirmed", "1")
    code, said = await house.clusterd(*change)
    assert (code, "the routers have no right to commit, and no clusterd-undoer runs" in said) == (5, True)
    over, login = asyncio.Event(), house.made.store("undoer")
    undoing = asyncio.create_task(UndoingService("here", login, KEYS).run(over))

    async def present() -> bool:
        return bool(await house.keys(KEYS.undoers_prefix))

    await house.until(present)
    assert (await house.clusterd(*change))[0] == 0
    await house.follows("r1", 3, "active")
    assert "undoes commit 2, which was not confirmed in time" in (await house.clusterd("log"))[1]
    over.set()
    await undoing
    assert not await present()
    await login.close()


async def test_what_nobody_may_undo_is_told_as_a_problem_of_the_router(house: House) -> None:
    house.start("r1")
    await house.follows("r1", 1, "active")
    assert (await house.clusterd("set", "virtuals/web/scheduler=rr", "--yes", "--confirmed", "1", "--force"))[0] == 0

    async def told() -> bool:
        problems = (await house.status("r1")).get("problems", [])
        return "commit 2 should be undone: this login has no right to commit; is there a clusterd-undoer?" in problems

    await house.until(told)
    assert (await house.clusterd("confirm"))[0] == 0

    async def clear() -> bool:
        return not any("undone" in problem for problem in (await house.status("r1"))["problems"])

    await house.until(clear)


async def test_a_router_may_end_the_lease_of_the_one_before_as_fast_failover_does(house: House) -> None:
    first, second = house.made.store("router-r1"), house.made.store("router-r2")
    lease = await first.grant(60)
    mine = (KEYS.active(), KEYS.router("r1"), KEYS.health("web", "rs1", "r1"), KEYS.weights("web", "r1"))
    await first.transact([], [Put(key, b"{}", lease.lease_id) for key in mine])
    await second.revoke(lease.lease_id)
    assert not await house.keys(KEYS.active_prefix)
    for store in (first, second):
        await store.close()


async def test_an_agent_tells_its_load_with_the_login_of_an_agent(house: House) -> None:
    store = house.made.store("agent-rs1")
    agent = Agent("rs1", store, KEYS, house.folder / "drain")
    running = asyncio.create_task(agent.run(0))

    async def told() -> bool:
        return await house.keys(KEYS.load_prefix) == [KEYS.load("rs1")]

    await house.until(told)
    agent.stop()
    await running
    assert not await house.keys(KEYS.load_prefix)
    await store.close()


async def test_certificates_are_replaced_while_a_router_runs_and_it_keeps_lock_and_lease(
    real_server: int, tmp_path: Path
) -> None:
    """Router and etcd get new ones; when the old one has ended, etcd begins again, so every connection is new."""
    context = certified(tmp_path, DOCUMENT.format(port=real_server))
    made = await asyncio.to_thread(context.__enter__)
    try:
        made.issue("router-r1", valid_s=6)
        ends_s = time.monotonic() + 6
        async with housed(made, real_server, tmp_path) as house:
            house.start("r1")
            await house.follows("r1", 1, "active")
            assert (await house.status("r1"))["undoes"] is False, "etcd knows it by its certificate"
            before = await house.lock()
            made.issue("router-r1")
            made.authority.issue("server", "etcd")
            await asyncio.sleep(max(0.0, ends_s - time.monotonic()))
            made.member.kill()
            await asyncio.to_thread(made.member.start)
            assert (await house.clusterd("set", "virtuals/web/scheduler=rr", "--yes"))[0] == 0
            await house.follows("r1", 2, "active")
            assert await house.lock() == before
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)
