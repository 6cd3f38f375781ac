"""A real etcd that dies, freezes, loses its quorum or its history: what calls and watches make of it."""

import asyncio
import base64
import json
import time
import urllib.request
from collections.abc import Callable
from operator import methodcaller
from pathlib import Path

import pytest

from clusterd.errors import Compacted, StoreError, StoreUnavailable, Uncertain
from clusterd.store.contract import Created, Delete, Put
from clusterd.store.etcd import EtcdStore
from tests.store.breaking import PROBE_S, Seen, asked, connected, counted, eventually, gauge, write_until_done
from tests.store.conftest import put
from tests.store.etcd_server import Member, etcdctl, free_ports

pytestmark = pytest.mark.etcd


async def test_a_watch_goes_on_after_its_only_member_was_killed_and_restarted(tmp_path: Path) -> None:
    with Member(tmp_path) as member:
        async with connected(member) as watcher, connected(member) as writer:
            seen = Seen(watcher, "/w/", await put(writer, "/w/a", b"before"))
            await seen.until(b"before")
            member.kill()
            await asyncio.sleep(0.5)
            member.start()
            await put(writer, "/w/a", b"while it reconnects")
            await seen.until(b"while it reconnects")
            await put(writer, "/w/a", b"after")
            await seen.until(b"after")
            assert seen.values == [b"before", b"while it reconnects", b"after"]
            await seen.end()


async def test_waiting_for_a_dead_etcd_costs_hardly_any_processor_time(tmp_path: Path) -> None:
    with Member(tmp_path) as member:
        async with connected(member, timeout_s=1.0) as store:
            seen = Seen(store, "/w/", await put(store, "/w/a", b"before"))
            await seen.until(b"before")
            member.kill()
            started_s = time.process_time()
            for _ in range(3):
                with pytest.raises(StoreUnavailable, match=member.address):
                    await store.get("/w/a")
            assert time.process_time() - started_s < 0.3, "of three seconds"
            assert not seen.task.done()
            await seen.end()


@pytest.mark.parametrize("fault", [methodcaller("kill"), methodcaller("pause")], ids=["kill", "pause"])
async def test_a_watch_and_all_calls_move_on_when_their_member_is_lost(
    fault: Callable[[Member], None], members: tuple[Member, ...], prefix: str
) -> None:
    async with connected(*members) as store:
        seen = Seen(store, prefix, await put(store, prefix + "a", b"before"))
        await seen.until(b"before")
        lost = asked(store, members)
        others = [member for member in members if member is not lost]
        fault(lost)
        async with connected(*others) as elsewhere:
            await write_until_done(elsewhere, prefix + "a", b"meanwhile")
            written_s = time.monotonic()
            await seen.until(b"meanwhile", within_s=2 * PROBE_S + 2)
            assert time.monotonic() - written_s < 2 * PROBE_S + 1
        assert (await store.get(prefix + "a")) is not None
        await write_until_done(store, prefix + "a", b"after")
        await seen.until(b"after")
        await seen.end()


async def test_a_watch_on_a_silent_member_is_noticed_though_nobody_else_uses_the_store(
    members: tuple[Member, ...], prefix: str
) -> None:
    async with connected(*members) as store:
        seen = Seen(store, prefix, await put(store, prefix + "a", b"before"))
        await seen.until(b"before")
        lost = asked(store, members)
        lost.pause()
        started_s = time.monotonic()
        await eventually(lambda: asked(store, members) is not lost)
        assert time.monotonic() - started_s < 2 * PROBE_S + 0.5
        await seen.end()


async def test_a_quiet_watch_on_a_good_member_is_left_alone(members: tuple[Member, ...], prefix: str) -> None:
    async with connected(members[0]) as store:
        seen = Seen(store, prefix, await put(store, prefix + "a", b"before"))
        await seen.until(b"before")
        opened = counted("server_started", "Watch", "Watch")
        before = gauge(members[0], opened)
        await asyncio.sleep(3.5 * PROBE_S)
        assert gauge(members[0], opened) == before
        await seen.end()


