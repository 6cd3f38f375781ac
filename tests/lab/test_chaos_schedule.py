"""The schedule of a chaos run: a seed names it, and what overlaps is bounded, so that windows mean something."""

from itertools import pairwise

import pytest

from tests.lab.chaos.faults import FAULTS
from tests.lab.chaos.schedule import DISRUPTIONS, WEB_STOPPED, Fault, Schedule, schedule

SEEDS = range(50)
SETTLES_S = {kind.name: kind.settles_s for row in DISRUPTIONS for kind in row}


def disruptions(made: Schedule) -> list[Fault]:
    return [fault for fault in made.faults if fault.name != WEB_STOPPED]


def test_a_seed_names_its_schedule_and_another_seed_another_one() -> None:
    assert schedule(7, 600) == schedule(7, 600)
    assert len({schedule(seed, 60) for seed in SEEDS}) == len(SEEDS)


def test_a_longer_run_begins_with_other_dice_but_ends_in_its_own_time() -> None:
    for seconds in (20, 60, 600):
        made = schedule(1, seconds)
        assert all(fault.over_s <= seconds for fault in made.faults)
        assert all(edit.at_s < seconds for edit in made.edits)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_minute_has_something_of_each_kind_of_disruption_or_nearly(seed: int) -> None:
    rows = [{kind.name for kind in row} for row in DISRUPTIONS]
    happened = {fault.name for fault in schedule(seed, 60).faults}
    assert sum(bool(row & happened) for row in rows) >= 3
    assert WEB_STOPPED in happened


def test_ten_minutes_have_every_fault_that_there_is() -> None:
    assert {fault.name for seed in range(2) for fault in schedule(seed, 600).faults} == set(FAULTS)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_disruption_waits_until_the_one_before_is_over_and_settled(seed: int) -> None:
    for one, other in pairwise(disruptions(schedule(seed, 600))):
        settled_s = max(one.over_s, one.at_s + one.hurts_s) + SETTLES_S[one.name]
        assert other.at_s >= settled_s - 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_one_web_server_alone_is_stopped_at_a_time_and_never_the_one_that_edits_take_away(seed: int) -> None:
    stopped = [fault for fault in schedule(seed, 600).faults if fault.name == WEB_STOPPED]
    assert {fault.target for fault in stopped} == {"rs1", "rs2"}
    assert all(other.at_s > one.over_s for one, other in pairwise(stopped))
    for edit in schedule(seed, 600).edits:
        assert edit.cuts == (edit.setting == "virtuals/web/servers/rs3=")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stopped_web_server_may_hurt_longer_where_a_disruption_comes_before_it_is_found(seed: int) -> None:
    made = schedule(seed, 600)
    moments = [moment_s for each in disruptions(made) for moment_s in (each.at_s, each.over_s)]
    for fault in made.faults:
        if fault.name == WEB_STOPPED:
            late = any(fault.at_s - 2.5 < moment_s <= fault.at_s + 5.5 for moment_s in moments)
            assert (fault.hurts_s > 5.5) == late
            assert fault.hurts_s <= fault.for_s + 1


def test_each_step_comes_in_time_and_every_fault_is_over_at_last() -> None:
    steps = schedule(3, 600).steps()
    assert [moment_s for moment_s, _, _ in steps] == sorted(moment_s for moment_s, _, _ in steps)
    present: list[Fault] = []
    for _, fault, begins in steps:
        if begins:
            present.append(fault)
        else:
            present.remove(fault)
    assert present == []
