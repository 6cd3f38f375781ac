"""The configuration in etcd: read at one revision, changed by commits of one transaction each.

    read ──► head, objects of its generation        compare: head is still the one that was read
                 │                                   put:     changed objects, head, history record
                 └── edited by somebody ──► commit ──► delete:  removed objects

No reader ever sees half a commit. What stands under ``config/`` without a commit (somebody used etcdctl) is not
believed: the head's hash over all objects tells, and the history gives the committed values back.

A commit whose answer was lost is not repeated. A second transaction with the same conditions (the barrier) rewrites
one key with what it held: if it succeeds, the first was not done and never will be, however late it arrives; if not,
the history says whose commit it is that stands there.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

from pydantic import ValidationError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from clusterd import document
from clusterd.changes import Change, changes, summary
from clusterd.errors import ConfigError, ConflictError, Problem, StoreError, StoreUnavailable, Uncertain, UnsafeChange
from clusterd.history import (
    NO_PARENT,
    Head,
    ObjectChange,
    Record,
    Signature,
    as_json,
    head_of,
    objects_hash,
    recorded,
    replayed,
)
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.store.contract import Condition, Delete, Entry, Modified, Operation, Put, Snapshot, Store

PATIENCE_S = 15.0  # how long to ask what became of a commit whose answer was lost

_FIRST_GENERATION = 1
_T = TypeVar("_T", Head, Record)


@dataclass(frozen=True, slots=True)
class Committed:
    """What is committed, read at one revision of the store."""

    head: Head
    cluster: Cluster
    objects: Mapping[str, Any]  # by name (``virtuals/web``), as they were committed
    head_revision: int  # the head's mod revision: what the next commit is compared with
    revision: int  # of the snapshot: watch from the next one
    strays: tuple[str, ...] = ()  # objects whose value in etcd is not the committed one: somebody went past the commits

    @property
    def number(self) -> int:
        """The number of the last commit."""
        return self.head.number


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One commit, ready to be sent."""

    record: Record
    head: Head
    objects: Mapping[str, Any]
    conditions: tuple[Condition, ...]
    operations: tuple[Operation, ...]
    barrier: Put


async def read(store: Store, keys: Keys) -> Committed | None:
    """Return what is committed, None where nothing ever was.

    Raises ConfigError, with the key as the path, where a value cannot be read or is not what was committed and the
    history cannot give it back.
    """
    head = await store.get(keys.head)
    while head is not None:
        generation = _parsed(Head, head).generation
        snapshot = await store.snapshot(keys.head, keys.config(generation))
        head = next((entry for entry in snapshot.entries if entry.key == keys.head), None)
        if head is not None and _parsed(Head, head).generation == generation:
            return await _committed(store, keys, snapshot, head)
    return None


async def records(store: Store, keys: Keys) -> tuple[Record, ...]:
    """Return all records of the history, oldest first."""
    snapshot = await store.snapshot(keys.history_prefix)
    return tuple(_parsed(Record, entry) for entry in snapshot.entries)


async def record(store: Store, keys: Keys, number: int) -> Record | None:
    """Return one record, None where there is none."""
    entry = await store.get(keys.history(number))
    return None if entry is None else _parsed(Record, entry)


async def commit(
    store: Store,
    keys: Keys,
    base: Committed | None,
    cluster: Cluster,
    signature: Signature,
    patience_s: float = PATIENCE_S,
) -> Committed:
    """Commit a cluster on top of what was read, or as the first where that is None; return what is committed then.

    An unchanged cluster gives `base` back. Raises ConflictError when somebody else committed since `base` was read;
    StoreUnavailable when nothing was written; Uncertain when that could not be found out within `patience_s`.
    """
    if base is None:
        attempt = await _first(store, keys, cluster, signature)
    else:
        following = _next(keys, base, cluster, signature)
        if following is None:
            return base
        attempt = following
    try:
        outcome = await store.transact(attempt.conditions, attempt.operations)
        revision = outcome.revision if outcome.succeeded else None
    except Uncertain:
        revision = await _landed(store, keys, attempt, patience_s)
    if revision is None:
        raise ConflictError(await _meanwhile(store, keys, base))
    return Committed(attempt.head, cluster, attempt.objects, head_revision=revision, revision=revision)


