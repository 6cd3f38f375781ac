"""How often a router refreshes its lease, and how often it reads again what it watches."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from clusterd.election import LeaseSeen
from clusterd.store.contract import Batch, Delete, Lease, Operation, Put, Since, Snapshot
from clusterd.store.memory import MemoryStore
from tests.clusterd.big import copied
from tests.watchers.test_router import until
from watchers import feeds
from watchers.feeds import relist_s


class Slow(MemoryStore):
    """Takes a while to answer a refresh."""

    async def refresh(self, lease_id: int) -> Lease:
        answer = await super().refresh(lease_id)
        await asyncio.sleep(0.06)
        return answer


async def test_an_answer_that_takes_long_does_not_delay_the_next_refresh() -> None:
    seen: list[LeaseSeen] = []
    keeping = asyncio.create_task(feeds.lease(Slow(), lambda: (3, 0.1), seen.append))
    while len(seen) < 8:
        await asyncio.sleep(0.01)
    keeping.cancel()
    between_s = [after.sent_s - before.sent_s for before, after in pairwise(seen[1:])]
    assert sorted(between_s)[len(between_s) // 2] < 0.14


@pytest.mark.parametrize(
    ("took_s", "many", "again_s"), [(0.01, True, 30), (0.1, True, 200), (5, True, 300), (5, False, 30)]
)
def test_what_takes_long_to_read_is_looked_at_more_seldom_where_it_may(
    took_s: float, many: bool, again_s: float
) -> None:
    assert relist_s(took_s, many) == again_s


class Lossy(MemoryStore):
    """Loses the batches of some revisions, as a watch may that has a bug; counts what is read whole."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: set[int] = set()
        self.snapshots = self.looks = 0

    async def since(self, prefix: str, revision: int) -> Since:
        self.looks += 1
        return await super().since(prefix, revision)

    async def snapshot(self, *prefixes: str) -> Snapshot:
        self.snapshots += 1
        return await super().snapshot(*prefixes)

    async def watch(self, prefix: str, start_revision: int) -> AsyncGenerator[Batch, None]:
        async for batch in super().watch(prefix, start_revision):
            if batch.revision not in self.lost:
                yield batch


@asynccontextmanager
async def followed(store: Lossy, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, bytes]]:
    """Follow what is below ``k/``, and look again ten times a second whether that is all."""
    for name in ("RELIST_S", "RELIST_MOST_S"):
        monkeypatch.setattr(feeds, name, 0.1)
    there: dict[str, bytes] = {}

    def put(news: Mapping[str, bytes | None], whole: bool) -> None:
        if whole:
            there.clear()
        for name, value in news.items():
            there.pop(name, None)
            if value is not None:
                there[name] = value

    following = asyncio.create_task(feeds.changes(store, "k/", put))
    try:
        yield there
    finally:
        following.cancel()
        await asyncio.wait([following])


async def looked(store: Lossy, times: int) -> None:
    """Return after so many looks more."""
    looks = store.looks
    await until(lambda: store.looks >= looks + times)


async def nothing_read(store: Lossy) -> None:
    """Check that nothing is read whole while a quiet range is looked at some times."""
    await looked(store, 2)
    before = store.snapshots
    await looked(store, 4)
    assert store.snapshots == before


async def test_many_keys_are_read_once_as_long_as_nothing_of_them_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Lossy()
    await store.transact((), [Put(f"k/{number}", b"") for number in range(5)])
    async with followed(store, monkeypatch) as there:
        await until(lambda: len(there) == 5)
        await store.transact((), [Put("k/5", b"new"), Put("k/0", b"other"), Delete("k/1")])
        await until(lambda: there.get("5") == b"new")
        assert there == {"0": b"other", "2": b"", "3": b"", "4": b"", "5": b"new"}
        await nothing_read(store)


@pytest.mark.parametrize("missed", [Put("k/1", b"missed"), Put("k/9", b"missed"), Delete("k/1")])
async def test_what_a_watch_missed_is_found_whatever_came_after_it(
    missed: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Lossy()
    first = await store.transact((), [Put(f"k/{number}", b"") for number in range(3)])
    store.lost = {first.revision + 1}
    async with followed(store, monkeypatch) as there:
        await until(lambda: len(there) == 3)
        await store.transact((), [missed])
        await store.transact((), [Put("k/2", b"told")])
        await until(lambda: there["2"] == b"told")
        wanted = {entry.key.removeprefix("k/"): entry.value for entry in (await store.since("k/", 0)).entries}
        await until(lambda: there == wanted)


@pytest.mark.parametrize("seen_whole", [False, True])
@pytest.mark.parametrize("again", [b"before", b"rewritten"])
async def test_an_etcd_that_was_restored_is_read_whole_even_if_it_has_overtaken_what_was_known(
    seen_whole: bool, again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Lossy()
    await store.transact((), [Put("k/1", b"before"), Put("k/2", b"")])
    restored = copied(store)
    async with followed(store, monkeypatch) as there:
        await until(lambda: len(there) == 2)
        await store.transact((), [Put("k/1", b"after")])
        for count in range(5):
            await store.transact((), [Put("elsewhere", b"%d" % count)])
        await until(lambda: there["1"] == b"after")
        if seen_whole:
            await looked(store, 2)
        store._data = restored._data
        if again != b"before":
            await store.transact((), [Put("elsewhere", b"")])
            await store.transact((), [Put("k/1", again)])
        for count in range(10):
            await store.transact((), [Put("elsewhere", b"%d" % count)])
        await until(lambda: there["1"] == again)
        assert there == {"1": again, "2": b""}


async def test_a_range_of_which_all_that_was_written_last_is_gone_is_read_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Lossy()
    await store.transact((), [Put("k/1", b"")])
    await store.transact((), [Put("k/2", b"")])
    async with followed(store, monkeypatch) as there:
        await until(lambda: len(there) == 2)
        await store.transact((), [Delete("k/2")])
        await until(lambda: store.snapshots > 1)
        assert there == {"1": b""}
        await nothing_read(store)


async def test_now_and_then_many_keys_are_read_whole_even_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can tell by revisions that one key came back with a backup and another one was deleted there."""
    store = Lossy()
    await store.transact((), [Put("k/1", b""), Put("k/2", b""), Put("k/3", b"")])
    restored = copied(store)
    monkeypatch.setattr(feeds, "WHOLE_EVERY", 4)
    async with followed(store, monkeypatch) as there:
        await until(lambda: len(there) == 3)
        await store.transact((), [Delete("k/1")])
        await until(lambda: len(there) == 2)
        store._data = restored._data
        await store.transact((), [Delete("k/2")])
        for count in range(5):
            await store.transact((), [Put("elsewhere", b"%d" % count)])
        await until(lambda: set(there) == {"1", "3"})


async def test_what_was_written_between_two_watches_is_told_without_reading_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Busy(Lossy):
        """Somebody writes whenever it is looked at."""

        async def since(self, prefix: str, revision: int) -> Since:
            await self.transact((), [Put(f"k/{1 + self.looks % 5}", b"%d" % self.looks), Put("k/0", b"again")])
            return await super().since(prefix, revision)

    store = Busy()
    await store.transact((), [Put("k/1", b""), Put("k/2", b"")])
    async with followed(store, monkeypatch) as there:
        await looked(store, 8)
        wanted = {entry.key.removeprefix("k/"): entry.value for entry in (await store.snapshot("k/")).entries}
        assert there == wanted
        assert store.snapshots == 2  # the router's first, and this
