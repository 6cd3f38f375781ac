"""What others left in etcd is read as far as it can be, and is never an error."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd import reports
from clusterd.reports import PoolReport, StandingReport, agent_reading, pool_report
from clusterd.weights import Reading

FULL = {
    "role": "active",
    "since": "2026-01-31T10:00:00.000Z",
    "token": 7,
    "head": 5,
    "applied": 4,
    "converged": False,
    "problems": ["the kernel refused"],
    "ready": False,
    "not_ready": ["not checked"],
    "groups": {"blue": {"role": "active", "token": 9, "since": "2026-01-31T09:00:00.000Z"}},
    "undoes": False,
    "follows": {"number": 4, "hash": "c0ffee"},
    "drift": "repaired",
    "drift_at": "2026-01-31T08:00:00.000Z",
    "warnings": ["an old etcd"],
}


def read(data: Any) -> reports.RouterReport:
    return reports.router_report(json.dumps(data).encode())


def test_a_router_is_read_with_everything_that_it_says() -> None:
    told = read(FULL)
    several = {"problems": ("the kernel refused",), "not_ready": ("not checked",), "warnings": ("an old etcd",)}
    assert told.model_dump() == {**FULL, **several}


def test_what_is_missing_or_strange_is_unknown_and_the_rest_counts() -> None:
    assert read({"role": "backup", "applied": "4", "converged": 1, "ready": None, "groups": [], "x": 1}) == (
        reports.RouterReport(role="backup")
    )
    assert read({"token": True, "problems": "many", "not_ready": [1, "late"], "groups": {"a": 1}}) == (
        reports.RouterReport(not_ready=("late",), groups={"a": reports.Share()})
    )


@pytest.mark.parametrize(
    ("followed", "seen", "lost"),
    [
        *((("", 0), 2, False), (("a", 2), 2, False), (("b", 2), 2, True), (("b", 4), 2, True), (("b", 4), None, False)),
        *((("b", 4), 4, False), (("b", 1), 2, False)),
    ],
)
def test_a_commit_is_lost_where_etcd_has_another_one_of_its_number_or_none_yet(
    followed: tuple[str, int], seen: int | None, lost: bool
) -> None:
    """The head of etcd is commit 2, with the hash a."""
    assert reports.Followed(hash=followed[0], number=followed[1]).lost_by(2, "a", seen) is lost


@pytest.mark.parametrize("value", [b"", b"gibberish", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_no_value_is_an_error(value: bytes) -> None:
    assert reports.router_report(value) == reports.RouterReport()
    assert reports.verdict_report("r1", value) == reports.VerdictReport(observer="r1")
    assert reports.pause("r1", value) == reports.Pause(router="r1")
    assert reports.switchover("default", value) == reports.Switchover(group="default")
    assert reports.applied_report("r1", value) == reports.AppliedReport(router="r1")
    assert reports.event("2026-01-31T10:00:00Z-7", value) == reports.Event(id="7", time="2026-01-31T10:00:00Z")


def test_a_verdict_a_pause_a_hand_over_and_applied_times_are_read() -> None:
    verdict = reports.verdict_report("r1", b'{"up": false, "since": "now", "detail": "refused"}')
    assert (verdict.up, verdict.since, verdict.detail) == (False, "now", "refused")
    assert reports.pause("all", b'{"by": "eve", "until": "later"}') == reports.Pause(
        router="all", by="eve", until="later"
    )
    assert reports.switchover("default", b'{"to": "r2", "token": 7}') == reports.Switchover(
        group="default", to="r2", token=7
    )
    assert reports.applied_report("r1", b'{"seen": "a", "applied": "b"}').applied == "b"


def test_an_event_keeps_what_else_was_written_with_it() -> None:
    told = reports.event(
        "2026-01-31T10:00:00.000Z-ab12", b'{"kind": "takeover", "text": "r1 is active", "router": "r1", "took_s": 0.2}'
    )
    assert (told.time, told.id, told.kind) == ("2026-01-31T10:00:00.000Z", "ab12", "takeover")
    assert told.more == {"took_s": 0.2}


def test_values_are_one_line_that_etcdctl_shows_as_it_is() -> None:
    assert reports.encoded({"why": "neuer Kern für r1"}) == '{"why": "neuer Kern für r1"}'.encode()


@given(
    st.binary()
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*FULL, "up", "x"]), inner),
    ).map(lambda data: json.dumps(data).encode())
)
def test_whatever_is_there_can_be_read(value: bytes) -> None:
    reports.router_report(value)
    reports.event("x", value)


def test_weights_that_cannot_be_read_are_unknown() -> None:
    told = pool_report(b'{"servers": {"rs1": {"weight": 3, "more": 1}}, "sorry": true}')
    assert told == PoolReport(servers={"rs1": StandingReport(weight=3)}, sorry=True)
    assert pool_report(b'{"servers": 7}') is None
    assert pool_report(b"x") == PoolReport()


def test_an_agent_says_its_load_or_that_it_wants_no_more_connections() -> None:
    assert agent_reading(b'{"load": 1.5, "cores": 4}') == Reading(None, 1.5, 4)
    assert agent_reading(b'{"load": 2, "cores": 0, "drain": "yes"}') == Reading(None, 2.0)
    asked = Reading(None, drain="its agent asks for it: reboot")
    assert agent_reading(b'{"load": -1, "drain": true, "why": "reboot"}') == asked
    assert agent_reading(b'{"drain": true}') == Reading(None, drain="its agent asks for it: no reason given")
    for nothing in (b"{}", b"x", b'{"load": "1"}', b'{"load": 1e999}'):
        assert agent_reading(nothing) is None
