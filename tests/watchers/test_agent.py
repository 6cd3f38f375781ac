"""The agent on a real server: one key under its own lease, written when it changes, and gone after a graceful stop."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from clusterd.errors import StoreError
from clusterd.keys import Keys
from clusterd.store.contract import Put
from clusterd.store.endpoints import Credentials
from clusterd.store.etcd import EtcdStore
from clusterd.store.memory import MemoryStore
from tests.store.etcd_server import ETCD, Member, etcdctl
from watchers import agent
from watchers.agent import Agent, main

KEYS = Keys("main")
KEY = KEYS.load("rs1")
SECRET = "correct-horse-battery"  # noqa: S105 - of an etcd that lives as long as the test


class Rig:
    """An agent on the store in memory, and the host that it looks at."""

    def __init__(self, folder: Path) -> None:
        self.store, self.host, self.file = MemoryStore(), (0.42, 4), folder / "rs1.drain"
        self.agent = Agent("rs1", self.store, KEYS, self.file, lambda: self.host)
        self.running = asyncio.create_task(self.agent.run(linger_s=0.3))

    async def told(self, condition: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
        return await told(self.store, condition)


async def told(store: MemoryStore | EtcdStore, condition: Callable[[dict[str, Any]], bool] = bool) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            entry = await store.get(KEY)
            value = json.loads(entry.value) if entry else {}
            if condition(value):
                return dict(value)
            await asyncio.sleep(0.02)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.running.cancel()
    await asyncio.wait([made.running])


async def test_load_and_processors_are_told_under_a_lease(rig: Rig) -> None:
    assert await rig.told() == {"load": 0.42, "cores": 4, "drain": False, "why": ""}
    entry = await rig.store.get(KEY)
    assert entry is not None
    assert entry.lease_id


async def test_the_key_is_written_when_it_changes_by_enough_and_not_per_look(rig: Rig) -> None:
    await rig.told()
    before = await rig.store.get(KEY)
    rig.host = (0.8, 4)
    rig.agent.look()
    await asyncio.sleep(2 * agent.LOOK_S)
    assert await rig.store.get(KEY) == before
    rig.host = (0.83, 4)
    assert (await rig.told(lambda value: value["load"] != 0.42))["load"] == 0.83


async def test_the_wish_for_no_connections_is_a_file_with_the_reason(rig: Rig) -> None:
    await rig.told()
    rig.file.write_text("reboot\n")
    assert (await rig.told(lambda value: value["drain"]))["why"] == "reboot"
    rig.file.unlink()
    assert (await rig.told(lambda value: not value["drain"]))["why"] == ""


async def test_a_graceful_stop_wishes_for_no_connections_and_then_takes_the_key_away(rig: Rig) -> None:
    await rig.told()
    rig.agent.stop()
    assert (await rig.told(lambda value: value["drain"]))["why"] == "it is being stopped"
    await rig.told(lambda value: not value)
    await asyncio.wait_for(rig.running, 5)


async def test_an_agent_that_never_reached_etcd_can_be_stopped(tmp_path: Path) -> None:
    store = MemoryStore()
    store.down = True
    one = Agent("rs1", store, KEYS, tmp_path / "no", lambda: (1.0, 1))
    one.stop()
    await asyncio.wait_for(one.run(linger_s=0), 5)


def test_drain_and_undrain_write_and_remove_the_wish(tmp_path: Path) -> None:
    environment = {"CLUSTERD_RUN_DIR": str(tmp_path / "run")}
    wish = tmp_path / "run" / "rs1.drain"
    for arguments, there in ((["--drain", "-m", "reboot"], True), (["--undrain"], False), (["--undrain"], False)):
        result = CliRunner().invoke(main, ["--server", "rs1", *arguments], env=environment)
        assert (result.exit_code, wish.exists()) == (0, there)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Member]:
    """An etcd that asks for a login: the user `rs1` may read and write one key."""
    if ETCD is None:
        pytest.skip("the etcd program is not on PATH (Debian: etcd-server)")
    with Member(tmp_path, extra=("--bcrypt-cost", "4")) as member:
        for command in (
            f"user add root:{SECRET}",
            f"user add rs1:{SECRET}",
            "role add agent-rs1",
            f"role grant-permission agent-rs1 readwrite {KEY}",
            "user grant-role rs1 agent-rs1",
            "user grant-role root root",
        ):
            etcdctl(member.endpoint, *command.split())
        etcdctl(member.endpoint, "auth", "enable")
        yield member


@pytest.mark.etcd
async def test_the_program_needs_a_role_for_its_own_key_only(guarded: Member, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(SECRET)
    environment = {
        "PATH": "/usr/bin",
        "CLUSTERD_ENDPOINTS": guarded.endpoint,
        "CLUSTERD_USER": "rs1",
        "CLUSTERD_PASSWORD_FILE": str(password),
        "CLUSTERD_RUN_DIR": str(tmp_path / "run"),
    }
    command = [sys.executable, "-m", "watchers", "agent", "--server", "rs1", "--linger-s", "0.5"]
    store = EtcdStore([guarded.endpoint], Credentials(user="rs1", password=SECRET))
    with pytest.raises(StoreError):
        await store.transact((), (Put(KEYS.load("rs2"), b""),))
    process = await asyncio.create_subprocess_exec(*command, env=environment)
    try:
        assert (await told(store))["cores"] >= 1
        process.send_signal(signal.SIGUSR1)
        assert (await told(store, lambda value: value["drain"]))["why"] == "SIGUSR1"
        process.send_signal(signal.SIGUSR2)
        await told(store, lambda value: not value["drain"])
        process.terminate()
        assert (await told(store, lambda value: value["drain"]))["why"] == "it is being stopped"
        await told(store, lambda value: not value)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await store.close()
