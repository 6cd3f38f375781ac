from collections.abc import Collection, Mapping
from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clusterd import document
from clusterd.document import yaml_writer
from clusterd.errors import ConfigError
from clusterd.model import Cluster
from tests.clusterd.test_document import CONTRACT, WEB
from tests.strategies import PLAIN, clusters

_T = TypeVar("_T")

# Writing


@given(clusters())
@settings(max_examples=150)
def test_what_is_dumped_is_parsed_to_the_same(given: Cluster) -> None:
    text = document.dump(given)
    assert document.parse(text) == given
    assert document.dump(document.parse(text)) == text


@given(clusters())
@settings(max_examples=150)
def test_the_objects_of_a_cluster_make_the_same_cluster_and_the_same_objects(given: Cluster) -> None:
    flat = document.objects(given)
    assert document.from_objects(flat) == given
    assert document.objects(document.from_objects(flat)) == flat


def test_an_object_looks_the_same_whether_its_defaults_were_written_out_or_not() -> None:
    flat = document.objects(document.parse(WEB))
    assert repr(document.objects(document.from_objects(flat))) == repr(flat)


@given(st.data(), clusters(), clusters())
@settings(max_examples=200)
def test_some_objects_changed_make_the_cluster_that_all_of_them_make(data: Any, one: Cluster, other: Cluster) -> None:
    old, new = document.objects(one), document.objects(other)
    names = data.draw(st.sets(st.sampled_from(sorted({*old, *new}))))
    there = {name: new[name] for name in names if name in new}
    gone = {name for name in names if name not in new}
    placed = [each for name, each in {**old, **there}.items() if name.startswith("virtuals/")]
    for name in sorted(name for name in there if name.startswith("virtuals/")):
        like = data.draw(st.sampled_from(placed))
        keys = data.draw(
            st.sets(st.sampled_from(["address", "port", "mark", "interface", "group", "servers", "quorum"]))
        )
        there[name] = {**there[name], **{key: like[key] for key in keys if key in like}}
    flat = {name: value for name, value in {**old, **there}.items() if name not in gone}
    changed = document.changed(one, there, gone)
    if changed is None:
        with pytest.raises(ConfigError):
            document.from_objects(flat)
    else:
        assert changed == document.from_objects(flat)
        kept = [name for name in one.virtuals if f"virtuals/{name}" not in names]
        assert all(changed.virtuals[name] is one.virtuals[name] for name in kept)


@pytest.mark.parametrize(
    ("there", "gone"),
    [({"elsewhere": {}}, ()), ({}, {"cluster"}), ({"routers/r1": {}}, ()), ({"virtuals/web": {"quorum": 0}}, ())],
)
def test_objects_that_do_not_go_with_the_rest_make_none(there: dict[str, Any], gone: Collection[str]) -> None:
    assert document.changed(document.parse(CONTRACT), there, gone) is None


def test_objects_are_named_by_kind_and_name() -> None:
    assert list(document.objects(document.parse(CONTRACT))) == ["cluster", "routers/r1", "routers/r2", "virtuals/web"]


@pytest.mark.parametrize("name", ["", "/", "clusters", "cluster/x", "virtuals", "virtuals/", "x/y"])
def test_an_object_by_another_name_is_a_problem(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        document.from_objects({name: {}, "virtuals/web": {}})
    assert [(problem.path, problem.message) for problem in caught.value.problems] == [
        (name, "is not the name of an object")
    ]


def test_a_problem_of_an_object_names_the_object() -> None:
    with pytest.raises(ConfigError, match=r"^routers/r1/public: is missing$"):
        document.from_objects({"routers/r1": {}})


def test_the_example_is_dumped_without_its_defaults_and_one_line_for_small_things() -> None:
    text = document.dump(document.parse(CONTRACT))
    assert "  nat_router: {address: 192.168.1.254/24, interface: eth1}\n" in text
    assert "      rs1: {address: 192.168.1.1, weight: 2}\n" in text
    assert "scheduler" not in text


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6), PLAIN, min_size=1, max_size=3))
@settings(max_examples=500)
@example({"a": 1e22, "b": 1e-7})
def test_plain_data_is_dumped_so_that_it_is_read_back(data: dict[str, Any]) -> None:
    assert document.parse_yaml(document.dump_data(data))[0] == data


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6), PLAIN, min_size=1, max_size=3))
@settings(max_examples=300)
@example({"a" * 119: {"b": {"c": 1}}, "v": {"w" * 130: {"x": {"y": "1.2.3.4/24"}}}, "z": {}})
@example({"v": {"w": {"send": "GET /\r\n", "on": "yes", "list": [{"a": [1, 0.5]}], "t": [True, None, "", "~"]}}})
@example({"v": {"w": {"text": "x" * 110}, "u": {"text": "x" * 111}}})
def test_what_is_written_quickly_is_what_libyaml_writes(data: dict[str, Any]) -> None:
    assert document.dump_data(data) == yaml_writer._thorough(data)


@given(clusters())
@settings(max_examples=50)
def test_a_cluster_is_written_as_libyaml_writes_it(given: Cluster) -> None:
    data = given.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert document.dump_data(data) == (yaml_writer._thorough(data) if data else "{}\n")


def test_an_address_of_ipv6_is_quoted_where_a_colon_has_a_meaning() -> None:
    virtual = {"address": "2001:db8::1/64", "servers": {"a": {"address": "2001:db8::"}, "b": {"address": "::1"}}}
    text = document.dump_data({"virtuals": {"web": virtual}})
    assert text == (
        "virtuals:\n  web:\n    address: 2001:db8::1/64\n    servers:\n"
        "      a: {address: '2001:db8::'}\n      b: {address: '::1'}\n"
    )
    assert document.parse_yaml(text)[0] == {"virtuals": {"web": virtual}}


@given(before=clusters(), other=clusters(), pick=st.randoms())
@settings(max_examples=100)
def test_of_a_cluster_made_of_another_only_what_is_other_is_written_anew(
    before: Cluster, other: Cluster, pick: Random
) -> None:
    def mixed(old: Mapping[str, _T], new: Mapping[str, _T]) -> dict[str, _T]:
        either = {**old, **new}
        return {name: pick.choice([each[name] for each in (old, new) if name in each]) for name in either}

    whole = pick.choice([before.settings, other.settings])
    routers, virtuals = mixed(before.routers, other.routers), mixed(before.virtuals, other.virtuals)
    after = Cluster.model_construct(settings=whole, routers=routers, virtuals=virtuals)
    fresh, gone = document.other_objects(before, after)
    wanted = document.objects(after)
    same = {f"virtuals/{name}" for name, each in virtuals.items() if before.virtuals.get(name) is each}
    same |= {f"routers/{name}" for name, each in routers.items() if before.routers.get(name) is each}
    same |= {"cluster"} if whole is before.settings else set()
    assert list(fresh.items()) == [(name, value) for name, value in wanted.items() if name not in same]
    assert set(gone) == document.objects(before).keys() - wanted.keys()
