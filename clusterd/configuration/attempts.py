"""A commit as the transaction that it will be, ready to be sent."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from clusterd import document
from clusterd.configuration.reading import Committed
from clusterd.errors import UnsafeChange
from clusterd.history import NO_PARENT, Head, ObjectChange, Record, Signature, as_json, head_of, recorded
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.store.contract import Condition, Delete, Modified, Operation, Put, Store

_FIRST_GENERATION = 1


@dataclass(frozen=True, slots=True)
class Attempt:
    """One commit, ready to be sent."""

    record: Record
    head: Head
    objects: Mapping[str, Any]
    guard: tuple[Condition, ...]  # nobody else has committed
    operations: tuple[Operation, ...]
    barrier: Put


def following(keys: Keys, base: Committed, cluster: Cluster, signature: Signature) -> Attempt | None:
    """Return the commit of a cluster upon what was read, None where it changes nothing."""
    wanted = _wanted(base.objects, cluster)
    changed = _changed(base.objects, wanted)
    if not changed and not base.strays:
        return None
    new = recorded(base.number + 1, str(uuid4()), signature, base.head.hash, changed)
    generation = base.head.generation
    operations: list[Operation] = []
    for name in dict.fromkeys([*changed, *base.strays]):
        key = keys.config_object(generation, name)
        operations.append(Put(key, _encoded(wanted[name])) if name in wanted else Delete(key))
    head = head_of(new, generation, wanted)
    return Attempt(
        new,
        head,
        wanted,
        guard=(Modified(keys.head, base.head_revision),),
        operations=(*operations, *_pointers(keys, head, new)),
        barrier=Put(keys.head, as_json(base.head)),
    )


async def first(store: Store, keys: Keys, cluster: Cluster, signature: Signature) -> Attempt:
    """Return the first commit, which makes the routers' common secret too."""
    left = await store.snapshot(keys.history_prefix, keys.config(_FIRST_GENERATION))
    if left.entries and await store.get(keys.head) is None:
        raise UnsafeChange(
            f"{keys.head} is missing, but {len(left.entries)} keys of an earlier configuration are there "
            f"(the first is {left.entries[0].key}): put the head back, or remove them with etcdctl"
        )
    secret = await store.get(keys.peer_key)
    made = Put(keys.peer_key, secrets.token_hex(32).encode() if secret is None else secret.value)
    wanted = document.objects(cluster)
    new = recorded(1, str(uuid4()), signature, NO_PARENT, _changed({}, wanted))
    operations: list[Operation] = [
        Put(keys.config_object(_FIRST_GENERATION, name), _encoded(value)) for name, value in wanted.items()
    ]
    head = head_of(new, _FIRST_GENERATION, wanted)
    return Attempt(
        new,
        head,
        wanted,
        guard=(Modified(keys.head, 0), Modified(keys.peer_key, secret.mod_revision if secret else 0)),
        operations=(*operations, made, *_pointers(keys, head, new)),
        barrier=made,
    )


def _pointers(keys: Keys, head: Head, new: Record) -> tuple[Put, Put]:
    return Put(keys.history(new.number), as_json(new)), Put(keys.head, as_json(head))


def _wanted(before: Mapping[str, Any], cluster: Cluster) -> dict[str, Any]:
    """Return the cluster's objects; an equal one stays as it was written, so that its hash does (1 is not 1.0)."""
    return {
        name: before[name] if before.get(name) == value else value for name, value in document.objects(cluster).items()
    }


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, ObjectChange]:
    return {
        name: ObjectChange(before=before.get(name), after=after.get(name))
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    }


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
