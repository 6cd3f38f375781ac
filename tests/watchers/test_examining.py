"""A router answers `clusterd doctor`, in a process of its own, and nothing stays."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from clusterd import document
from clusterd.doctor import HostFacts, ServerFacts
from clusterd.doctor.facts import host_facts
from clusterd.keys import Keys
from clusterd.store.contract import Put
from clusterd.store.memory import MemoryStore
from tests.clusterd.examples import manual
from watchers.examiner import LIMIT_BYTES, told
from watchers.examining import Examining, in_a_process, question

KEYS = Keys("main")
LINE = question("r1", [], document.objects(manual()))


async def asked(store: MemoryStore, name: str, lease_id: int) -> None:
    await store.transact([], [Put(KEYS.doctor(name), b"{}", lease_id)])


@asynccontextmanager
async def router(
    store: MemoryStore, examine: Callable[[bytes], Awaitable[bytes]], line: bytes | None = LINE
) -> AsyncIterator[None]:
    examining = Examining(store, KEYS, "r1", lambda: line, examine)
    tasks = [asyncio.create_task(examining.follow()), asyncio.create_task(examining.run())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answer(store: MemoryStore, name: str) -> bytes | None:
    for _ in range(100):
        found = await store.get(KEYS.doctor_answer(name, "r1"))
        if found:
            return found.value
        await asyncio.sleep(0.01)
    return None


async def well(line: bytes) -> bytes:
    assert json.loads(line)["me"] == "r1"
    return b'{"ipvs": "IPVS"}'


async def test_a_question_is_answered_under_its_lease_once() -> None:
    store, looks = MemoryStore(), list[bytes]()

    async def examine(line: bytes) -> bytes:
        looks.append(line)
        return await well(line)

    lease = await store.grant(60)
    await asked(store, "before", lease.lease_id)
    async with router(store.connect(), examine):
        assert host_facts(await answer(store, "before") or b"").ipvs == "IPVS"
        await asked(store, "after", lease.lease_id)
        assert await answer(store, "after")
        await asked(store, "after", lease.lease_id)
        await asyncio.sleep(0.05)
        assert len(looks) == 2
        await store.revoke(lease.lease_id)
        assert (await store.snapshot(KEYS.doctor_prefix)).entries == ()


async def test_a_question_without_an_end_is_none() -> None:
    store = MemoryStore()
    async with router(store.connect(), well):
        await asked(store, "for ever", 0)
        assert await answer(store, "for ever") is None


async def test_a_router_that_follows_nothing_or_whose_examiner_fails_says_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    lease = await store.grant(60)

    async def nothing(_: bytes) -> bytes:
        return b""

    async def fails(_: bytes) -> bytes:
        raise OSError("no processes left")

    for examine, line in ((well, None), (nothing, LINE), (fails, LINE)):
        async with router(store.connect(), examine, line):
            await asked(store, examine.__name__, lease.lease_id)
            await asyncio.sleep(0.05)
    assert [entry.key for entry in (await store.snapshot(KEYS.doctor_prefix)).entries if "/r1" in entry.key] == []
    assert "the examiner had no answer" in caplog.text
    assert "no processes left" in caplog.text


async def test_the_examiner_is_a_process_that_looks_at_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERD_ENDPOINTS", "http://127.0.0.1:1")
    found = host_facts(await in_a_process(LINE))
    assert found.programs["nft"]
    assert set(found.peers) == {"r2"}
    assert host_facts(await in_a_process(b"gibberish")).unseen


def test_an_answer_that_is_too_large_for_etcd_leaves_the_real_servers_out() -> None:
    small = HostFacts(servers={"web/rs1": ServerFacts(ssh="")})
    assert host_facts(told(small).encode()) == small
    large = HostFacts(ipvs="IPVS", servers={f"web/{n}": ServerFacts(ssh="x" * 1000) for n in range(2000)})
    found = host_facts(told(large).encode())
    assert (found.ipvs, found.servers) == ("IPVS", {})
    assert "2000 real servers" in found.unseen[0]
    assert len(told(large)) < LIMIT_BYTES
