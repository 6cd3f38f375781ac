"""The one writer of ``head``, ``config/`` and ``history/``."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TypedDict, Unpack

from clusterd.configuration.attempts import Attempt, first, following, in_place, pointers, puts
from clusterd.configuration.outcomes import landed, refusal
from clusterd.configuration.reading import Committed
from clusterd.configuration.staging import MOST_BYTES, Mark, claim, fits, pieces, tidy, write
from clusterd.errors import ClusterdError, Uncertain
from clusterd.history import Head, Signature, as_json, in_parts
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.store.contract import Condition, Operation, Put, Store

PATIENCE_S = 15.0  # how long to ask what became of a write whose answer was lost
_PART_BYTES = MOST_BYTES // 2


class Extras(TypedDict, total=False):
    """What a commit may be told besides.

    `conditions` and `operations` ride along in the commit's own transaction: it is done only where those hold, and
    they are done only with it. They name other keys than a commit does.
    """

    conditions: Sequence[Condition]
    operations: Sequence[Operation]
    patience_s: float


async def commit(
    store: Store,
    keys: Keys,
    base: Committed | None,
    cluster: Cluster,
    signature: Signature,
    **extras: Unpack[Extras],
) -> Committed:
    """Commit a cluster on top of what was read, or as the first where that is None; return what is committed then.

    An unchanged cluster gives `base` back, and nothing rides along. Raises ConflictError when somebody else committed
    since `base` was read; UnsafeChange when nobody did and a condition that rode along did not hold;
    StoreUnavailable when nothing was written; Uncertain when that could not be found out within `patience_s`.
    """
    if base is None:
        attempt = await first(store, keys, cluster, signature)
    else:
        changing = following(keys, base, cluster, signature)
        if changing is None:
            return base
        attempt = changing
    ready = await _prepared(store, keys, base, attempt, extras)
    revision = await _sent(store, keys, attempt, ready[1], extras) if ready else None
    with suppress(ClusterdError):  # done or refused: what cannot be tidied up now, a later commit does
        await tidy(store, keys)
    if ready is None or revision is None:
        raise await refusal(store, keys, base, attempt, extras.get("conditions", ()))
    return Committed(ready[0], cluster, attempt.objects, attempt.hashes, head_revision=revision, revision=revision)


_Ready = tuple[Head, tuple[Operation, ...]]  # the head that will be, and the transaction that makes it so


async def _prepared(
    store: Store, keys: Keys, base: Committed | None, attempt: Attempt, extras: Extras
) -> _Ready | None:
    """Write what the commit's transaction cannot hold in pieces; None where somebody else commits meanwhile."""
    riding = tuple(extras.get("operations", ()))
    operations = (*in_place(keys, attempt, as_json(attempt.record)), *riding)
    if fits(operations):
        return attempt.head, operations
    patience_s = extras.get("patience_s", PATIENCE_S)
    number, commit_id = attempt.record.number, attempt.record.id
    mark = Mark(number=number, upon=base.head.generation if base else 0)
    generation = await claim(store, keys, commit_id, mark, attempt.guard, patience_s)
    if generation is None:
        return None
    head, (outline, parts) = attempt.head, in_parts(attempt.record, _PART_BYTES)
    beside = [Put(keys.history_part(number, commit_id, part), value) for part, value in enumerate(parts)]
    operations = (*in_place(keys, attempt, outline), *riding)
    if not fits(operations):
        head = head.model_copy(update={"generation": generation})
        beside += puts(keys, attempt, generation, attempt.objects)
        operations = (*pointers(keys, attempt, head, outline), *riding)
    for piece in pieces(beside):
        if not await write(store, attempt.guard, piece, patience_s):
            return None
    return head, operations


async def _sent(
    store: Store, keys: Keys, attempt: Attempt, operations: Sequence[Operation], extras: Extras
) -> int | None:
    """Send the commit's transaction; return its revision, None where it was refused."""
    conditions = (*attempt.guard, *extras.get("conditions", ()))
    try:
        outcome = await store.transact(conditions, operations)
    except Uncertain:
        return await landed(store, keys, attempt, extras.get("patience_s", PATIENCE_S))
    return outcome.revision if outcome.succeeded else None
