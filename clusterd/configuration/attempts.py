"""A commit before it is sent: what it changes, and the transaction that this makes."""

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from clusterd import document
from clusterd.changes import summary
from clusterd.configuration.objects import after
from clusterd.configuration.reading import Committed, changes_between
from clusterd.configuration.staging import leftovers
from clusterd.errors import UnsafeChange
from clusterd.hashes import Hashes
from clusterd.history import (
    NO_PARENT,
    Head,
    ObjectChange,
    Record,
    Signature,
    as_json,
    changed_hashes,
    head_of,
    object_hashes,
    recorded,
)
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.store.contract import Condition, Delete, Modified, Operation, Put, Store

_FIRST_GENERATION = 1
_MOST_TOLD = 3  # names in a message


@dataclass(frozen=True, slots=True)
class Attempt:
    """One commit, ready to be sent."""

    record: Record
    head: Head  # where the objects are changed in place
    objects: Mapping[str, Any]  # all of them, by name, as they will be
    hashes: Hashes  # of all of them
    written: tuple[str, ...]  # those to write, or to remove where `objects` has none of the name
    guard: tuple[Condition, ...]  # nobody else has committed
    barrier: Put  # makes the guard fail from then on, and changes nothing else
    besides: tuple[Put, ...] = ()


def following(keys: Keys, base: Committed, cluster: Cluster, signature: Signature) -> Attempt | None:
    """Return the commit of a cluster upon what was read, None where it changes nothing.

    What it writes back is no change of what is committed, so only the message can tell of it.
    """
    changed = _changed(base.objects, *document.other_objects(base.cluster, cluster))
    if not changed and not base.strays:
        return None
    said = replace(signature, message=_message(signature.message, changed, base.strays))
    new = recorded(base.number + 1, str(uuid4()), said, base.head.hash, changed)
    hashes = changed_hashes(base.hashes, changed)
    return Attempt(
        new,
        head_of(new, base.head.generation, hashes),
        after(base.objects, changed),
        hashes,
        written=tuple(dict.fromkeys([*changed, *base.strays])),
        guard=(Modified(keys.head, base.head_revision),),
        barrier=Put(keys.head, as_json(base.head)),
    )


async def first(store: Store, keys: Keys, cluster: Cluster, signature: Signature) -> Attempt:
    """Return the first commit, which makes the routers' common secret too."""
    left = await leftovers(store, keys)
    if left and await store.get(keys.head) is None:
        raise UnsafeChange(
            f"{keys.head} is missing, but {len(left)} keys of an earlier configuration are there "
            f"(the first is {left[0]}): put the head back, or remove them with etcdctl"
        )
    secret = await store.get(keys.peer_key)
    made = Put(keys.peer_key, secrets.token_hex(32).encode() if secret is None else secret.value)
    wanted = document.objects(cluster)
    new = recorded(1, str(uuid4()), signature, NO_PARENT, _changed({}, wanted))
    hashes = object_hashes(wanted)
    return Attempt(
        new,
        head_of(new, _FIRST_GENERATION, hashes),
        wanted,
        hashes,
        written=tuple(wanted),
        guard=(Modified(keys.head, 0), Modified(keys.peer_key, secret.mod_revision if secret else 0)),
        barrier=made,
        besides=(made,),
    )


def in_place(keys: Keys, attempt: Attempt, record: bytes) -> tuple[Operation, ...]:
    """Return the transaction that changes the objects where they stand; `record` is what the history gets."""
    objects, generation = attempt.objects, attempt.head.generation
    gone = [Delete(keys.config_object(generation, name)) for name in attempt.written if name not in objects]
    there = puts(keys, attempt, generation, (name for name in attempt.written if name in objects))
    return (*there, *gone, *pointers(keys, attempt, attempt.head, record))


def puts(keys: Keys, attempt: Attempt, generation: int, names: Iterable[str]) -> tuple[Put, ...]:
    """Return what writes these objects into a generation."""
    return tuple(
        Put(keys.config_object(generation, name), json.dumps(attempt.objects[name], ensure_ascii=False).encode())
        for name in names
    )


def pointers(keys: Keys, attempt: Attempt, head: Head, record: bytes) -> tuple[Put, ...]:
    """Return what makes a commit of the objects: the record and the head."""
    return (*attempt.besides, Put(keys.history(head.number), record), Put(keys.head, as_json(head)))


def written_back(strays: Sequence[str]) -> str:
    """Return in a few words that the committed values of these objects are written back; "" where there are none."""
    rest = len(strays) - _MOST_TOLD
    return f"writes back {', '.join(strays[:_MOST_TOLD])}" + (f" and {rest} more" if rest > 0 else "") if strays else ""


def _message(message: str, changed: Mapping[str, ObjectChange], strays: Sequence[str]) -> str:
    """Return the message with what is written back; where nobody said why, what is changed has to stand there too."""
    if not strays:
        return message
    told = message or summary(changes_between(changed))
    return f"{told} ({written_back(strays)})" if told else written_back(strays)


def _changed(before: Mapping[str, Any], fresh: Mapping[str, Any], gone: Iterable[str] = ()) -> dict[str, ObjectChange]:
    """Return what is other. What is equal is not: it stays as it was written, so that its hash does (1 is not 1.0)."""
    changed = {}
    for name, value in fresh.items():
        old = before.get(name)
        if old != value:
            changed[name] = ObjectChange(before=old, after=value)
    return changed | {name: ObjectChange(before=before[name]) for name in gone}