async def test_a_quiet_watch_is_seldom_asked_while_its_member_talks_to_others(
    members: tuple[Member, ...], prefix: str
) -> None:
    questions = counted("server_msg_received", "Watch", "Watch")
    store = EtcdStore([members[0].endpoint], probe_s=0.2)
    try:
        seen = Seen(store, prefix, await put(store, prefix + "a", b"before"))
        await seen.until(b"before")
        asked_until_now, began_s = gauge(members[0], questions), time.monotonic()
        while time.monotonic() < began_s + 1.5:
            await store.get(prefix + "a")
            await asyncio.sleep(0.05)
        assert gauge(members[0], questions) == asked_until_now
        while time.monotonic() < began_s + 2.5:
            await store.get(prefix + "a")
            await asyncio.sleep(0.05)
        assert gauge(members[0], questions) == asked_until_now + 1, "now and then: the stream alone may be dead"
        await seen.end()
    finally:
        await store.close()


async def why_not(store: EtcdStore, key: str) -> str:
    """Return why a key cannot be read."""
    with pytest.raises(StoreUnavailable) as caught:
        await store.get(key)
    return str(caught.value)


async def test_without_a_quorum_everything_waits_and_then_goes_on(members: tuple[Member, ...], prefix: str) -> None:
    alone, *others = members
    async with connected(alone, timeout_s=1.5) as store:
        seen = Seen(store, prefix, await put(store, prefix + "a", b"before"))
        await seen.until(b"before")
        for member in others:
            member.kill()
        while "no leader" not in (why := await why_not(store, prefix + "a")):
            assert "within 1.5 s" in why  # a member that has not noticed it yet lets us wait
        with pytest.raises(StoreUnavailable, match="no leader"):
            await put(store, prefix + "a", b"refused")
        for member in others:
            member.revive()
        await write_until_done(store, prefix + "a", b"after")
        await seen.until(b"after")
        assert seen.values == [b"before", b"after"]
        await seen.end()


async def test_a_watch_learns_that_history_was_compacted_while_it_was_away(
    members: tuple[Member, ...], prefix: str
) -> None:
    async with connected(members[0]) as store, connected(*members[1:]) as elsewhere:
        seen = Seen(store, prefix, await put(store, prefix + "a", b"before"))
        await seen.until(b"before")
        members[0].kill()
        for number in range(5):
            last = await write_until_done(elsewhere, prefix + "a", b"%d" % number)
        etcdctl(members[1].endpoint, "compaction", str(last))
        members[0].start()
        with pytest.raises(Compacted) as caught:
            await seen.until(b"never")
        assert caught.value.revision == last
        snapshot = await store.snapshot(prefix)
        assert [entry.value for entry in snapshot.entries] == [b"4"]


async def test_a_write_whose_answer_is_lost_is_uncertain_and_a_grant_is_not(tmp_path: Path) -> None:
    with Member(tmp_path) as member:
        async with connected(member, timeout_s=1.0) as store:
            await put(store, "/a", b"before")
            member.pause()
            with pytest.raises(Uncertain, match=member.address):
                await put(store, "/a", b"after")
            lease_asked_s = time.monotonic()
            with pytest.raises(StoreUnavailable):
                await store.grant(5)
            assert time.monotonic() - lease_asked_s < 2
            member.resume()
            found = await store.get("/a")
            assert found is not None
            assert found.value in (b"before", b"after")


async def test_a_write_whose_answer_is_lost_is_not_sent_to_another_member(
    members: tuple[Member, ...], prefix: str
) -> None:
    async with connected(*members, timeout_s=2.0) as store:
        await put(store, prefix + "a")
        asked(store, members).pause()
        with pytest.raises(Uncertain):
            await put(store, prefix + "a")


async def test_a_write_that_never_left_is_unavailable_and_not_uncertain(tmp_path: Path) -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    store = EtcdStore([nobody], timeout_s=0.5)
    with pytest.raises(StoreUnavailable, match=f"{nobody}.*check that etcd runs"):
        await put(store, "/a")
    await store.close()
    with Member(tmp_path) as member:
        async with connected(member, timeout_s=0.5) as known:
            await put(known, "/a")
            member.kill()
            with pytest.raises(StoreUnavailable):
                await known.get("/a")  # this finds the old connection dead; a write would be uncertain then
            with pytest.raises(StoreUnavailable):
                await put(known, "/a")


