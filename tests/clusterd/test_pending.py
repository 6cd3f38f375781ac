"""Commits that are undone by themselves: what undoing means, and who does it how often."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd import configuration, document, pending, undoing
from clusterd.configuration import Committed
from clusterd.errors import ConfigError, ConflictError, UnsafeChange
from clusterd.history import Author, ObjectChange, Signature
from clusterd.keys import Keys
from clusterd.pending import Pending
from clusterd.store.memory import MemoryStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = Keys("test")
BASE = """\
routers:
  r1: {public: 10.0.0.1}
virtuals:
  web: {address: 10.0.0.9, interface: eth0, port: 80, servers: {rs1: {address: 10.0.1.1, weight: 2}}}
"""
values = st.recursive(st.integers(0, 3), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3))
objects = st.dictionaries(st.sampled_from(("cluster", "virtuals/web", "routers/r1")), values, max_size=3)


def between(before: dict[str, Any], after: dict[str, Any]) -> dict[str, ObjectChange]:
    return {
        name: ObjectChange(before=before.get(name), after=after.get(name))
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    }


@given(objects, objects)
def test_undoing_the_last_commit_gives_what_was_before(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert pending.undone(after, between(before, after)) == before


@given(objects, objects)
def test_undoing_twice_changes_nothing_more(before: dict[str, Any], after: dict[str, Any]) -> None:
    changes = between(before, after)
    once = pending.undone(after, changes)
    assert pending.undone(once, changes) == once


def test_what_somebody_changed_since_stays() -> None:
    changes = {"virtuals/web": ObjectChange(before={"port": 80, "weight": 1}, after={"port": 80, "weight": 0})}
    assert pending.undone({"virtuals/web": {"port": 81, "weight": 0}}, changes) == {
        "virtuals/web": {"port": 81, "weight": 1}
    }
    assert pending.undone({"virtuals/web": {"port": 80, "weight": 5}}, changes) == {
        "virtuals/web": {"port": 80, "weight": 5}
    }
    assert pending.undone({}, changes) == {}


def test_the_newest_commit_is_undone_first_and_none_before_its_time() -> None:
    waiting = {
        str(n): Pending(number=n, due=NOW + timedelta(seconds=s), reason="confirm")
        for n, s in ((1, 0), (2, -5), (3, 1))
    }
    assert pending.due(waiting, NOW) == ("2", "1")


def test_a_pending_key_reads_back_and_a_strange_one_is_named() -> None:
    made = Pending(number=7, due=NOW, reason="expire")
    assert pending.parsed("k", made.as_json()) == made
    with pytest.raises(ConfigError, match="pending/x: not a pending commit"):
        pending.parsed("pending/x", b'{"number": 0}')


def test_it_says_what_will_happen_and_what_happened() -> None:
    confirm, expire = (Pending(number=7, due=NOW, reason=reason) for reason in ("confirm", "expire"))
    assert confirm.told() == "commit 7 is undone at 2026-01-01T00:00:00.000Z unless `clusterd confirm` comes before"
    assert expire.told() == "commit 7 is undone at 2026-01-01T00:00:00.000Z, when its time is over"
    assert confirm.why_undone() == "undoes commit 7, which was not confirmed in time"
    assert expire.why_undone() == "undoes commit 7, whose time is over"


def signed(message: str = "") -> Signature:
    return Signature(Author(user="tester", host="here"), NOW, message)


async def changed(store: MemoryStore, base: Committed, old: str, new: str, **extras: Any) -> Committed:
    cluster = document.parse(BASE.replace(old, new))
    return await configuration.commit(store, KEYS, base, cluster, signed(), **extras)


@pytest.fixture
async def waiting() -> tuple[MemoryStore, Committed, undoing.Waiting]:
    """A store in which commit 2, which set the weight to 0, waits for confirmation."""
    store = MemoryStore()
    base = await configuration.commit(store, KEYS, None, document.parse(BASE), signed())
    made = Pending(number=2, due=NOW, reason="confirm")
    second = await changed(store, base, "weight: 2", "weight: 0", **undoing.riders(KEYS, made))
    (found,) = await undoing.waiting(store, KEYS)
    assert found.pending == made
    return store, second, found


Case = tuple[MemoryStore, Committed, undoing.Waiting]


async def test_a_commit_that_is_not_confirmed_is_undone_by_another_commit(waiting: Case) -> None:
    store, _, found = waiting
    done = await undoing.undo(store, KEYS, found, signed(found.pending.why_undone()))
    assert done is not None
    assert done.number == 3
    assert done.cluster == document.parse(BASE)
    assert await undoing.waiting(store, KEYS) == ()


async def test_many_routers_undo_it_exactly_once(waiting: Case) -> None:
    store, _, found = waiting
    attempts = (undoing.undo(store.connect(), KEYS, found, signed()) for _ in range(5))
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(result, Committed) for result in results) == 1
    assert all(result is None or isinstance(result, Committed | ConflictError | UnsafeChange) for result in results)
    committed = await configuration.read(store, KEYS)
    assert committed is not None
    assert committed.number == 3


async def test_a_confirmed_commit_stays(waiting: Case) -> None:
    store, second, found = waiting
    await undoing.confirm(store, found)
    with pytest.raises(UnsafeChange):
        await undoing.undo(store, KEYS, found, signed())
    with pytest.raises(ConflictError, match="commit 2 was undone or confirmed meanwhile"):
        await undoing.confirm(store, found)
    committed = await configuration.read(store, KEYS)
    assert committed is not None
    assert committed.number == second.number


async def test_where_nothing_is_left_to_undo_only_the_key_goes(waiting: Case) -> None:
    store, second, found = waiting
    await changed(store, second, "weight: 2", "weight: 9")
    assert await undoing.undo(store, KEYS, found, signed()) is None
    assert await undoing.waiting(store, KEYS) == ()
    committed = await configuration.read(store, KEYS)
    assert committed is not None
    assert committed.cluster.virtuals["web"].servers["rs1"].weight == 9


async def test_a_commit_that_is_not_in_the_history_is_named(waiting: Case) -> None:
    store, _, found = waiting
    strange = undoing.Waiting(KEYS.pending(77), 1, Pending(number=77, due=NOW, reason="expire"))
    with pytest.raises(ConfigError, match="commit 77 is not in the history"):
        await undoing.undo(store, KEYS, strange, signed())
    assert found.pending.number == 2
