"""What is committed, read at one revision, and believed only where the head's hash says so."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from pydantic import ValidationError

from clusterd import document
from clusterd.changes import Change, changes
from clusterd.collecting import collecting_seldom
from clusterd.configuration.objects import Objects, after, decoded, packed
from clusterd.errors import ConfigError, Problem
from clusterd.hashes import Hashes, canonical_hash
from clusterd.history import (
    Head,
    ObjectChange,
    Outline,
    Record,
    changed_hashes,
    from_parts,
    object_hashes,
    replayed,
    there,
)
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.store.contract import Entry, Snapshot, Store

FEW = 100  # objects that are looked at between two events
_T = TypeVar("_T", Head, Outline, Record)


@dataclass(frozen=True, slots=True)
class _Held:
    """Objects with their hashes."""

    objects: Mapping[str, Any]
    hashes: Hashes


@dataclass(frozen=True, slots=True)
class Committed:
    """What is committed, read at one revision of the store."""

    head: Head
    cluster: Cluster = field(repr=False)
    objects: Mapping[str, Any] = field(repr=False)  # by name (``virtuals/web``), as they were committed
    hashes: Hashes = field(repr=False)  # of the objects, by name
    head_revision: int  # the head's mod revision: what the next commit is compared with
    revision: int  # of the snapshot: watch from the next one
    strays: tuple[str, ...] = ()  # objects whose value in etcd is not the committed one: somebody went past the commits
    whole: bool = field(default=False, compare=False)  # whether all objects were read, and strays looked for

    @property
    def number(self) -> int:
        """The number of the last commit."""
        return self.head.number


async def read(store: Store, keys: Keys, known: Committed | None = None, *, compact: bool = False) -> Committed | None:
    """Return what is committed, None where nothing ever was.

    `known` is what was read before: what has not changed since is taken from it, which saves most of the work.
    `compact` keeps the objects in little memory, for who keeps them long and seldom looks at them.
    Raises ConfigError, with the key as the path, where a value cannot be read or is not what was committed and the
    history cannot give it back.
    """
    if known is not None and (revision := await _untouched(store, keys, known)):
        return replace(known, revision=revision)
    head = await store.get(keys.head)
    while head is not None:
        generation = parsed(Head, head).generation
        snapshot = await store.snapshot(keys.head, keys.config(generation))
        head = next((entry for entry in snapshot.entries if entry.key == keys.head), None)
        if head is not None and parsed(Head, head).generation == generation:
            return await _committed(store, keys, snapshot, head, known, compact)
    return None


async def read_on(store: Store, keys: Keys, known: Committed | None, *, compact: bool = False) -> Committed | None:
    """Return what is committed, as `read` does, but without reading what the one commit since `known` left alone.

    The record of that commit says what it changed, and the head's hash whether that is all. Where they do not fit
    together, or there were more commits, everything is read; so it is where the record is in parts, since all objects
    take less memory than what so many were before and after. What was written past the commits meanwhile is not seen.
    """
    with suppress(ConfigError):  # reading everything tells what is wrong, or gets along without what is
        following = await _following(store, keys, known) if known else None
        if following is not None:
            return following
    return await read(store, keys, known, compact=compact)


async def _following(store: Store, keys: Keys, known: Committed) -> Committed | None:
    """Return the commit after `known` if it is the last one and leads to what the head says, else None."""
    entry, written = await asyncio.gather(store.get(keys.head), store.get(keys.history(known.number + 1)))
    if entry is None or written is None or known.strays:
        return None
    if parsed(Outline, written).parts:
        return None
    record = parsed(Record, written)
    if len(record.changes) <= FEW:
        return _led_to(keys, known, entry, record)
    return await asyncio.to_thread(_led_to, keys, known, entry, record)  # a lease may not wait for a big one


def _led_to(keys: Keys, known: Committed, entry: Entry, record: Record) -> Committed | None:
    """Return what is committed after this record, None where it and the head do not fit what is known."""
    head = parsed(Head, entry)
    hashes = changed_hashes(known.hashes, record.changes)
    if (head.hash, head.config_hash, known.head.hash) != (record.hash, hashes.whole, record.parent):
        return None
    objects = after(known.objects, record.changes)
    cluster = _read_cluster(keys, head, _Held(objects, hashes), known, record.changes.keys())
    return Committed(head, cluster, objects, hashes, entry.mod_revision, entry.mod_revision)


async def records(store: Store, keys: Keys) -> tuple[Record, ...]:
    """Return all records of the history, oldest first. ConfigError names the key of one that cannot be read."""
    entries = (await store.snapshot(keys.history_prefix)).entries
    parts: dict[str, list[Entry]] = {}
    for entry in entries:
        parts.setdefault(entry.key.rpartition("/")[0] + "/", []).append(entry)
    plain = parts.pop(keys.history_prefix, [])
    return tuple(_joined(entry, parts.get(_beside(entry), [])) for entry in plain)


async def record(store: Store, keys: Keys, number: int) -> Record | None:
    """Return one record, None where there is none; ConfigError names its key where it cannot be read."""
    entry = await store.get(keys.history(number))
    return None if entry is None else await _whole(store, entry)


async def _whole(store: Store, entry: Entry) -> Record:
    """Return a record with what stands beside it."""
    beside = _beside(entry)
    return _joined(entry, (await store.snapshot(beside)).entries if beside else ())


def _beside(entry: Entry) -> str:
    """Return the prefix of a record's parts, "" where the record is one value."""
    outline = parsed(Outline, entry)
    return f"{entry.key}/{outline.id}/" if outline.parts else ""


