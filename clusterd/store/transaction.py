"""The rules for one transaction that hold before anything is sent, the same for every store.

etcd counts operations per nesting level: a level may have as many as `LEVEL_LIMIT` conditions, and as many operations,
and what is nested inside may have as many as are left over (etcd, server/etcdserver/api/v3rpc/key.go, checkTxnRequest).
So 64 nested transactions of 64 operations each, 4,096 in all, pass a server with default flags, at one revision.
"""

from collections.abc import Sequence

from clusterd.errors import StoreError
from clusterd.store.contract import Condition, DeletePrefix, Operation, Put

LEVEL_LIMIT = 128  # etcd's default for --max-txn-ops


def check_keys(operations: Sequence[Operation]) -> None:
    """Raise ValueError where a key is empty, or would be written or deleted twice."""
    keys = [operation.key for operation in operations if not isinstance(operation, DeletePrefix)]
    prefixes = [operation.prefix for operation in operations if isinstance(operation, DeletePrefix)]
    if not all(keys) or not all(prefixes):
        raise ValueError("a transaction names an empty key")
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"a transaction names {key!r} twice")
        seen.add(key)
    for number, prefix in enumerate(prefixes):
        for key in (*keys, *prefixes[:number], *prefixes[number + 1 :]):
            if key.startswith(prefix):
                raise ValueError(f"a transaction names {key!r} and deletes everything below {prefix!r}")


def group_size(conditions: int, operations: int) -> int:
    """Return how many operations to put in each nested transaction; 0 when none need to be nested.

    Raises StoreError where so many cannot be done at one revision.
    """
    if max(conditions, operations) <= LEVEL_LIMIT:
        return 0
    for groups in range(1, LEVEL_LIMIT):
        room = LEVEL_LIMIT - max(conditions, groups)
        if room > 0 and groups * room >= operations:
            return -(-operations // groups)
    raise StoreError(
        f"etcd does not take {conditions} conditions and {operations} operations in one transaction "
        f"(about {LEVEL_LIMIT * LEVEL_LIMIT // 4} operations at most): split the change"
    )


def groups(conditions: Sequence[Condition], operations: Sequence[Operation]) -> tuple[tuple[Operation, ...], ...]:
    """Return the operations in the groups to nest them in; one group alone needs no nesting.

    Raises ValueError for keys named twice or empty, StoreError for too many operations.
    """
    check_keys(operations)
    size = group_size(len(conditions), len(operations))
    if not size:
        return (tuple(operations),)
    return tuple(tuple(operations[start : start + size]) for start in range(0, len(operations), size))


def size_bytes(operations: Sequence[Operation]) -> int:
    """Return the bytes of all keys and values, which is nearly what a request takes on the wire."""
    return sum(
        len(operation.key.encode()) + len(operation.value) if isinstance(operation, Put) else 0
        for operation in operations
    )


def disjoint(prefixes: Sequence[str]) -> tuple[str, ...]:
    """Return the prefixes sorted, without those that others cover; ValueError where there is none."""
    if not prefixes:
        raise ValueError("a snapshot needs a prefix")
    kept: list[str] = []
    for prefix in sorted(prefixes):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return tuple(kept)
