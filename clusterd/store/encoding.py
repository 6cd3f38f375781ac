"""Between the values of the contract and etcd's messages.

Keys are UTF-8. Where somebody wrote a key that is not, its odd bytes become lone surrogates, and bytes again on the way
back: one such key must not make the others unreadable. A prefix is text, so it never ends in the byte 0xff.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from clusterd.store._etcd3 import rpc
from clusterd.store.contract import Batch, Condition, Created, Delete, Deleted, Entry, Operation, Put
from clusterd.store.transaction import groups

_DELETE_EVENT = 1  # mvccpb.Event.EventType.DELETE


def raw(key: str) -> bytes:
    """Return a key as etcd has it."""
    return key.encode(errors="surrogateescape")


def text(key: bytes) -> str:
    """Return a key as it is spelled here."""
    return key.decode(errors="surrogateescape")


def span(prefix: str) -> dict[str, bytes]:
    """Return `key` and `range_end` of everything below a prefix; "" stands for all keys (etcd API, key ranges)."""
    first = prefix.encode()
    if not first:
        return {"key": b"\0", "range_end": b"\0"}
    return {"key": first, "range_end": first[:-1] + bytes([first[-1] + 1])}


def entry(kv: Any) -> Entry:
    """Return a KeyValue message as an entry."""
    return Entry(text(kv.key), kv.value, kv.create_revision, kv.mod_revision, kv.lease)


def _compare(condition: Condition) -> Any:
    key = raw(condition.key)
    equal = rpc.Compare.EQUAL
    if isinstance(condition, Created):
        return rpc.Compare(key=key, result=equal, target=rpc.Compare.CREATE, create_revision=condition.revision)
    return rpc.Compare(key=key, result=equal, target=rpc.Compare.MOD, mod_revision=condition.revision)


def _request(operation: Operation) -> Any:
    if isinstance(operation, Put):
        put = rpc.PutRequest(key=raw(operation.key), value=operation.value, lease=operation.lease_id)
        return rpc.RequestOp(request_put=put)
    where = {"key": raw(operation.key)} if isinstance(operation, Delete) else span(operation.prefix)
    return rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(**where))


def transaction(conditions: Sequence[Condition], operations: Sequence[Operation]) -> Any:
    """Return a TxnRequest, nested where one level does not hold it. Raises what `transaction.groups` raises."""
    parts = [[_request(operation) for operation in group] for group in groups(conditions, operations)]
    if len(parts) == 1:
        success = parts[0]
    else:
        success = [rpc.RequestOp(request_txn=rpc.TxnRequest(success=part)) for part in parts]
    return rpc.TxnRequest(compare=[_compare(condition) for condition in conditions], success=success)


def _change(event: Any) -> Entry | Deleted:
    if event.type == _DELETE_EVENT:
        return Deleted(text(event.kv.key), event.kv.mod_revision)
    return entry(event.kv)


class Feed:
    """Makes batches out of the answers of watch streams, across any number of streams.

    etcd may send several revisions in one answer, may split an answer in fragments when asked to, and old servers
    (before 3.4.24 and 3.5.8) repeat events after a reconnect. An answer without events says nothing about which events
    have been sent: those servers give a revision there that is ahead of the stream.
    """

    def __init__(self, start_revision: int) -> None:
        self.next_revision = start_revision
        self._fragments: list[Any] = []

    def restart(self) -> int:
        """Forget the fragments of a stream that is lost, and return the revision to go on from."""
        self._fragments = []
        return self.next_revision

    def take(self, response: Any) -> tuple[Batch, ...]:
        """Return the batches that an answer completes, in order."""
        self._fragments += [event for event in response.events if event.kv.mod_revision >= self.next_revision]
        if response.fragment:
            return ()
        events, self._fragments = self._fragments, []
        batches = tuple(
            Batch(revision, tuple(_change(event) for event in group))
            for revision, group in groupby(events, key=lambda event: int(event.kv.mod_revision))
        )
        if batches:
            self.next_revision = batches[-1].revision + 1
        return batches