def _joined(entry: Entry, parts: Sequence[Entry]) -> Record:
    outline = parsed(Outline, entry)
    if not outline.parts:
        return parsed(Record, entry)
    if len(parts) != outline.parts:
        what = f"{len(parts)} of the record's {outline.parts} parts are there"
        raise ConfigError([Problem(0, entry.key, what)])
    try:
        return from_parts(entry.value, (part.value for part in parts))
    except ValueError as error:
        raise ConfigError(
            [Problem(0, entry.key, f"its parts are not a record that clusterd wrote: {error}")]
        ) from error


async def _committed(
    store: Store, keys: Keys, snapshot: Snapshot, entry: Entry, known: Committed | None, compact: bool
) -> Committed:
    head = parsed(Head, entry)
    prefix = keys.config(head.generation)
    entries = [entry for entry in snapshot.entries if entry.key.startswith(prefix)]
    held = found = await asyncio.to_thread(_found, prefix, entries, compact)
    if found.hashes.whole != head.config_hash:
        past = [one for one in await records(store, keys) if one.number <= head.number]
        there = replayed(past)
        held = _Held(Objects.of(there) if compact else there, object_hashes(there))
        if held.hashes.whole != head.config_hash:
            newer = [e.key for e in snapshot.entries if e.mod_revision > entry.mod_revision] or [prefix]
            what = f"is not what commit {head.number} left here, and the history does not give that back"
            raise ConfigError([Problem(0, key, what) for key in newer])
    strays = tuple(sorted(found.hashes.others(held.hashes)))
    names = known.hashes.others(held.hashes) if known else set[str]()
    # In a thread: a lease may not wait for a big one.
    cluster = await asyncio.to_thread(_read_cluster, keys, head, held, known, names)
    return Committed(
        head, cluster, held.objects, held.hashes, entry.mod_revision, snapshot.revision, strays, whole=True
    )


def _found(prefix: str, entries: Iterable[Entry], compact: bool) -> _Held:
    """Return the objects that stand below a prefix, of which there may be many."""
    if not compact:
        plain = {entry.key.removeprefix(prefix): decoded(entry.value) for entry in entries}
        return _Held(plain, object_hashes(plain))
    values, hashes = dict[str, bytes](), dict[str, str]()
    for entry in entries:
        name = entry.key.removeprefix(prefix)
        values[name] = packed(entry.value)
        hashes[name] = canonical_hash(decoded(entry.value))
    return _Held(Objects(values), Hashes.of(hashes))


async def _untouched(store: Store, keys: Keys, known: Committed) -> int:
    """Return a revision at which everything was as the known commit left it, 0 where something is not.

    What is written later has a later revision than the head, and what was removed is missed by counting: so nobody has
    to read thousands of values that stayed as they were. A head that is the same afterwards was the same then.
    """
    if not known.whole or known.strays:
        return 0
    since = await store.since(keys.config(known.head.generation), known.head_revision)
    head = await store.get(keys.head)
    alike = head is not None and head.mod_revision == known.head_revision and parsed(Head, head) == known.head
    return since.revision if alike and since.count == len(known.objects) and not since.entries else 0


def _read_cluster(keys: Keys, head: Head, held: _Held, known: Committed | None, names: AbstractSet[str]) -> Cluster:
    """Return the cluster; ConfigError, with keys as paths, where the objects make none."""
    try:
        with collecting_seldom():
            return _cluster(held, known, names)
    except ConfigError as error:
        prefix = keys.config(head.generation)
        raise ConfigError([Problem(0, prefix + p.path, p.message) for p in error.problems]) from error


def _cluster(held: _Held, known: Committed | None, names: AbstractSet[str]) -> Cluster:
    """Return the cluster of the objects, made of the one that is known already but for the objects of these names."""
    if known is not None:
        if not names:
            return known.cluster
        fresh = {name: held.objects[name] for name in names if name in held.objects}
        cluster = document.changed(known.cluster, fresh, names - fresh.keys())
        if cluster is not None:
            return cluster
    return document.from_objects(held.objects)


def parsed(kind: type[_T], entry: Entry) -> _T:
    """Return the head or the record that a key holds; ConfigError, with the key as the path, where it holds none."""
    try:
        return kind.model_validate_json(entry.value)
    except ValidationError as error:
        wrong = [f"{'/'.join(map(str, d['loc']))}: {d['msg']}".removeprefix(": ") for d in error.errors()]
        name = "head" if kind is Head else "record"
        what = f"not a {name} that clusterd wrote: {'; '.join(wrong)}"
        raise ConfigError([Problem(0, entry.key, what)]) from error


def changes_of(one: Record) -> tuple[Change, ...]:
    """Return what a commit changed, for people."""
    return changes_between(one.changes)


def changes_between(changed: Mapping[str, ObjectChange]) -> tuple[Change, ...]:
    """Return what changed in objects by their names, for people."""
    before = {name: change.before for name, change in changed.items() if change.before is not None}
    return changes(before, there(changed))
