"""The one writer of ``head``, ``config/`` and ``history/``."""

from collections.abc import Sequence
from typing import TypedDict, Unpack

from clusterd.configuration.attempts import first, following
from clusterd.configuration.outcomes import landed, refusal
from clusterd.configuration.reading import Committed
from clusterd.errors import Uncertain
from clusterd.history import Signature
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.store.contract import Condition, Operation, Store

PATIENCE_S = 15.0  # how long to ask what became of a commit whose answer was lost


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
    riders = tuple(extras.get("conditions", ()))
    operations = (*attempt.operations, *extras.get("operations", ()))
    try:
        outcome = await store.transact((*attempt.guard, *riders), operations)
        revision = outcome.revision if outcome.succeeded else None
    except Uncertain:
        revision = await landed(store, keys, attempt, extras.get("patience_s", PATIENCE_S))
    if revision is None:
        raise await refusal(store, keys, base, attempt, riders)
    return Committed(attempt.head, cluster, attempt.objects, head_revision=revision, revision=revision)
