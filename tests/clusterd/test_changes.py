from typing import Any

import pytest
from hypothesis import given, settings

from clusterd.changes import Change, between, changes, shown, summary
from clusterd.document import from_data, objects, parse
from clusterd.model import Cluster
from tests.clusterd.examples import MANUAL, clusters, manual


def lines(old: str, new: str) -> list[str]:
    """Return what changes when `old` is replaced by `new` in the manual's cluster."""
    assert old in MANUAL
    return [str(change) for change in between(manual(), parse(MANUAL.replace(old, new)))]


@given(clusters(), clusters())
@settings(max_examples=60)
def test_there_are_changes_exactly_where_two_clusters_differ(before: Cluster, after: Cluster) -> None:
    found = between(before, after)
    assert bool(found) == (before != after)
    assert len({change.path for change in found}) == len(found)
    back = between(after, before)
    assert {c.path for c in back if c.before is not None and c.after is not None} == {
        c.path for c in found if c.before is not None and c.after is not None
    }


def test_a_changed_value_is_told_with_its_path() -> None:
    assert lines("weight: 2", "weight: 1") == ["~ virtuals/web/servers/rs1/weight: 2 -> 1"]
    assert lines("nat_router: {address: 192.168.1.254/24", "nat_router: {address: 192.168.1.250/24") == [
        "~ cluster/nat_router/address: 192.168.1.254/24 -> 192.168.1.250/24"
    ]
    assert lines("[{source: 192.168.1.0/24, interface: eth0}]", "[]") == [
        "~ cluster/masquerade: [{source: 192.168.1.0/24, interface: eth0}] -> []"
    ]


def test_a_default_that_is_left_or_restored_is_a_change_of_value() -> None:
    assert lines("port: 80", "port: 80\n    scheduler: rr") == ["~ virtuals/web/scheduler: wlc -> rr"]
    assert lines(", priority: 50", "") == ["~ routers/r2/priority: 50 -> 100"]


def test_a_new_server_is_one_line_without_defaults() -> None:
    new = "rs3: {address: 192.168.1.3}\n      rs4: {address: 192.168.1.4, weight: 1}"
    assert lines("rs3: {address: 192.168.1.3}", new) == ["+ virtuals/web/servers/rs4: {address: 192.168.1.4}"]


def test_a_new_virtual_server_has_its_real_servers_on_lines_of_their_own() -> None:
    added = between(from_data({}), from_data({"virtuals": parsed_virtuals()}))
    assert [str(change) for change in added] == [
        "+ virtuals/web: {address: 1.2.3.1/24, interface: eth0, port: 80, check: {type: http}}",
        "+ virtuals/web/servers/rs1: {address: 192.168.1.1, weight: 2}",
        "+ virtuals/web/servers/rs2: {address: 192.168.1.2}",
        "+ virtuals/web/servers/rs3: {address: 192.168.1.3}",
    ]


def parsed_virtuals() -> dict[str, Any]:
    return manual().model_dump(mode="json", by_alias=True, exclude_defaults=True)["virtuals"]  # type: ignore[no-any-return] # a dump is Any


def test_what_is_gone_is_one_line() -> None:
    assert lines("  r1: {public: 1.2.3.2, private: 192.168.1.252}\n", "") == ["- routers/r1"]
    assert [str(change) for change in between(manual(), from_data({}))] == [
        "- cluster/nat_router",
        "~ cluster/masquerade: [{source: 192.168.1.0/24, interface: eth0}] -> []",
        "- routers/r1",
        "- routers/r2",
        "- virtuals/web",
    ]


def test_another_kind_of_check_does_not_tell_of_its_defaults() -> None:
    assert lines("check: {type: http, path: /}", "check: {type: tcp}") == ["~ virtuals/web/check/type: http -> tcp"]
    assert lines("path: /}", "path: /, host: example}") == ["+ virtuals/web/check/host: example"]


def test_something_optional_that_is_all_default_is_told_all_the_same() -> None:
    assert lines("port: 80", "port: 80\n    persistence: {}") == ["+ virtuals/web/persistence"]


def test_the_first_commit_of_an_empty_cluster_changes_nothing() -> None:
    assert changes({}, objects(Cluster())) == ()


def test_objects_that_the_model_does_not_know_are_told_as_they_are() -> None:
    assert [str(c) for c in changes({"odd": {"a": 1}}, {"odd": {"a": 2}, "routers/r1": {"new_field": True}})] == [
        "~ odd/a: 1 -> 2",
        "+ routers/r1: {new_field: true}",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("wlc", "wlc"),
        ("1.2.3.4/24", "1.2.3.4/24"),
        ("GET / \r\n", '"GET / \\r\\n"'),
        ("", '""'),
        ("\x1b[31m", '"\\u001b[31m"'),
        (2.0, "2"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        ({"a": [1, "b c"]}, '{a: [1, "b c"]}'),
    ],
)
def test_values_are_shown_as_the_document_writes_them(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_summary_names_the_first_changes_and_counts_the_others() -> None:
    found = (Change("a/b", 2, 1), Change("c", None, {"x": 1}), Change("d", 1, None), Change("e", 1, 2))
    assert summary(found) == "a/b 2 -> 1, + c, - d and 1 more"
    assert summary(found[:1]) == "a/b 2 -> 1"
    assert summary(()) == ""
