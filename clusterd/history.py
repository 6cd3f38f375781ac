"""What a commit leaves behind: the head that routers follow, and a chain of records, each naming its parent's hash.

Every record carries what its objects were before and after, so the records alone rebuild any committed state. The
hash of a record covers all of it, the parent's hash too: who alters an old record has to alter every later one and
the head. Values are JSON that a person can read with etcdctl. Nothing here reads a clock or talks to etcd.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from clusterd.hashes import Hashes, canonical_hash
from clusterd.sharing import patched

Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")]
Number = Annotated[int, Field(ge=1, strict=True)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

NO_PARENT = ""


class _Stored(BaseModel):
    """A value kept in etcd. Fields that a later version adds are kept, so that they stay part of the hash."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Author(_Stored):
    """Who committed, and from where."""

    user: str
    host: str
    pid: int = 0
    sudo_user: str = ""  # who called sudo, where `user` is only whom they became
    certificate: str = ""  # the common name of the client certificate that etcd saw
    via: str = ""  # by way of which program, where that is another host's: "console on web1"

    def __str__(self) -> str:
        became = f" (as {self.user})" if self.sudo_user else ""
        shown = f" (certificate {self.certificate})" if self.certificate else ""
        way = f" ({self.via})" if self.via else ""
        return f"{self.sudo_user or self.user}@{self.host}{became}{shown}{way}"


class ObjectChange(_Stored):
    """One object before and after a commit; None where it did not exist."""

    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class Signature:
    """Who commits, when and why."""

    author: Author
    time: datetime
    message: str = ""


class Record(_Stored):
    """One commit, as it stays for ever. `hash` is over the canonical JSON of everything else."""

    number: Number
    id: str
    author: Author
    time: Time
    message: str
    parent: str  # the hash of the record before, NO_PARENT for the first
    changes: Mapping[str, ObjectChange]
    hash: Hash


class Outline(_Stored):
    """A record as it stands under its number. Unless `parts` is 0 its changes stand beside it, in so many values."""

    id: str
    parts: Annotated[int, Field(ge=0, strict=True)] = 0


class Head(_Stored):
    """The last commit: the one pointer that routers follow."""

    number: Number
    generation: Number
    id: str
    author: Author
    time: Time
    message: str
    hash: Hash  # of the commit's record
    config_hash: Hash  # of all objects of the generation: tells whether anybody altered or removed one by hand


def recorded(
    number: int, commit_id: str, signature: Signature, parent: str, changes: Mapping[str, ObjectChange]
) -> Record:
    """Return the record of a commit, with its hash."""
    unsealed = Record(
        number=number,
        id=commit_id,
        author=signature.author,
        time=utc(signature.time),
        message=signature.message,
        parent=parent,
        changes=dict(changes),
        hash="0" * 64,
    )
    unsealed = Record.model_validate(unsealed.model_dump())  # every field set, as it is when it is read again
    return unsealed.model_copy(update={"hash": digest(unsealed)})


def head_of(record: Record, generation: int, hashes: Hashes) -> Head:
    """Return the head after this commit, whose objects now have these hashes."""
    return Head(
        number=record.number,
        generation=generation,
        id=record.id,
        author=record.author,
        time=record.time,
        message=record.message,
        hash=record.hash,
        config_hash=hashes.whole,
    )


def utc(moment: datetime) -> str:
    """Return the moment as ISO 8601 in UTC with milliseconds, ``2026-11-02T10:00:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def as_json(value: Record | Head) -> bytes:
    """Return the value as etcd keeps it."""
    return json.dumps(value.model_dump(mode="json"), ensure_ascii=False).encode()


def in_parts(record: Record, most_bytes: int) -> tuple[bytes, tuple[bytes, ...]]:
    """Return a record as etcd keeps it when it is too big for one value: its outline, and its changes in parts.

    The parts joined are one JSON text. The hash stays that of the whole record.
    """
    data = record.model_dump(mode="json")
    changes = json.dumps(data.pop("changes"), ensure_ascii=False).encode()
    parts = tuple(changes[start : start + most_bytes] for start in range(0, len(changes), most_bytes))
    return json.dumps({**data, "parts": len(parts)}, ensure_ascii=False).encode(), parts


def from_parts(outline: bytes, parts: Iterable[bytes]) -> Record:
    """Return the record that was stored in parts. Raises ValueError where they do not make one."""
    data = json.loads(outline)
    del data["parts"]
    return Record.model_validate({**data, "changes": json.loads(b"".join(parts))})


def digest(record: Record) -> str:
    """Return the hash that the record should carry: over the fields it has, not those that a later version knows."""
    return canonical_hash(record.model_dump(mode="json", exclude={"hash"}, exclude_unset=True))


def object_hashes(objects: Mapping[str, Any]) -> Hashes:
    """Return the hash of each object of a configuration, by name."""
    return Hashes.of({name: canonical_hash(value) for name, value in objects.items()})


def changed_hashes(hashes: Hashes, changes: Mapping[str, ObjectChange]) -> Hashes:
    """Return the hashes after a commit with these changes."""
    after = {name: canonical_hash(value) for name, value in there(changes).items()}
    return hashes.after(after, changes.keys() - after.keys())


def changed_objects(objects: Mapping[str, Any], changes: Mapping[str, ObjectChange]) -> dict[str, Any]:
    """Return the objects after a commit with these changes."""
    after = there(changes)
    return patched(objects, after, changes.keys() - after.keys())


def there(changes: Mapping[str, ObjectChange]) -> dict[str, Any]:
    """Return the objects that are there after a commit, of those that it changed."""
    return {name: change.after for name, change in changes.items() if change.after is not None}


def replayed(records: Iterable[Record]) -> dict[str, Any]:
    """Return the objects after these commits, done in the order of their numbers upon nothing."""
    objects: dict[str, Any] = {}
    for record in sorted(records, key=lambda record: record.number):
        objects = changed_objects(objects, record.changes)
    return objects


def broken_links(records: Sequence[Record], head: Head) -> tuple[str, ...]:
    """Return what is wrong with the chain from the first record to the head; nothing when it is whole.

    Each finding names the record that was altered or is missing.
    """
    findings: list[str] = []
    ordered = sorted(records, key=lambda record: record.number)
    before: Record | None = None
    for record in ordered:
        previous = before.number if before else 0
        whole = record.hash == digest(record)
        if record.number == previous:
            findings.append(f"record {previous} stands twice")
        elif record.number > previous + 1:
            findings.append(_missing(previous + 1, record.number - 1))
        elif whole and record.parent != (before.hash if before else NO_PARENT):
            findings.append(
                f"record {previous or record.number} was altered: record {record.number} does not follow it"
            )
        if not whole:
            findings.append(f"record {record.number} was altered: its hash is not that of its content")
        before = record
    last = before.number if before else 0
    if last < head.number:
        findings.append(_missing(last + 1, head.number))
    elif last > head.number:
        findings.append(f"record {last} is newer than the head, which is commit {head.number}")
    elif before and before.hash != head.hash:
        findings.append(f"record {last} or the head was altered: the head's hash is not the record's")
    return tuple(findings)


def _missing(first: int, last: int) -> str:
    return f"record {first} is missing" if first == last else f"records {first} to {last} are missing"