async def test_a_write_waits_for_a_member_that_comes_back_in_time(tmp_path: Path) -> None:
    member = Member(tmp_path)
    async with connected(member, timeout_s=10) as store:
        writing = asyncio.create_task(put(store, "/a"))
        await asyncio.sleep(0.3)
        with member:
            await writing


async def test_a_store_that_was_closed_says_so(members: tuple[Member, ...], prefix: str) -> None:
    store = EtcdStore([members[0].endpoint], probe_s=PROBE_S)
    seen = Seen(store, prefix, await put(store, prefix + "a", b"before"))
    await seen.until(b"before")
    members[0].pause()
    reading = asyncio.create_task(store.get(prefix))
    refreshing = asyncio.create_task(store.refresh(1))
    await asyncio.sleep(0.1)
    await store.close()
    for task in (reading, refreshing, seen.task):
        with pytest.raises((StoreError, StoreUnavailable), match="closed"):
            await task
    with pytest.raises(StoreError, match="closed"):
        await put(store, prefix)


async def test_a_cancelled_watch_is_gone_from_this_program_and_from_etcd(
    members: tuple[Member, ...], prefix: str
) -> None:
    async with connected(members[0]) as store:
        revision = await put(store, prefix + "a", b"before")
        tasks = asyncio.all_tasks()
        watchers = gauge(members[0], "etcd_debugging_mvcc_watcher_total")
        for number in range(60):
            seen = Seen(store, prefix, revision)
            await asyncio.sleep(number * 0.0005)
            await seen.end()
            assert seen.task.cancelled()
        watch = store.watch(prefix, revision)
        await anext(watch)
        await watch.aclose()
        await eventually(lambda: asyncio.all_tasks() <= tasks)
        await eventually(lambda: gauge(members[0], "etcd_debugging_mvcc_watcher_total") == watchers)


async def test_a_watch_cancelled_while_etcd_is_silent_ends_at_once(members: tuple[Member, ...], prefix: str) -> None:
    async with connected(members[0]) as store:
        tasks = asyncio.all_tasks()
        seen = Seen(store, prefix, await put(store, prefix + "a", b"before"))
        await seen.until(b"before")
        members[0].pause()
        for _ in range(3):
            started_s = time.monotonic()
            await seen.end()
            assert time.monotonic() - started_s < 0.2
            assert not [task for task in asyncio.all_tasks() - tasks if "read" in task.get_coro().__qualname__]  # type: ignore[union-attr]  # always a coroutine
            seen = Seen(store, prefix, 1)
            await asyncio.sleep(PROBE_S / 3)
        await seen.end()
        await eventually(lambda: asyncio.all_tasks() <= tasks)


async def test_a_snapshot_begins_again_when_its_revision_is_compacted_between_two_pages(
    server: Member, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusterd.store.etcd.PAGE", 2)
    async with connected(server) as store:
        await store.transact((), [Put(f"{prefix}{number}", b"") for number in range(1500)])
        reading = asyncio.create_task(store.snapshot(prefix))
        await asyncio.sleep(0.05)
        revision = await put(store, prefix + "late")
        await asyncio.to_thread(etcdctl, server.endpoint, "compaction", str(revision))
        assert not reading.done()
        snapshot = await reading
        assert (snapshot.revision, len(snapshot.entries)) == (revision, 1501)


async def test_a_key_that_is_not_text_does_not_make_the_others_unreadable(server: Member, prefix: str) -> None:
    async with connected(server) as store:
        revision = await put(store, prefix + "a")
        odd = (prefix + "b").encode() + b"\xff\xfe"
        request = {"key": base64.b64encode(odd).decode(), "value": ""}
        await asyncio.to_thread(urllib.request.urlopen, f"{server.endpoint}/v3/kv/put", json.dumps(request).encode())
        entries = (await store.snapshot(prefix)).entries
        assert len(entries) == 2
        assert await store.get(entries[1].key) == entries[1]
        watch = store.watch(prefix, revision)
        assert [(await anext(watch)).changes[0].key for _ in range(2)] == [entry.key for entry in entries]
        assert (await store.transact((Created(entries[1].key, 0),), ())).succeeded is False
        await store.transact((), (Delete(entries[1].key),))
        assert len((await store.snapshot(prefix)).entries) == 1
