"""Calls to a store are counted, and how each of them failed; nothing else is different."""

import pytest
from grpc import StatusCode

from clusterd.errors import StoreError, StoreUnavailable, Uncertain
from clusterd.store.contract import Entry, Put
from clusterd.store.counted import CALLS, CountedStore
from clusterd.store.memory import MemoryStore
from clusterd.store.translation import Refused

TOO_LARGE = [Put("/k", b"x" * 2 * 2**20)]


def counts(store: CountedStore) -> dict[str, int]:
    return {name: call.took.total for name, call in store.calls().items() if call.took and call.took.total}


def errors(store: CountedStore) -> dict[tuple[str, str], int]:
    return {(name, why): count for name, call in store.calls().items() for why, count in call.errors.items() if count}


async def test_every_call_is_counted_and_answered_by_the_store_behind() -> None:
    inner = MemoryStore()
    store = CountedStore(inner)
    lease = await store.grant(5)
    assert (await store.transact([], [Put("/k", b"v", lease.lease_id)])).succeeded
    entry = await store.get("/k")
    assert entry
    assert (await store.snapshot("/")).entries == (entry,)
    assert (await store.since("/", 0)).entries == (entry,)
    watch = store.watch("/", entry.mod_revision)
    assert (await anext(watch)).changes == (entry,)
    await watch.aclose()
    assert (await store.refresh(lease.lease_id)).ttl_s == 5
    assert 0 < await store.time_left_s(lease.lease_id) <= 5
    await store.revoke(lease.lease_id)
    assert await inner.get("/k") is None
    await store.close()
    assert counts(store) == dict.fromkeys(CALLS, 1)
    assert errors(store) == {}


async def test_errors_are_counted_by_call_and_kind_and_passed_on() -> None:
    inner = MemoryStore()
    store = CountedStore(inner)
    with pytest.raises(StoreError):
        await store.transact([], TOO_LARGE)
    inner.answers_lost = True
    with pytest.raises(Uncertain):
        await store.transact([], [Put("/k", b"v")])
    inner.answers_lost, inner.down = False, True
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.get("/k")
    assert errors(store) == {("transact", "refused"): 1, ("transact", "uncertain"): 1, ("get", "unavailable"): 2}
    assert counts(store) == {"transact": 2, "get": 2}


async def test_what_etcd_refuses_is_a_refusal_and_passed_on_as_it_is() -> None:
    class Refusing(MemoryStore):
        async def get(self, key: str) -> Entry | None:
            raise Refused(f"{key}: no such lease", StatusCode.NOT_FOUND)

    store = CountedStore(Refusing())
    with pytest.raises(Refused, match="no such lease"):
        await store.get("/k")
    assert errors(store) == {("get", "refused"): 1}


async def test_every_kind_of_error_is_there_before_it_happens() -> None:
    calls = CountedStore(MemoryStore()).calls()
    assert set(calls) == {*CALLS, "watch"}
    assert all(call.errors == {"unavailable": 0, "refused": 0, "uncertain": 0} for call in calls.values())