async def _committed(store: Store, keys: Keys, snapshot: Snapshot, entry: Entry) -> Committed:
    head = _parsed(Head, entry)
    prefix = keys.config(head.generation)
    found = {e.key.removeprefix(prefix): _decoded(e.value) for e in snapshot.entries if e.key.startswith(prefix)}
    objects: Mapping[str, Any] = found
    if objects_hash(found) != head.config_hash:
        past = [one for one in await records(store, keys) if one.number <= head.number]
        objects = replayed(past)
        if objects_hash(objects) != head.config_hash:
            newer = [e.key for e in snapshot.entries if e.mod_revision > entry.mod_revision] or [prefix]
            what = f"is not what commit {head.number} left here, and the history does not give that back"
            raise ConfigError([Problem(0, key, what) for key in newer])
    strays = sorted(name for name in {*found, *objects} if found.get(name) != objects.get(name))
    try:
        cluster = document.from_objects(objects)
    except ConfigError as error:
        raise ConfigError([Problem(0, prefix + p.path, p.message) for p in error.problems]) from error
    return Committed(head, cluster, objects, entry.mod_revision, snapshot.revision, tuple(strays))


def _decoded(value: bytes) -> Any:
    """Return what a value says; where it is no JSON, something that no committed object is."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value.hex()


def _parsed(kind: type[_T], entry: Entry) -> _T:
    try:
        return kind.model_validate_json(entry.value)
    except ValidationError as error:
        wrong = [f"{'/'.join(map(str, d['loc']))}: {d['msg']}".removeprefix(": ") for d in error.errors()]
        what = f"not a {kind.__name__.lower()} that clusterd wrote: {'; '.join(wrong)}"
        raise ConfigError([Problem(0, entry.key, what)]) from error


def _next(keys: Keys, base: Committed, cluster: Cluster, signature: Signature) -> _Attempt | None:
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
    return _Attempt(
        new,
        head,
        wanted,
        conditions=(Modified(keys.head, base.head_revision),),
        operations=(*operations, *_pointers(keys, head, new)),
        barrier=Put(keys.head, as_json(base.head)),
    )


async def _first(store: Store, keys: Keys, cluster: Cluster, signature: Signature) -> _Attempt:
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
    return _Attempt(
        new,
        head,
        wanted,
        conditions=(Modified(keys.head, 0), Modified(keys.peer_key, secret.mod_revision if secret else 0)),
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


async def _landed(store: Store, keys: Keys, attempt: _Attempt, patience_s: float) -> int | None:
    """Find out what became of a commit whose answer was lost: its revision, or None where another took its place.

    Raises StoreUnavailable when it was not done and never will be, Uncertain when that cannot be found out.
    """
    number, stands = attempt.record.number, None
    try:
        async for trial in AsyncRetrying(
            retry=retry_if_exception_type((StoreUnavailable, Uncertain)),
            wait=wait_random_exponential(0.2, max=2),
            stop=stop_after_delay(patience_s),
            reraise=True,
        ):
            with trial:
                barred = await store.transact(attempt.conditions, [attempt.barrier])
                stands = None if barred.succeeded else await store.get(keys.history(number))
    except (StoreUnavailable, StoreError, Uncertain) as error:
        raise Uncertain(
            f"commit {number} was sent, and etcd did not say whether it was done ({error}). Do not repeat it: "
            f"when etcd answers again, `clusterd log` shows commit {number} with the id {attempt.record.id} if it was"
        ) from error
    if stands is None:
        raise StoreUnavailable("etcd lost the commit: nothing was committed, and it is safe to try again")
    return stands.mod_revision if _parsed(Record, stands).id == attempt.record.id else None


async def _meanwhile(store: Store, keys: Keys, base: Committed | None) -> str:
    """Return a sentence about who committed what since `base`."""
    first = base.number + 1 if base else 1
    head = await store.get(keys.head)
    last = _parsed(Head, head).number if head else 0
    found = [await record(store, keys, number) for number in range(max(first, last - 2), last + 1)]
    lines = [_told(one) for one in found if one is not None] or ["  the head was written anew"]
    return "\n".join(["somebody else was first, nothing of yours was written:", *lines, "read again and redo"])


def _told(one: Record) -> str:
    why = f" ({one.message})" if one.message else ""
    return f"  commit {one.number} by {one.author} at {one.time}{why}: {summary(changes_of(one))}"


def changes_of(one: Record) -> tuple[Change, ...]:
    """Return what a commit changed, for people."""
    before = {name: change.before for name, change in one.changes.items() if change.before is not None}
    after = {name: change.after for name, change in one.changes.items() if change.after is not None}
    return changes(before, after)
