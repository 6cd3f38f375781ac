"""What was before, from the records alone."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd.document import from_data, objects
from clusterd.errors import ConfigError
from clusterd.history import (
    NO_PARENT,
    Author,
    ObjectChange,
    Record,
    Signature,
    digest,
    head_of,
    object_hashes,
    recorded,
    replayed,
)
from clusterd.model import Cluster
from clusterd.past import blamed, rewound
from tests.clusterd.examples import clusters, manual

WHEN = Signature(Author(user="alice", host="r1"), datetime(2026, 11, 2, tzinfo=UTC), "why")


def history(*states: Cluster | dict[str, Any]) -> list[Record]:
    """Return the records of commits that lead from nothing through these states."""
    records: list[Record] = []
    before: dict[str, Any] = {}
    for number, state in enumerate(states, 1):
        after = objects(state) if isinstance(state, Cluster) else state
        changed = {
            name: ObjectChange(before=before.get(name), after=after.get(name))
            for name in {**before, **after}
            if before.get(name) != after.get(name)
        }
        parent = records[-1].hash if records else NO_PARENT
        records.append(recorded(number, f"id{number}", WHEN, parent, changed))
        before = after
    return records


def edited(cluster: Cluster, path: str, value: Any) -> Cluster:
    data = cluster.model_dump(mode="json", by_alias=True)
    *around, last = path.split("/")
    here = data
    for step in around:
        here = here[step]
    if value is None:
        del here[last]
    else:
        here[last] = value
    return from_data(data)


def blame(records: list[Record], path: str) -> dict[str, tuple[Any, int]]:
    return {origin.path: (origin.value, origin.record.number) for origin in blamed(records, path)}


@given(st.lists(clusters(), min_size=1, max_size=5))
@settings(max_examples=30)
def test_every_earlier_state_comes_back_from_the_records_after_it(states: list[Cluster]) -> None:
    records = history(*states)
    now = replayed(records)
    head = head_of(records[-1], 1, object_hashes(now))
    for number, state in enumerate(states, 1):
        assert rewound(now, records[number:], head, number) == objects(state)
    assert rewound(now, records, head, 0) == {}


def test_without_a_whole_chain_nothing_is_made_up() -> None:
    web = manual()
    records = history(web, edited(web, "virtuals/web/port", 81), edited(web, "virtuals/web/port", 82))
    now = replayed(records)
    head = head_of(records[-1], 1, object_hashes(now))
    with pytest.raises(ConfigError, match="the record of commit 2 is missing"):
        rewound(now, [records[0], records[2]], head, 1)
    altered = records[1].model_copy(update={"message": "it was not me"})
    resealed = altered.model_copy(update={"hash": digest(altered)})
    for forged in (altered, resealed):
        with pytest.raises(ConfigError, match="the record of commit 2 was altered"):
            rewound(now, [forged, records[2]], head, 1)
        assert rewound(now, [forged, records[2]], head, 2)["virtuals/web"]["port"] == 81


def test_each_field_has_the_commit_that_changed_it_last() -> None:
    first = manual()
    second = edited(first, "virtuals/web/servers/rs1/weight", 5)
    third = edited(second, "virtuals/web/scheduler", "rr")
    records = history(first, second, third, edited(third, "virtuals/web/scheduler", "wlc"))
    found = blame(records, "virtuals/web")
    assert found["virtuals/web/port"] == (80, 1)
    assert found["virtuals/web/check/type"] == ("http", 1)
    assert found["virtuals/web/servers/rs1/weight"] == (5, 2)
    assert found["virtuals/web/servers/rs1/address"] == ("192.168.1.1", 1)
    assert found["virtuals/web/scheduler"] == ("wlc", 4)
    assert "virtuals/web/quiesce" not in found
    assert blame(records, "virtuals/web/servers/rs1/weight") == {"virtuals/web/servers/rs1/weight": (5, 2)}
    assert set(blame(records, "")) > set(found)


def test_what_was_left_at_its_default_came_with_what_is_around_it() -> None:
    records = history(manual(), edited(manual(), "virtuals/web/servers/rs4", {"address": "192.168.1.4"}))
    assert blame(records, "virtuals/web/servers/rs4/weight")["virtuals/web/servers/rs4"][1] == 2
    assert blame(records, "virtuals/web/servers/rs1/drain")["virtuals/web/servers/rs1"][1] == 1
    assert blame(records, "cluster/on_store_loss") == {}
    assert blame(records, "virtuals/wbe") == {}


def test_what_is_gone_has_the_commit_that_took_it_away_until_it_comes_back() -> None:
    without = edited(manual(), "virtuals/web/servers/rs3", None)
    records = history(manual(), without)
    rs3 = "virtuals/web/servers/rs3"
    assert blame(records, rs3) == {rs3: (None, 2)}
    assert blame(records, f"{rs3}/address") == {rs3: (None, 2)}
    assert rs3 not in blame(records, "virtuals/web")
    again = history(manual(), without, manual())
    assert blame(again, rs3) == {f"{rs3}/address": ("192.168.1.3", 3)}
    gone = history(manual(), from_data({}))
    assert blame(gone, "virtuals/web/servers/rs1/weight") == {"virtuals/web": (None, 2)}


def test_something_optional_that_is_all_default_has_its_commit() -> None:
    records = history(manual(), edited(manual(), "virtuals/web/persistence", {}))
    assert blame(records, "virtuals/web/persistence") == {"virtuals/web/persistence": ({}, 2)}
