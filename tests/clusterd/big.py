"""Clusters too big for one transaction of etcd, and stores that end their user at some step."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

from clusterd.configuration import Committed, commit, read, record, records
from clusterd.document import from_data
from clusterd.history import broken_links, replayed
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.store.contract import Condition, Entry, Operation, Outcome, Since, Snapshot, Store
from clusterd.store.memory import MemoryStore
from tests.clusterd.commits import ALICE, KEYS


def big_data(virtuals: int, servers: int = 0, port: int = 80, pages: int = 0) -> dict[str, Any]:
    """Return a document with so many virtual servers of so many real servers each; a page to check takes 2 kB."""
    return {
        "cluster": {"nat_router": {"address": "192.168.1.254/24", "interface": "eth1"}},
        "routers": {"r1": {"public": "1.2.3.2"}, "r2": {"public": "1.2.3.3", "priority": 50}},
        "virtuals": {
            f"v{number:04}": {
                "address": f"{IPv4Address(0x0A000001 + number)}/8",
                "interface": "eth0",
                "port": port,
                "check": {"type": "http", "path": "/health", "also": [{"path": "/" + 1990 * "x"}] * pages},
                "servers": {
                    f"rs{server}": {"address": str(IPv4Address(0xAC100000 + 16 * number + server)), "weight": 1}
                    for server in range(servers)
                },
            }
            for number in range(virtuals)
        },
    }


MANY = from_data(big_data(4100))  # too many objects for one transaction
LARGE = from_data(big_data(100, pages=11))  # too many bytes
LARGER = from_data(big_data(100, port=81, pages=11))
OTHER = from_data(big_data(100, port=82, pages=11))


def moved(cluster: Cluster, number: int) -> Cluster:
    """Return the cluster with another port of so many virtual servers."""
    data = cluster.model_dump(mode="json", by_alias=True)
    for virtual in list(data["virtuals"].values())[:number]:
        virtual["port"] = 7
    return from_data(data)


def copied(store: MemoryStore) -> MemoryStore:
    """Return a store that holds the same, and goes its own way."""
    other = MemoryStore()
    data = store._data
    other._data = replace(data, entries=dict(data.entries), history=list(data.history), watchers=set())
    return other


_BEGUN: dict[int, tuple[MemoryStore, Committed]] = {}


async def begun(cluster: Cluster) -> tuple[MemoryStore, Committed]:
    """Return a store where this is committed as the first, and what is committed there."""
    if id(cluster) not in _BEGUN:
        store = MemoryStore()
        _BEGUN[id(cluster)] = store, await commit(store, KEYS, None, cluster, ALICE)
    store, committed = _BEGUN[id(cluster)]
    return copied(store), committed


async def check_whole(store: Store, cluster: Cluster, number: int, keys: Keys = KEYS) -> Committed:
    """Check that this is committed, with a whole history and without garbage."""
    committed = await read(store, keys)
    assert committed is not None
    assert (committed.cluster, committed.number, committed.strays) == (cluster, number, ())
    past = await records(store, keys)
    assert broken_links(past, committed.head) == ()
    assert replayed(past) == committed.objects
    assert [await record(store, keys, one.number) for one in past] == list(past)
    assert await garbage(store, keys) == []
    return committed


async def garbage(store: Store, keys: Keys = KEYS) -> list[str]:
    """Return the keys that no reader of the configuration or the history looks at."""
    committed = await read(store, keys)
    assert committed is not None
    used = [keys.config(committed.head.generation)]
    for one in range(1, committed.number + 1):
        entry = await store.get(keys.history(one))
        assert entry is not None
        used += [keys.history_parts(one, json.loads(entry.value)["id"]), f"{entry.key}|"]
    entries = (await store.snapshot(keys.config_prefix, keys.history_prefix, keys.staging_prefix)).entries
    return [entry.key for entry in entries if not f"{entry.key}|".startswith(tuple(used))]


class Ending(MemoryStore):
    """A connection whose user ends at one call, before or after the call took effect: the n-th, from 1."""

    def __init__(self, other: MemoryStore, end_at: int, after: bool, ending: Callable[[], BaseException]) -> None:
        super().__init__()
        self._data = other._data
        self._left = end_at
        self._after = after
        self._ending = ending

    @property
    def ended(self) -> bool:
        """Whether so many calls were made."""
        return self._left <= 0

    def _before_call(self) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise self._ending()

    def _after_call(self) -> None:
        if self._left == 0:
            raise self._ending()

    async def get(self, key: str) -> Entry | None:
        self._before_call()
        entry = await super().get(key)
        self._after_call()
        return entry

    async def snapshot(self, *prefixes: str) -> Snapshot:
        self._before_call()
        snapshot = await super().snapshot(*prefixes)
        self._after_call()
        return snapshot

    async def since(self, prefix: str, revision: int) -> Since:
        self._before_call()
        since = await super().since(prefix, revision)
        self._after_call()
        return since

    async def transact(self, conditions: Sequence[Condition], operations: Sequence[Operation]) -> Outcome:
        self._before_call()
        outcome = await super().transact(conditions, operations)
        self._after_call()
        return outcome
