"""Whose verdicts count: policies, external parties, and a router that is out of order itself."""

import pytest

from clusterd.document import from_data
from clusterd.model import Virtual
from clusterd.reports import VerdictReport
from clusterd.verdicts import Decision, contradicted, decision, disagreement, own_fault


def virtual(**more: object) -> Virtual:
    web = {"address": "1.2.3.1/24", "interface": "eth0", "port": 80, **more}
    return from_data({"virtuals": {"web": web}}).virtuals["web"]


def says(**voices: bool | None) -> list[VerdictReport]:
    return [VerdictReport(observer=name.replace("_", "-"), up=up, detail="asked") for name, up in voices.items()]


def test_what_the_active_router_sees_counts_everywhere() -> None:
    for me in ("r1", "r2", "r3"):
        assert decision(virtual(), says(r1=False, r2=True, r3=True), me, "r1") == Decision(False, "asked", "r1")


def test_without_a_word_of_the_active_router_ones_own_counts_and_else_anybodys() -> None:
    assert decision(virtual(), says(r2=False, r3=True), "r2", "r1") == Decision(False, "asked", "r2")
    assert decision(virtual(), says(r1=None, r3=True), "r2", "r1") == Decision(True, "asked", "r3")
    assert decision(virtual(), says(r3=True), "r2", "") == Decision(True, "asked", "r3")


def test_nobody_has_checked_it() -> None:
    for policy in ("active", "any", "quorum"):
        assert decision(virtual(verdicts=policy), says(r1=None), "r1", "r1") == Decision(None)


def test_with_any_a_server_is_up_if_any_router_sees_it_up() -> None:
    some = virtual(verdicts="any")
    assert decision(some, says(r1=False, r2=True, r3=True), "r1", "r1") == Decision(True, "r2 and r3 see it up")
    assert decision(some, says(r1=False, r2=True), "r1", "r1") == Decision(True, "r2 sees it up")
    assert decision(some, says(r1=False), "r1", "r1") == Decision(False, "r1 sees it down")


@pytest.mark.parametrize(
    ("voices", "up"),
    [
        ({"r1": False, "r2": True, "r3": True}, True),
        ({"r1": False, "r2": False, "r3": True}, False),
        ({"r1": False, "r2": True}, True),
        ({"r1": False}, False),
    ],
)
def test_with_a_quorum_enough_routers_must_see_it_down_or_all_that_there_are(voices: dict[str, bool], up: bool) -> None:
    enough = virtual(verdicts="quorum", down_quorum=2)
    found = decision(enough, says(**voices), "r1", "r1")
    down, needed = list(voices.values()).count(False), min(2, len(voices))
    assert found == Decision(up, f"{down} of {len(voices)} routers see it down, {needed} must")


@pytest.mark.parametrize("policy", ["active", "any", "quorum"])
def test_an_external_party_forces_a_server_down_and_cannot_force_one_up(policy: str) -> None:
    one = virtual(verdicts=policy)
    forced = decision(one, says(r1=True, r2=True, external_ops=False), "r1", "r1")
    assert forced == Decision(False, "external-ops forces it down: asked", "external-ops", forced=True)
    assert decision(one, says(r1=False, external_ops=True), "r1", "r1").up is False
    assert decision(one, says(external_ops=True), "r1", "r1") == Decision(None)
    silent = [VerdictReport(observer="external-ops", up=False)]
    assert decision(one, silent, "r1", "r1").why == "external-ops forces it down: no detail"


def test_a_router_that_is_out_of_order_takes_the_others_word_where_they_see_more() -> None:
    assert decision(virtual(), says(r1=False, r2=True), "r1", "r1", faulty=True) == Decision(True, "asked", "r2")
    assert decision(virtual(), says(r1=False, r2=False), "r1", "r1", faulty=True) == Decision(False, "asked", "r1")
    assert decision(virtual(), says(r1=True, r2=False), "r1", "r1", faulty=True) == Decision(True, "asked", "r1")
    assert decision(virtual(verdicts="quorum"), says(r1=False, r2=True, r3=False), "r1", "r1", faulty=True).up is True


def test_only_another_router_contradicts() -> None:
    assert contradicted(says(r1=False, r2=True), "r1")
    assert not contradicted(says(r1=False, r2=True), "r2")
    assert not contradicted(says(r1=False, r2=False), "r1")
    assert not contradicted(says(r1=False, external_ops=True), "r1")
    assert not contradicted(says(r2=True), "r1")


def test_a_router_is_out_of_order_when_others_see_up_more_than_half_of_what_it_checks() -> None:
    assert own_fault(["rs1", "rs2"], 3)
    assert not own_fault(["rs1", "rs2"], 4)
    assert not own_fault(["rs1"], 1)
    assert not own_fault([], 0)


def test_two_routers_are_never_both_out_of_order() -> None:
    for checked in range(1, 12):
        for mine in range(checked + 1):
            both = own_fault(range(mine), checked) and own_fault(range(checked - mine), checked)
            assert not both


def test_a_disagreement_is_told_in_one_sentence() -> None:
    voices = says(r2=False, r1=True, r3=True, external_ops=True)
    assert disagreement("web/rs1", voices, "r2") == "r2 cannot reach web/rs1, r1 and r3 can"
