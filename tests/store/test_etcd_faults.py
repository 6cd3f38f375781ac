"""A real etcd that dies, freezes, loses its quorum or its history: what the store makes of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clusterd.errors import Compacted, StoreError, StoreUnavailable, Uncertain
from clusterd.store.clock import boottime_s
from clusterd.store.contract import Batch, Entry, Put
from clusterd.store.etcd import EtcdStore
from clusterd.store.keepalive import ATTEMPT_S
from tests.store.etcd_server import Member, etcdctl, free_ports

pytestmark = pytest.mark.etcd
PROBE_S = 0.7


@asynccontextmanager
async def connected(*members: Member, timeout_s: float = 5.0) -> AsyncIterator[EtcdStore]:
    store = EtcdStore([member.endpoint for member in members], timeout_s=timeout_s, probe_s=PROBE_S)
    try:
        yield store
    finally:
        await store.close()


async def put(store: EtcdStore, key: str, value: bytes = b"") -> int:
    return (await store.transact((), (Put(key, value),))).revision


async def write_until_done(store: EtcdStore, key: str, value: bytes, within_s: float = 20) -> int:
    """Write what may be written twice, whatever happens to etcd meanwhile."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                return await put(store, key, value)
            except (StoreUnavailable, Uncertain):
                await asyncio.sleep(0.05)


class Seen:
    """What a watch yields, collected by a task of its own."""

    def __init__(self, store: EtcdStore, prefix: str, start_revision: int) -> None:
        self.batches: list[Batch] = []
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._collect(store, prefix, start_revision))

    async def _collect(self, store: EtcdStore, prefix: str, start_revision: int) -> None:
        async for batch in store.watch(prefix, start_revision):
            self.batches.append(batch)
            self._news.set()

    @property
    def values(self) -> list[bytes]:
        return [change.value for batch in self.batches for change in batch.changes if isinstance(change, Entry)]

    async def until(self, value: bytes, within_s: float = 10) -> None:
        """Wait for a value; ends with the watch's error if it has one."""
        async with asyncio.timeout(within_s):
            while value not in self.values:
                self._news.clear()
                news = asyncio.ensure_future(self._news.wait())
                await asyncio.wait({news, self.task}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                if self.task.done():
                    self.task.result()

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def asked(store: EtcdStore, members: tuple[Member, ...]) -> Member:
    """Return the member that the store asks now."""
    return next(member for member in members if member.address == store._session.member().target)


def gauge(member: Member, name: str) -> float:
    """Return one of etcd's own measures."""
    return next(float(line.split()[1]) for line in member.metrics().splitlines() if line.startswith(name + " "))


async def eventually(claim: Callable[[], bool], within_s: float = 5) -> None:
    end_s = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < end_s, "did not come true in time"
        await asyncio.sleep(0.05)


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


@pytest.mark.parametrize("fault", [Member.kill, Member.pause])
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
        opened = (
            'grpc_server_started_total{grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"}'
        )
        before = gauge(members[0], opened)
        await asyncio.sleep(3.5 * PROBE_S)
        assert gauge(members[0], opened) == before
        await seen.end()


async def test_without_a_quorum_everything_waits_and_then_goes_on(members: tuple[Member, ...], prefix: str) -> None:
    alone, *others = members
    async with connected(alone, timeout_s=1.5) as store:
        seen = Seen(store, prefix, await put(store, prefix + "a", b"before"))
        await seen.until(b"before")
        for member in others:
            member.kill()
        await asyncio.sleep(1)
        with pytest.raises(StoreUnavailable, match="no leader"):
            await store.get(prefix + "a")
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


async def test_a_refresh_moves_on_from_a_frozen_member_within_seconds(members: tuple[Member, ...]) -> None:
    async with connected(*members) as store:
        lease = await store.grant(20)
        asked(store, members).pause()
        started_s = boottime_s()
        end_s = started_s + 10
        while True:
            try:
                fresh = await store.refresh(lease.lease_id)
                break
            except StoreUnavailable:
                assert boottime_s() < end_s, "the cluster has elected a leader by now"
        assert fresh.sent_s >= started_s + ATTEMPT_S - 0.05, "the moment of the request that was answered"
        assert fresh.ttl_s == lease.ttl_s


async def test_the_end_of_a_lease_counts_from_the_request_and_not_from_the_answer(tmp_path: Path) -> None:
    with Member(tmp_path) as member:
        async with connected(member) as store:
            lease = await store.grant(3)
            await store.transact((), (Put("/lock", b"", lease.lease_id),))
            member.pause()
            asked_s = boottime_s()
            refreshing = asyncio.create_task(store.refresh(lease.lease_id))
            await asyncio.sleep(0.6)
            member.resume()
            fresh = await refreshing
            assert asked_s <= fresh.sent_s < asked_s + 0.3
            await asyncio.sleep(fresh.sent_s + fresh.ttl_s - 0.1 - boottime_s())
            assert await store.get("/lock") is not None


async def test_an_answer_that_comes_late_is_not_taken_for_that_of_a_later_refresh(tmp_path: Path) -> None:
    with Member(tmp_path) as member:
        async with connected(member) as store:
            lease = await store.grant(30)
            await store.refresh(lease.lease_id)
            member.pause()
            with pytest.raises(StoreUnavailable, match="silent"):
                await store.refresh(lease.lease_id)
            resumed_s = boottime_s()
            member.resume()
            assert (await store.refresh(lease.lease_id)).sent_s >= resumed_s


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
            seen = Seen(store, prefix, 1)
            await asyncio.sleep(PROBE_S / 3)
        await seen.end()
        await eventually(lambda: asyncio.all_tasks() <= tasks)
