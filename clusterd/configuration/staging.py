"""Commits too big for one transaction: written in pieces beside what is committed, then one transaction makes them so.

    claim ──► staging/<id>                     a mark: who writes pieces, upon which generation
    pieces ─► history/<number>/<id>/<part>     the record's changes
              config/<new generation>/…        every object, unless the changed ones alone fit in the last transaction
    flip ───► head, history/<number>           the one transaction that commits: readers follow the head
    tidy ───► the old generation and the mark go

A reader sees the old generation or the new one, never half of either: both snapshots that it takes are of one revision,
and where its generation is gone by then the head says which to read instead.

Who is killed before the flip leaves pieces and a mark that nobody reads. They may go when their editor can no longer
flip, and not before: it may only be slow. Every transaction of an editor, from the claim to the flip, has the same
guard: the head is still at the revision that was read. Revisions never return, so once the head has moved all of them
fail for ever, however late they arrive. Hence

- a mark *older* than the head (by mod revision) is of an editor that has flipped or never will: what belongs to it and
  is not what the head names is garbage. `tidy`, after every commit, removes it;
- a mark *newer* than the head was made under the head that still stands: its editor may be alive, so it is left alone.
  The next commit, whose ever, moves the head, and thereby makes it old.

`tidy` itself holds on to the head that it has read: somebody may put an older one back by hand meanwhile. And no two
editors ever write into one generation: its number is that of the generation before plus the revision of the claim,
which etcd gives away once. So a slow `tidy` cannot hit the pieces of a later editor either.
"""

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ValidationError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from clusterd.configuration.reading import parsed
from clusterd.errors import StoreUnavailable, Uncertain
from clusterd.history import Head, Outline
from clusterd.keys import Keys
from clusterd.store.contract import Condition, Delete, DeletePrefix, Entry, Modified, Operation, Put, Store

MOST_OPERATIONS = 4000  # of one transaction, nested (clusterd.store.transaction)
MOST_BYTES = 1_400_000  # of one transaction; etcd's default for --max-request-bytes is 1.5 MiB
_FRAME_BYTES = 32  # around one key and value in a request, at most


class Mark(BaseModel):
    """What a mark says: the commit's number, and the generation that it is made upon (0: the first commit)."""

    number: int
    upon: int


def fits(operations: Sequence[Operation]) -> bool:
    """Tell whether one transaction takes these operations."""
    return len(operations) <= MOST_OPERATIONS and sum(map(_size_bytes, operations)) <= MOST_BYTES


def _size_bytes(operation: Operation) -> int:
    if isinstance(operation, Put):
        return len(operation.key) + len(operation.value) + _FRAME_BYTES
    return len(operation.prefix if isinstance(operation, DeletePrefix) else operation.key) + _FRAME_BYTES


def pieces(operations: Sequence[Operation]) -> Iterator[list[Operation]]:
    """Yield the operations in as few transactions as their order allows."""
    piece: list[Operation] = []
    size_bytes = 0
    for operation in operations:
        more_bytes = _size_bytes(operation)
        if piece and (len(piece) == MOST_OPERATIONS or size_bytes + more_bytes > MOST_BYTES):
            yield piece
            piece, size_bytes = [], 0
        piece.append(operation)
        size_bytes += more_bytes
    yield piece


async def claim(
    store: Store, keys: Keys, commit_id: str, mark: Mark, guard: Sequence[Condition], patience_s: float
) -> int | None:
    """Mark that a commit is going to be written in pieces; return its generation, None where the guard failed."""
    key = keys.staging(commit_id)
    if not await write(store, guard, [Put(key, mark.model_dump_json().encode())], patience_s):
        return None
    entry = await store.get(key)
    return None if entry is None else _generation(entry, mark)


async def write(store: Store, guard: Sequence[Condition], operations: Sequence[Operation], patience_s: float) -> bool:
    """Write one piece; return false where the guard failed. Raises StoreUnavailable when it could not be written.

    A piece whose answer was lost is written again: twice is as good as once, and after the flip the guard fails.
    """
    try:
        async for trial in AsyncRetrying(
            retry=retry_if_exception_type(Uncertain),
            wait=wait_random_exponential(0.2, max=2),
            stop=stop_after_delay(patience_s),
            reraise=True,
        ):
            with trial:
                outcome = await store.transact(guard, operations)
    except Uncertain as error:
        raise StoreUnavailable(f"nothing was committed, and it is safe to try again: {error}") from error
    return outcome.succeeded


async def tidy(store: Store, keys: Keys) -> None:
    """Remove what commits in pieces left and nobody can need any more."""
    entries = (await store.snapshot(keys.head, keys.staging_prefix)).entries
    standing = next((entry for entry in entries if entry.key == keys.head), None)
    if standing is None:
        return
    generation = parsed(Head, standing).generation
    for entry in entries:
        mark = _mark(keys, entry)
        if mark and entry.mod_revision < standing.mod_revision:
            garbage = await _garbage(store, keys, entry, mark, generation)
            await store.transact([Modified(keys.head, standing.mod_revision)], garbage)


async def _garbage(store: Store, keys: Keys, entry: Entry, mark: Mark, generation: int) -> list[Operation]:
    """Return what removes a mark, and before it all that is there because of it and that the head does not name."""
    commit_id = entry.key.removeprefix(keys.staging_prefix)
    done = await store.get(keys.history(mark.number))
    operations: list[Operation] = [
        DeletePrefix(keys.config(one)) for one in (mark.upon, _generation(entry, mark)) if one not in (0, generation)
    ]
    if done is None or parsed(Outline, done).id != commit_id:
        operations.append(DeletePrefix(keys.history_parts(mark.number, commit_id)))
    return [*operations, Delete(entry.key)]


async def leftovers(store: Store, keys: Keys) -> list[str]:
    """Return the keys of configurations and commits that no first commit in pieces can have left."""
    entries = (await store.snapshot(keys.history_prefix, keys.config_prefix, keys.staging_prefix)).entries
    explained: list[str] = [keys.staging_prefix]
    for entry in entries:
        mark = _mark(keys, entry)
        if mark and mark.upon == 0:
            commit_id = entry.key.removeprefix(keys.staging_prefix)
            explained += [keys.config(_generation(entry, mark)), keys.history_parts(mark.number, commit_id)]
    return [entry.key for entry in entries if not entry.key.startswith(tuple(explained))]


def _mark(keys: Keys, entry: Entry) -> Mark | None:
    if not entry.key.startswith(keys.staging_prefix):
        return None
    try:
        return Mark.model_validate_json(entry.value)
    except ValidationError:
        return None


def _generation(entry: Entry, mark: Mark) -> int:
    return mark.upon + entry.create_revision
