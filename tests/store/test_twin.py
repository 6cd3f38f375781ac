"""The store in memory and etcd, given the same transactions, hold the same."""

import random
from collections.abc import AsyncIterator

import pytest

from clusterd.store.contract import (
    Batch,
    Condition,
    Created,
    Delete,
    DeletePrefix,
    Modified,
    Operation,
    Put,
)
from clusterd.store.etcd import EtcdStore
from clusterd.store.memory import MemoryStore
from tests.store.conftest import put, take
from tests.store.etcd_server import Member


def some_transaction(dice: random.Random, prefix: str, revisions: list[int]) -> tuple[list[Condition], list[Operation]]:
    """Return a small transaction that may succeed or fail, over few keys, so that they meet each other often."""
    operations: list[Operation] = [
        Put(prefix + name, b"%d" % dice.randrange(100)) if dice.random() < 0.7 else Delete(prefix + name)
        for name in dice.sample(["a", "b", "c"], dice.randint(1, 3))
    ]
    below_d: tuple[Operation, ...] = (Put(prefix + "d/1", b""), Put(prefix + "d/2", b""), DeletePrefix(prefix + "d/"))
    operations.append(dice.choice(below_d))
    conditions: list[Condition] = []
    if dice.random() < 0.5:
        key, revision = prefix + dice.choice("abc"), dice.choice([0, *revisions[-3:]])
        conditions.append(Created(key, revision) if dice.random() < 0.5 else Modified(key, revision))
    return conditions, operations


async def until(watch: AsyncIterator[Batch], revision: int) -> list[Batch]:
    """Return the batches up to that of a revision."""
    batches = await take(watch, 1)
    while batches[-1].revision < revision:
        batches += await take(watch, 1)
    return batches


@pytest.mark.etcd
@pytest.mark.parametrize("seed", range(5))
async def test_the_store_in_memory_goes_step_by_step_as_etcd_does(seed: int, server: Member, prefix: str) -> None:
    dice = random.Random(seed)  # noqa: S311 - the same transactions in every run
    memory, etcd = MemoryStore(), EtcdStore([server.endpoint])
    start = await put(etcd, prefix)
    while await put(memory, prefix) < start:
        pass
    revisions = [start]
    for store in (memory, etcd):
        await store.transact((), (Delete(prefix),))
    for _ in range(40):
        conditions, operations = some_transaction(dice, prefix, revisions)
        outcome = await etcd.transact(conditions, operations)
        assert await memory.transact(conditions, operations) == outcome
        revisions.append(outcome.revision)
        assert await memory.snapshot(prefix) == await etcd.snapshot(prefix)
        since = dice.choice(revisions)
        assert await memory.since(prefix, since) == await etcd.since(prefix, since)
    assert await until(memory.watch(prefix, start + 1), revisions[-1]) == await until(
        etcd.watch(prefix, start + 1), revisions[-1]
    )
    await etcd.close()
