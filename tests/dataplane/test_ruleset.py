"""Our nft table as JSON: what we write is what we read, and everything else counts as not intact."""

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd.dataplane.ruleset import OURS, decode, encode
from clusterd.netfilter import Netfilter, Opening, Protection
from clusterd.plane import Verb
from tests.dataplane.tables import ONE, RICH, TABLES, VIP

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
CHAINS = ("prerouting", "marking", "protection", "postrouting")


def listed(table: Netfilter) -> list[dict[str, Any]]:
    """Return what `nft -j list` would print of a table that we have written."""
    added = [entry["add"] for entry in encode(Verb.ADD, table) if "add" in entry][len(OURS) :]
    handles = [{kind: told | {"handle": number}} for number, each in enumerate(added) for kind, told in each.items()]
    return [{"metainfo": {"json_schema_version": 1}}, *copy.deepcopy(handles)]


@given(TABLES)
def test_what_is_written_reads_back(table: Netfilter) -> None:
    assert decode(listed(table)) == table


@settings(max_examples=20)
@given(TABLES)
def test_every_transaction_first_makes_sure_that_nothing_is_left(table: Netfilter) -> None:
    for verb in Verb:
        commands = encode(verb, table)
        assert [next(iter(command)) for command in commands[:4]] == ["add", "delete"] * 2
        gone = [command["delete"]["table"] for command in commands if "delete" in command]
        assert [(each["family"], each["name"]) for each in gone] == [("inet", "clusterd"), ("ip", "clusterd")]
        assert (len(commands) > 4) == (verb is not Verb.DELETE)


def test_a_chain_is_there_only_where_it_has_rules() -> None:
    def chains(table: Netfilter) -> list[str]:
        return [each["chain"]["name"] for each in listed(table) if "chain" in each]

    assert chains(Netfilter(())) == []
    assert chains(ONE) == ["prerouting", "postrouting"]
    assert chains(replace(ONE, masquerades=())) == ["prerouting"]
    assert chains(RICH) == list(CHAINS)


@given(JSON)
def test_a_foreign_rule_is_noticed_and_nothing_makes_it_raise(expressions: Any) -> None:
    for chain in (*CHAINS, "other"):
        rule = {"rule": {"family": "inet", "table": "clusterd", "chain": chain, "expr": expressions}}
        assert decode([*listed(RICH), rule]) == replace(RICH, intact=False)


def test_a_set_may_be_listed_in_any_order() -> None:
    entries = listed(RICH)
    turned = 0
    for rule in (entry["rule"] for entry in entries if "rule" in entry):
        for match in (each["match"] for each in rule["expr"] if "match" in each):
            if isinstance(match["right"], dict) and "set" in match["right"]:
                match["right"]["set"].reverse()
                turned += 1
    assert turned > 5
    assert decode(entries) == RICH


def test_an_address_may_be_listed_as_the_c_library_writes_it() -> None:
    entries = listed(RICH)
    (rule,) = (each["rule"] for each in entries if "::ffff:" in str(each))
    addresses = rule["expr"][1]["match"]["right"]["set"]
    addresses[addresses.index("::ffff:102:304")] = "::ffff:1.2.3.4"
    assert decode(entries) == RICH


@pytest.mark.parametrize("kind", ["set", "map", "chain", "flowtable"])
def test_a_foreign_object_is_noticed(kind: str) -> None:
    assert not decode([*listed(ONE), {kind: {"name": "other"}}]).intact


@pytest.mark.parametrize("changed", [{"prio": 7}, {"policy": "drop"}, {"hook": "input"}, {"type": "route"}])
def test_a_changed_chain_is_noticed(changed: dict[str, Any]) -> None:
    entries = listed(ONE)
    next(entry["chain"] for entry in entries if "chain" in entry).update(changed)
    assert not decode(entries).intact


def test_a_table_that_sleeps_is_noticed() -> None:
    entries = listed(ONE)
    next(entry["table"] for entry in entries if "table" in entry)["flags"] = "dormant"
    assert not decode(entries).intact


@pytest.mark.parametrize("number", range(1, 30))
def test_a_table_without_one_of_its_objects_is_not_what_was_written(number: int) -> None:
    entries = listed(RICH)
    del entries[min(number, len(entries) - 1)]
    assert decode(entries) != RICH


def test_rules_in_another_order_are_not_what_was_written() -> None:
    entries = listed(RICH)
    entries[-1], entries[-2] = entries[-2], entries[-1]
    assert decode(entries) != RICH


def test_the_table_of_before_is_not_intact_beside_ours_or_alone() -> None:
    old = [{"table": {"family": "ip", "name": "clusterd"}}]
    assert decode([*listed(ONE), *old]) == replace(ONE, intact=False)
    assert decode(old) == Netfilter((), intact=False)


def test_the_rules_of_a_protection_do_not_grow_in_number() -> None:
    def rules(protection: Protection) -> int:
        return sum("rule" in each for each in listed(Netfilter((), protection=protection)))

    one = Protection((VIP,), (Opening("tcp", VIP, ((80, 80),)),))
    hosts = tuple(VIP + number for number in range(1000))
    many = Protection(hosts, tuple(Opening("tcp", host, ((80, 80), (443, 443))) for host in hosts))
    assert rules(one) == rules(many)
    assert rules(Protection()) == 0
