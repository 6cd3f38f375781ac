"""Forms: what stands in the inputs, what comes of what is typed, and which input a problem is about."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd.document import parse
from clusterd.errors import ConfigError, Problem
from clusterd.model import Cluster
from tests.clusterd.examples import MANUAL, clusters, manual
from watchers.web import panels
from watchers.web.fields import Field, Group, Path, entries, label
from watchers.web.forms import by_field, filled, overlaid
from watchers.web.places import Place, made, object_at, text_of, texts_of

RICH = (
    MANUAL.replace("nat_router:", "sync: {interface: eth1, id: 3}\n  heartbeat: {fast: {misses: 4}}\n  nat_router:")
    .replace("check: {type: http, path: /}", "check: {type: http, status: [200, '300-302'], headers: {X-A: 'b c'}}")
    .replace("port: 80", "port: 80\n    persistence: {timeout_s: 60}\n    enabled: false\n    quiesce: true")
)


def place(kind: str, path: str, new: bool = False) -> Place:
    return Place(path, "", "", "/x", "/", kind, new)


PLACES = (
    place("settings", "cluster"),
    place("redundancy", "cluster"),
    place("router", "routers/r1"),
    place("virtual", "virtuals/web"),
    place("check", "virtuals/web/check"),
    place("server", "virtuals/web/servers/rs1"),
)


def typed(cluster: Cluster, where: Place, **more: str | None) -> Cluster:
    """Return the cluster after somebody changed these inputs of a form, None: took them away."""
    texts: dict[str, str | None] = {**texts_of(where, object_at(cluster, where.path) or {}), **more}
    return made(where, {name: text for name, text in texts.items() if text is not None})(cluster)


@pytest.mark.parametrize("where", PLACES, ids=lambda where: where.kind)
@pytest.mark.parametrize("text", [MANUAL, RICH], ids=["manual", "rich"])
def test_a_form_that_is_sent_as_it_is_changes_nothing(text: str, where: Place) -> None:
    cluster = parse(text)
    assert typed(cluster, where) == cluster


@given(clusters(), st.data())
@settings(max_examples=30)
def test_whatever_the_cluster_a_form_that_is_sent_as_it_is_changes_nothing(
    cluster: Cluster, data: st.DataObject
) -> None:
    wheres = [place("settings", "cluster"), place("redundancy", "cluster")]
    wheres += [place("router", f"routers/{name}") for name in cluster.routers]
    for name, virtual in cluster.virtuals.items():
        wheres += [place("virtual", f"virtuals/{name}"), place("check", f"virtuals/{name}/check")]
        wheres += [place("server", f"virtuals/{name}/servers/{server}") for server in virtual.servers]
    where = data.draw(st.sampled_from(wheres))
    assert typed(cluster, where) == cluster


@pytest.mark.parametrize("kind", panels.CHECK_TYPES)
def test_every_type_of_check_has_a_form_with_all_its_keys(kind: str) -> None:
    command = {"f:command": "/bin/true\n-a b"} if kind == "exec" else {}
    after = typed(manual(), PLACES[4], **{"type": kind, "f:fall": "3", "f:path": None, **command})
    assert (after.virtuals["web"].check.type, after.virtuals["web"].check.fall) == (kind, 3)
    keys = {field.path[0] for group in panels.check(kind) for field in group.fields}
    assert keys == set(type(after.virtuals["web"].check).model_fields) - {"type"}


@pytest.mark.parametrize(
    ("around", "forms", "elsewhere"),
    [
        (("cluster",), (*panels.settings(), *panels.redundancy()), set()),
        (("routers", "*"), panels.router(), set()),
        (("virtuals", "*"), panels.virtual(), {"check", "servers"}),  # these have pages of their own
        (("virtuals", "*", "servers", "*"), panels.server(), set()),
    ],
    ids=["cluster", "router", "virtual", "server"],
)
def test_every_key_of_the_document_has_a_field(around: Path, forms: tuple[Group, ...], elsewhere: set[str]) -> None:
    assert {field.path[0] for group in forms for field in group.fields} | elsewhere == set(entries(around))


def test_what_is_typed_is_what_the_model_gets() -> None:
    after = typed(manual(), PLACES[3], **{"f:port": "81", "f:quiesce": "on", "f:enabled": None})
    virtual = after.virtuals["web"]
    assert (virtual.port, virtual.quiesce, virtual.enabled) == (81, True, False)
    marked = typed(manual(), PLACES[3], **{"f:port": "", "f:mark": "7", "f:ports": "1, 5-6"}).virtuals["web"]
    assert (marked.port, marked.mark, marked.ports) == (None, 7, (1, "5-6"))


def test_an_input_that_is_left_empty_means_the_default() -> None:
    assert typed(manual(), PLACES[5], **{"f:weight": ""}).virtuals["web"].servers["rs1"].weight == 1


def test_the_box_of_an_optional_group_makes_its_object_and_takes_it_away() -> None:
    on = typed(manual(), PLACES[3], **{"g:persistence": "on", "f:persistence/timeout_s": " 60 "})
    assert on.virtuals["web"].persistence
    assert on.virtuals["web"].persistence.timeout_s == 60
    assert typed(on, PLACES[3], **{"g:persistence": None}).virtuals["web"].persistence is None
    plain = typed(manual(), PLACES[3], **{"g:persistence": "on"}).virtuals["web"].persistence
    assert plain
    assert plain.timeout_s == 300


def test_lists_of_objects_are_typed_as_yaml() -> None:
    cluster = manual()
    texts = texts_of(PLACES[0], object_at(cluster, "cluster") or {})
    assert texts["f:masquerade"] == "- {source: 192.168.1.0/24, interface: eth0}"
    assert typed(cluster, PLACES[0], **{"f:masquerade": ""}).settings.masquerade == ()


def test_several_lines_are_several_texts_with_their_blanks() -> None:
    after = typed(manual(), PLACES[0], **{"f:notify/active_cmd": "/bin/echo\r\na  b \r\n80\r\n"})
    assert after.settings.notify.active_cmd == ("/bin/echo", "a  b ", "80")


@pytest.mark.parametrize(
    ("where", "name", "text", "told"),
    [
        (PLACES[3], "f:port", "many", "a whole number is expected"),
        (PLACES[3], "f:address", "1.2.3.400", "an IPv4 or IPv6 address with its network's prefix"),
        (PLACES[5], "f:weight", "-1", "must be at least 0"),
        (PLACES[5], "f:weight", "1.5", "a whole number is expected"),
        (PLACES[0], "f:masquerade", "{", "not valid YAML"),
        (PLACES[0], "f:masquerade", "[{source: 10.0.0.0/8}]", "0/interface: is missing"),
        (PLACES[1], "f:heartbeat/deadtime_s", "1", "must be at least 2"),
    ],
)
def test_a_problem_is_told_at_its_field(where: Place, name: str, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        typed(manual(), where, **{name: text})
    faults = by_field(where.groups({}, {}), where.path, caught.value.problems)
    assert set(faults.by_name) == {name}
    assert told in faults.by_name[name][0]
    assert faults.others == ()


def test_what_is_missing_in_an_optional_group_is_told_at_its_field() -> None:
    with pytest.raises(ConfigError) as caught:
        typed(manual(), PLACES[1], **{"g:sync": "on"})
    assert by_field(panels.redundancy(), "cluster", caught.value.problems).by_name == {
        "f:sync/interface": ("is missing",)
    }


def test_a_problem_elsewhere_is_told_with_its_path() -> None:
    problems = [
        Problem(0, "virtuals/web/port", "is taken"),
        Problem(0, "", "is all wrong"),
        Problem(0, "routers", "no"),
    ]
    faults = by_field(panels.router(), "routers/r1", problems)
    assert faults.others == ("virtuals/web/port: is taken", "is all wrong", "routers: no")


def test_two_problems_of_one_field_are_both_told_and_a_group_has_what_is_about_it_as_a_whole() -> None:
    problems = [Problem(0, "cluster/sync", "a"), Problem(0, "cluster/sync/id", "b"), Problem(0, "cluster/sync/id", "c")]
    assert by_field(panels.redundancy(), "cluster", problems).by_name == {"g:sync": ("a",), "f:sync/id": ("b", "c")}


def test_something_new_needs_a_name_of_its_own() -> None:
    where = place("router", "routers", new=True)
    texts = {"f:public": "1.2.3.9", "name": " r9 "}
    assert str(made(where, texts)(manual()).routers["r9"].public) == "1.2.3.9"
    for name, told in (("", "is missing"), ("a/b", "a name has letters"), ("r1", "there is one of this name already")):
        with pytest.raises(ConfigError, match=told) as caught:
            made(where, {**texts, "name": name})(manual())
        assert by_field(where.groups({}, {}), "routers", caught.value.problems).by_name.keys() == {"name"}


@pytest.mark.parametrize(
    ("way", "drain", "enabled"), [("drain", True, True), ("disable", False, False), ("enable", False, True)]
)
def test_the_buttons_of_a_real_server_set_what_the_commands_do(way: str, drain: bool, enabled: bool) -> None:
    server = made(PLACES[5], {"as": way})(manual()).virtuals["web"].servers["rs1"]
    assert (server.drain, server.enabled, server.weight) == (drain, enabled, 2)


def test_objects_can_be_removed_and_settings_not() -> None:
    assert "rs1" not in made(PLACES[5], {"as": "remove"})(manual()).virtuals["web"].servers
    assert made(PLACES[0], {"as": "remove"})(manual()).routers.keys() == manual().routers.keys()


def test_an_object_is_edited_as_text_too() -> None:
    text = "virtuals:\r\n  web:\r\n    servers:\r\n      rs1: {address: 192.168.1.9}\r\n"
    after = made(PLACES[5], {"as": "text", "text": text})(manual())
    assert str(after.virtuals["web"].servers["rs1"].address) == "192.168.1.9"
    assert "rs1: {address: 192.168.1.9}" in text_of(PLACES[5], after)


def test_an_object_that_is_not_there_is_nothing() -> None:
    assert [object_at(manual(), path) for path in ("routers/r9", "virtuals/web/servers/x", "nothing")] == [None] * 3


@pytest.mark.parametrize(
    ("key", "words"), [("deadtime_s", "Deadtime"), ("interval_ms", "Interval"), ("ttl", "TTL"), ("ca_file", "CA file")]
)
def test_a_key_is_named_in_words(key: str, words: str) -> None:
    assert label(key) == words


def test_a_value_that_is_no_mapping_is_no_place_for_others() -> None:
    group = Group("", (Field(("a", "b"), "text", "", "", default=""),))
    assert overlaid([group], {}, {"a": 1}) == {"a": 1}
    assert overlaid([group], {"f:a/b": "x"}, {"a": 1}) == {"a": {"b": "x"}}
    assert filled([group], {"a": 1}) == {}


def test_numbers_are_shown_as_the_document_has_them() -> None:
    number: Mapping[str, Any] = {"a": 2.0}
    assert filled([Group("", (Field(("a",), "number", "", "", default=""),))], number) == {"f:a": "2"}
