"""What the store in memory offers beyond the contract: a clock that is given, and troubles on demand."""

import asyncio

import pytest

from clusterd.errors import Compacted, StoreError, StoreUnavailable, Uncertain
from clusterd.store.contract import Batch, Created, Deleted, Outcome, Put
from clusterd.store.memory import MemoryStore


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


async def test_a_lease_ends_when_the_given_clock_says_so() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    lease = await store.grant(3)
    assert (lease.ttl_s, lease.sent_s) == (3, 1000.0)
    await store.transact((), (Put("a", b"", lease.lease_id),))
    clock.now_s += 2.9
    assert await store.get("a")
    assert (await store.refresh(lease.lease_id)).sent_s == clock.now_s
    clock.now_s += 2.9
    assert await store.get("a")
    clock.now_s += 0.1
    assert await store.get("a") is None
    assert (await store.refresh(lease.lease_id)).ttl_s == 0


async def test_expire_tells_the_watches_without_another_call() -> None:
    clock = Clock()
    store = MemoryStore(clock)
    lease = await store.grant(3)
    revision = (await store.transact((), (Put("a", b"", lease.lease_id), Put("b", b"", lease.lease_id)))).revision
    waiting = asyncio.ensure_future(anext(aiter(store.watch("", revision + 1))))
    await asyncio.sleep(0)
    clock.now_s += 3
    store.expire()
    gone = (Deleted("a", revision + 1), Deleted("b", revision + 1))
    assert await waiting == Batch(revision + 1, gone)


async def test_a_store_that_is_down_is_unavailable_and_its_watches_catch_up_later() -> None:
    store = MemoryStore()
    other = store.connect()
    watch = store.watch("", 1)
    store.down = True
    for refused in (store.get("a"), store.snapshot(""), store.transact((), ()), store.grant(3), store.refresh(1)):
        with pytest.raises(StoreUnavailable):
            await refused
    with pytest.raises(StoreUnavailable):
        await store.revoke(1)
    revision = (await other.transact((), (Put("a", b""),))).revision
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    store.down = False
    assert (await waiting).revision == revision


async def test_a_store_that_was_down_during_a_compaction_says_so() -> None:
    store = MemoryStore()
    other = store.connect()
    waiting = asyncio.ensure_future(anext(store.watch("", 2)))
    await asyncio.sleep(0)
    store.down = True
    for _ in range(3):
        revision = (await other.transact((), (Put("a", b""),))).revision
    other.compact(revision)
    store.down = False
    with pytest.raises(Compacted) as caught:
        await waiting
    assert caught.value.revision == revision


async def test_an_answer_that_is_lost_leaves_a_write_that_was_done() -> None:
    store = MemoryStore()
    store.answers_lost = True
    with pytest.raises(Uncertain):
        await store.transact((), (Put("a", b""),))
    store.answers_lost = False
    assert await store.transact((Created("a", 2),), ()) == Outcome(True, 2)


@pytest.mark.parametrize("revision", [0, 1, 4])
async def test_only_what_is_there_can_be_compacted(revision: int) -> None:
    store = MemoryStore()
    for _ in range(2):
        await store.transact((), (Put("a", b""),))
    store.compact(1 + (revision == 1))
    with pytest.raises(StoreError):
        store.compact(revision)


async def test_a_watch_that_is_closed_is_forgotten() -> None:
    store = MemoryStore()
    watch = store.watch("", 1)
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    assert store._data.watchers
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not store._data.watchers
