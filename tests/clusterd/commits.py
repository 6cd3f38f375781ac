"""What tests of commits share: who commits what, and connections that lose answers."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from clusterd.configuration import Committed, read
from clusterd.document import from_data
from clusterd.errors import Uncertain
from clusterd.history import (
    Author,
    Signature,
)
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.store.contract import Condition, Operation, Outcome
from clusterd.store.memory import MemoryStore
from tests.clusterd.examples import manual

KEYS = Keys("main")
NOW = datetime(2026, 11, 2, 10, 0, tzinfo=UTC)
ALICE = Signature(Author(user="alice", host="r1"), NOW, "as agreed")
BOB = Signature(Author(user="bob", host="r2"), NOW, "more for rs1")
EMPTY = from_data({})
WEB = KEYS.config_object(1, "virtuals/web")


def with_weight(weight: int) -> Cluster:
    """Return the manual's cluster with another weight of rs1."""
    data = manual().model_dump(mode="json", by_alias=True)
    data["virtuals"]["web"]["servers"]["rs1"]["weight"] = weight
    return from_data(data)


async def known(store: MemoryStore) -> Committed:
    """Return what is committed, which the test knows to be there."""
    committed = await read(store, KEYS)
    assert committed is not None
    return committed


async def by_hand(store: MemoryStore, *operations: Operation) -> None:
    """Write past clusterd, as somebody with etcdctl."""
    assert (await store.transact([], operations)).succeeded


class Interrupted(MemoryStore):
    """A connection on which something happens before a transaction, or whose answers get lost."""

    def __init__(self, other: MemoryStore, before: Any = None, after_calls: int = 0) -> None:
        super().__init__()
        self._data = other._data
        self._before = before
        self._calls_left = after_calls  # transactions that come before what happens
        self.lost_before = 0  # so many next transactions never arrive
        self.lost_after = 0  # so many next transactions are done, but their answer is lost
        self.late: list[tuple[Sequence[Condition], Sequence[Operation]]] = []

    async def transact(self, conditions: Sequence[Condition], operations: Sequence[Operation]) -> Outcome:
        self._calls_left -= 1
        if self._before and self._calls_left < 0:
            before, self._before = self._before, None
            await before()
        if self.lost_before:
            self.lost_before -= 1
            self.late.append((conditions, operations))
            raise Uncertain("lost on its way")
        outcome = await super().transact(conditions, operations)
        if self.lost_after:
            self.lost_after -= 1
            raise Uncertain("lost on its way back")
        return outcome
