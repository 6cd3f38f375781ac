"""Our nft table as JSON: what we write is what we read, and everything else counts as not intact."""

import copy
import os
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd.dataplane import netfilter
from clusterd.dataplane.netfilter import decode, encode
from clusterd.errors import ApplyError
from clusterd.plane import Masquerade, Netfilter, Operation, Untracked, Verb

NETWORKS = st.builds(
    lambda n, bits: IPv4Network((n >> (32 - bits) << (32 - bits), bits)), st.integers(0, 2**32 - 1), st.integers(1, 32)
)
INTERFACES = st.from_regex(r"[A-Za-z0-9_.-]{1,15}", fullmatch=True)
RULES = st.lists(st.builds(Masquerade, NETWORKS, INTERFACES), max_size=3)
ADDRESSES = st.sets(st.integers(0, 2**32 - 1).map(IPv4Address), min_size=1, max_size=4).map(lambda s: tuple(sorted(s)))
UNTRACKED = st.dictionaries(INTERFACES, ADDRESSES, max_size=3)
TABLES = st.builds(
    lambda rules, untracked: Netfilter(
        tuple(sorted(rules)), tuple(Untracked(*each) for each in sorted(untracked.items()))
    ),
    RULES,
    UNTRACKED,
)
ONE = Netfilter(
    (Masquerade(IPv4Network("192.168.1.0/24"), "eth0"),),
    (Untracked("eth0", (IPv4Address("1.2.3.1"), IPv4Address("1.2.3.4"))),),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def listed(table: Netfilter) -> list[dict[str, Any]]:
    """Return what `nft -j list` would print of a table that we have written."""
    added = [entry["add"] for entry in encode(Verb.ADD, table) if "add" in entry]
    return [{"metainfo": {"json_schema_version": 1}}, *copy.deepcopy(added[1:])]


@settings(deadline=None)
@given(TABLES)
def test_what_is_written_reads_back(table: Netfilter) -> None:
    assert decode(listed(table)) == table


@settings(deadline=None)
@given(TABLES)
def test_every_transaction_first_makes_sure_that_nothing_is_left(table: Netfilter) -> None:
    for verb in Verb:
        commands = encode(verb, table)
        assert [next(iter(command)) for command in commands[:2]] == ["add", "delete"]
        assert (len(commands) > 2) == (verb is not Verb.DELETE)


@settings(deadline=None)
@given(JSON)
def test_a_foreign_rule_is_noticed_and_nothing_makes_it_raise(expressions: Any) -> None:
    for chain in ("prerouting", "postrouting"):
        rule = {"rule": {"family": "ip", "table": "clusterd", "chain": chain, "expr": expressions}}
        assert decode([*listed(ONE), rule]) == Netfilter(ONE.masquerades, ONE.untracked, intact=False)


def test_a_set_may_be_listed_in_any_order() -> None:
    entries = listed(ONE)
    untracked = next(entry["rule"] for entry in entries if "rule" in entry)
    untracked["expr"][1]["match"]["right"]["set"].reverse()
    assert decode(entries) == ONE


@pytest.mark.parametrize("kind", ["set", "map", "chain", "flowtable"])
def test_a_foreign_object_is_noticed(kind: str) -> None:
    assert not decode([*listed(ONE), {kind: {"name": "other"}}]).intact


@pytest.mark.parametrize("changed", [{"prio": 7}, {"policy": "drop"}, {"hook": "input"}, {"type": "route"}])
def test_a_changed_chain_is_noticed(changed: dict[str, Any]) -> None:
    entries = listed(ONE)
    next(entry["chain"] for entry in entries if "chain" in entry).update(changed)
    assert not decode(entries).intact


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a program in nft's place that prints something and ends with a status."""

    def put(out: str = "", error: str = "", status: int = 0) -> None:
        program = tmp_path / "nft"
        program.write_text(f"#!/bin/sh\nprintf %s '{out}'\nprintf %s '{error}' >&2\nexit {status}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", str(tmp_path))
    return put


@pytest.mark.parametrize("printed", ["", "{}", "[]", "no JSON", "7"])
def test_a_listing_that_is_not_understood_is_an_error_that_says_so(stand_in: Callable[..., None], printed: str) -> None:
    stand_in(printed)
    with pytest.raises(ApplyError, match=r"its answer is not what nft 1\.0 prints"):
        netfilter.read()


def test_a_listing_that_fails_is_an_error_unless_there_is_no_table(stand_in: Callable[..., None]) -> None:
    stand_in(error="Error: No such file or directory", status=1)
    assert netfilter.read() is None
    stand_in(error="Operation not permitted", status=1)
    with pytest.raises(ApplyError, match="Operation not permitted"):
        netfilter.read()
    failure = netfilter.apply(Operation(Verb.ADD, ONE), ONE)
    assert str(failure) == f"add {ONE}: Operation not permitted"


def test_where_nft_is_not_installed_it_is_said_what_to_install(stand_in: Callable[..., None]) -> None:
    with pytest.raises(ApplyError, match="install the package nftables"):
        netfilter.read()


def test_an_nft_that_hangs_is_given_up(stand_in: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in()
    (Path(os.environ["PATH"]) / "nft").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    monkeypatch.setattr(netfilter, "_TIMEOUT_S", 0.1)
    with pytest.raises(ApplyError, match="did not end within"):
        netfilter.read()
