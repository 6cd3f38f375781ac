"""Two edits of one document at the same time."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.merge import GONE, Conflict, Merged, caught_up, changed, merge
from clusterd.model import Cluster
from tests import strategies

Data = dict[str, Any]
VALUES = st.integers(0, 3) | st.lists(st.integers(0, 1), max_size=2) | st.none()
TREES: st.SearchStrategy[Any] = st.recursive(
    VALUES, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
)
DOCUMENTS = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)


def complete(cluster: Cluster) -> Data:
    return cluster.model_dump(mode="json", by_alias=True)


def merged(base: Data, mine: Data, theirs: Data) -> Data:
    """Return what comes of edits that do not contradict each other."""
    found = merge(base, mine, theirs)
    assert found.conflicts == ()
    return found.data


def conflicts(base: Data, mine: Data, theirs: Data) -> list[tuple[str, Any, Any, Any]]:
    found = merge(base, mine, theirs).conflicts
    return [("/".join(each.path), each.base, each.mine, each.theirs) for each in found]


def leaves(data: Data, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for key, value in data.items():
        found += leaves(value, (*path, key)) if isinstance(value, dict) and value else [(*path, key)]
    return found


def edited(data: Data, edits: dict[tuple[str, ...], Any]) -> Data:
    result = copy.deepcopy(data)
    for (*around, last), value in edits.items():
        here = result
        for step in around:
            here = here[step]
        if value is GONE:
            del here[last]
        else:
            here[last] = value
    return result


@given(DOCUMENTS, DOCUMENTS)
def test_who_was_alone_gets_what_they_wrote(base: Data, edit: Data) -> None:
    assert merged(base, edit, base) == edit
    assert merged(base, base, edit) == edit


@given(DOCUMENTS, DOCUMENTS)
def test_the_same_change_on_both_sides_is_no_conflict(base: Data, edit: Data) -> None:
    assert merged(base, edit, edit) == edit


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_both_sides_see_the_same_conflicts_and_without_one_the_same_document(
    base: Data, mine: Data, theirs: Data
) -> None:
    one, other = merge(base, mine, theirs), merge(base, theirs, mine)
    swapped = {each.path: Conflict(each.path, each.base, each.theirs, each.mine) for each in other.conflicts}
    assert {each.path: each for each in one.conflicts} == swapped
    if not one.conflicts:
        assert one.data == other.data


@given(st.data(), strategies.clusters())
def test_edits_of_different_fields_are_never_lost(data: st.DataObject, cluster: Cluster) -> None:
    base = complete(cluster)
    places = leaves(base)
    mine_at = set(data.draw(st.lists(st.sampled_from(places), max_size=5)))
    rest = [place for place in places if place not in mine_at]
    theirs_at = set(data.draw(st.lists(st.sampled_from(rest), max_size=5))) if rest else set()
    mine = {place: data.draw(st.sampled_from(["mine", ["mine"], GONE])) for place in mine_at}
    theirs = {place: data.draw(st.sampled_from(["theirs", ["theirs"], GONE])) for place in theirs_at}
    result = merged(base, edited(base, mine), edited(base, theirs))
    assert result == edited(base, mine | theirs)


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_every_change_is_in_the_result_or_in_a_conflict(base: Data, mine: Data, theirs: Data) -> None:
    result = merge(base, mine, theirs)
    told = [each.path for each in result.conflicts]
    for side in (mine, theirs):
        for path in leaves(side):
            untouched = at_or_gone(side, path) == at_or_gone(base, path)
            in_conflict = any(path[: len(each)] == each for each in told)
            other = theirs if side is mine else mine
            assert (
                untouched
                or in_conflict
                or at_or_gone(result.data, path) == at_or_gone(side, path)
                or (at_or_gone(side, path) == {} and isinstance(at_or_gone(other, path), dict))
            )


def at_or_gone(data: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if not isinstance(data, dict) or step not in data:
            return GONE
        data = data[step]
    return data


def test_one_field_changed_to_different_values_is_a_conflict_with_all_three() -> None:
    assert conflicts({"a": {"x": 1}}, {"a": {"x": 2}}, {"a": {"x": 3}}) == [("a/x", 1, 2, 3)]
    assert merge({"a": 1}, {"a": 2}, {"a": 3}).data == {"a": 2}


def test_what_one_took_away_and_the_other_changed_is_a_conflict() -> None:
    base = {"web": {"rs1": {"weight": 1}}}
    changed_weight = {"web": {"rs1": {"weight": 2}}}
    assert conflicts(base, {"web": {}}, changed_weight) == [("web/rs1", {"weight": 1}, GONE, {"weight": 2})]
    assert conflicts(base, changed_weight, {}) == [("web", base["web"], changed_weight["web"], GONE)]
    assert merge(base, {}, changed_weight).data == {}


def test_what_one_took_away_and_the_other_left_alone_is_gone() -> None:
    assert merged({"a": 1, "b": 1}, {"b": 2}, {"a": 1, "b": 1}) == {"b": 2}
    assert merged({"a": 1, "b": 1}, {"a": 1}, {"b": 1}) == {}


def test_lists_are_whole_values() -> None:
    assert conflicts({"a": [1]}, {"a": [1, 2]}, {"a": [1, 3]}) == [("a", [1], [1, 2], [1, 3])]


def test_something_new_by_the_same_name_on_both_sides_is_merged_field_by_field() -> None:
    assert merged({}, {"a": {"x": 1, "y": 1}}, {"a": {"x": 1, "z": 1}}) == {"a": {"x": 1, "y": 1, "z": 1}}
    assert conflicts({"a": None}, {"a": {"x": 1}}, {"a": {"x": 2}}) == [("a/x", GONE, 1, 2)]
    assert conflicts({"a": None}, {"a": {"x": 1}}, {"a": 5}) == [("a", None, {"x": 1}, 5)]


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_who_saw_the_conflicts_and_goes_on_decides_them(base: Data, mine: Data, theirs: Data) -> None:
    before = copy.deepcopy(base)
    found = merge(base, mine, theirs)
    seen = caught_up(base, found.conflicts)
    assert base == before
    assert merge(seen, mine, theirs) == Merged(found.data, ())
    accepted = caught_up(mine, found.conflicts)
    assert merge(seen, accepted, theirs).conflicts == ()


@pytest.mark.parametrize(
    ("base", "value", "part"),
    [
        (1, 2, 2),
        ({"a": 1}, 2, 2),
        (GONE, {"a": 1}, {"a": 1}),
        ({"a": {"x": 1, "y": 1}, "b": 1}, {"a": {"x": 2, "y": 1}, "b": 1, "c": 3}, {"a": {"x": 2}, "c": 3}),
        ({"a": 1, "b": 1}, {"a": 1}, {"b": None}),
    ],
)
def test_what_changed_in_a_value_is_told_without_the_rest(base: Any, value: Any, part: Any) -> None:
    assert changed(base, value) == part
