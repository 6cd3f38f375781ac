"""The pure parts of the store: how transactions are nested, and how answers of a watch become batches."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.errors import StoreError
from clusterd.store._etcd3 import rpc
from clusterd.store.contract import Batch, Created, Put
from clusterd.store.encoding import Feed, span, transaction
from clusterd.store.transaction import LEVEL_LIMIT, disjoint, group_size


def operations_limit_kept(request: object, limit: int) -> bool:
    """Return whether etcd would take a TxnRequest: checkTxnRequest of its server, in other words."""
    count = max(len(request.compare), len(request.success))  # type: ignore[attr-defined]  # messages have no static type
    nested = [each.request_txn for each in request.success if each.HasField("request_txn")]  # type: ignore[attr-defined]  # the same
    return count <= limit and all(operations_limit_kept(each, limit - count) for each in nested)


@given(st.integers(0, 140), st.integers(0, 4200))
def test_every_transaction_that_is_made_keeps_the_limit_of_etcd_and_the_order(conditions: int, operations: int) -> None:
    guards = [Created("guard", 0)] * conditions
    puts = [Put(str(number), b"") for number in range(operations)]
    try:
        request = transaction(guards, puts)
    except StoreError:
        assert operations > 4096 or conditions > 64
        return
    assert operations_limit_kept(request, LEVEL_LIMIT)
    flat = [each for each in request.success if each.HasField("request_put")]
    parts = flat or [each for nested in request.success for each in nested.request_txn.success]
    assert [each.request_put.key.decode() for each in parts] == [put.key for put in puts]
    assert bool(flat) == (0 < operations <= LEVEL_LIMIT)


def test_with_few_conditions_4096_operations_fit_and_not_one_more() -> None:
    assert group_size(1, 4096) == 64
    with pytest.raises(StoreError):
        group_size(1, 4097)


@given(st.lists(st.text("ab/", max_size=4), min_size=1))
def test_disjoint_prefixes_cover_the_same_keys_each_once(prefixes: list[str]) -> None:
    kept = disjoint(prefixes)
    assert all(prefix.startswith(kept) for prefix in prefixes)
    assert not any(later.startswith(earlier) for earlier, later in pairwise(kept))
    assert kept == tuple(sorted(set(kept)))


@given(st.text(min_size=1), st.text())
def test_a_span_holds_exactly_the_keys_below_its_prefix(prefix: str, key: str) -> None:
    bounds = span(prefix)
    assert (bounds["key"] <= key.encode() < bounds["range_end"]) == key.startswith(prefix)


def answer(*revisions: int, fragment: bool = False) -> object:
    events = (
        [rpc.Event(kv=rpc.KeyValue(key=b"a", mod_revision=revision)) for revision in revisions] if revisions else []
    )
    return rpc.WatchResponse(events=events, fragment=fragment, header=rpc.ResponseHeader(revision=1000))


def sizes(batches: tuple[Batch, ...]) -> list[tuple[int, int]]:
    return [(batch.revision, len(batch.changes)) for batch in batches]


def test_an_answer_with_several_revisions_becomes_several_batches() -> None:
    assert sizes(Feed(5).take(answer(5, 5, 7, 8, 8, 8))) == [(5, 2), (7, 1), (8, 3)]


def test_events_that_come_again_are_dropped() -> None:
    feed = Feed(5)
    assert sizes(feed.take(answer(4, 5, 6))) == [(5, 1), (6, 1)]
    assert sizes(feed.take(answer(5, 6, 7))) == [(7, 1)]
    assert sizes(feed.take(answer(7))) == []


def test_an_answer_about_progress_does_not_move_the_watch() -> None:
    feed = Feed(5)
    assert feed.take(answer()) == ()
    assert feed.next_revision == 5
    assert sizes(feed.take(answer(5))) == [(5, 1)]


def test_a_revision_in_fragments_is_one_batch() -> None:
    feed = Feed(5)
    assert feed.take(answer(5, 6, fragment=True)) == ()
    assert feed.take(answer(6, fragment=True)) == ()
    assert sizes(feed.take(answer(6, 7))) == [(5, 1), (6, 3), (7, 1)]


def test_fragments_of_a_stream_that_is_lost_are_forgotten() -> None:
    feed = Feed(5)
    feed.take(answer(5, 6, fragment=True))
    assert feed.restart() == 5
    assert sizes(feed.take(answer(5, 6, 6))) == [(5, 1), (6, 2)]
