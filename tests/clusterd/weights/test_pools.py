"""Who is in the pool: fail open, quorum, sorry server, drain, slow start; and nothing of it where it is not wanted."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.desired import desired
from clusterd.document import from_data
from clusterd.model import Cluster
from clusterd.plane import Destination
from clusterd.weights import Factor, Memory, Reading, Sighting, pool
from tests.clusterd.weights.course import SORRY, Story, virtual, with_server
from tests.strategies import clusters

WISH = Sighting(up=True, reading=Reading(None, 0.0, drain="agent: told to"))


def test_without_source_of_load_and_slow_start_weights_are_the_configured_numbers() -> None:
    story = Story(virtual(servers=with_server("rs2", weight=65535)))
    assert story.at(0) == {"rs1": 2, "rs2": 65535, "rs3": 1, "rs4": 1}
    assert (story.pool.notable, story.pool.alarms, story.again_s) == (False, (), math.inf)


def test_a_server_that_is_down_leaves_and_an_unchecked_one_waits_and_a_disabled_one_is_nowhere() -> None:
    story = Story(virtual(servers=with_server("rs4", enabled=False)))
    assert story.at(0, rs1=False, rs2=None) == {"rs1": None, "rs2": None, "rs3": 1}
    assert Story(virtual(quiesce=True)).at(0, rs1=False, rs2=None) == {"rs1": 0, "rs2": None, "rs3": 1, "rs4": 1}


# --- fail open ------------------------------------------------------------------------------------------------------


def test_at_least_half_of_the_servers_stay_whatever_checks_say_the_last_ones_to_fail() -> None:
    story = Story(virtual())
    story.at(0)
    story.at(1, rs1=False)
    assert story.at(2, rs2=False) == {"rs1": None, "rs2": None, "rs3": 1, "rs4": 1}
    assert story.at(3, rs3=False) == {"rs1": None, "rs2": None, "rs3": 1, "rs4": 1}
    assert story.pool.alarms == ("fail open: rs3 stay in the pool although their checks fail",)
    assert story.at(4, rs4=False) == {"rs1": None, "rs2": None, "rs3": 1, "rs4": 1}
    kept = Factor("fail open", "stays although its check fails", "at least 50% of the servers stay", 3)
    assert story.factor("rs3", "fail open") == kept
    assert story.at(5, rs1=True) == {"rs1": 2, "rs2": None, "rs3": None, "rs4": 1}
    assert story.at(6, rs2=True) == {"rs1": 2, "rs2": 1, "rs3": None, "rs4": None}
    assert not story.pool.alarms


def test_a_share_of_0_takes_all_out_and_a_share_of_1_none() -> None:
    for share, left in ((0, {"rs1": None, "rs2": None}), (1, {"rs1": 2, "rs2": 1})):
        story = Story(virtual(2, fail_open=share))
        story.at(0)
        assert story.at(1, rs1=False, rs2=False) == left


def test_a_server_that_never_was_up_is_not_put_in_by_fail_open() -> None:
    story = Story(virtual(2))
    assert story.at(0, rs1=True, rs2=False) == {"rs1": 2, "rs2": None}
    assert story.at(1, rs1=False) == {"rs1": 2, "rs2": None}


def test_where_no_server_was_ever_up_and_all_are_down_fail_open_keeps_its_share_of_them() -> None:
    story = Story(virtual())
    unknown = dict.fromkeys(("rs2", "rs3", "rs4"), Sighting(None))
    assert story.at(0, rs1=False, **unknown) == dict.fromkeys(story.about.servers), "the others may yet be up"
    assert story.at(1, rs2=False, rs3=False, rs4=False) == {"rs1": None, "rs2": 1, "rs3": 1, "rs4": None}
    assert story.pool.alarms == ("fail open: rs2, rs3 stay in the pool although their checks fail",)
    assert story.at(2, rs4=True) == {"rs1": None, "rs2": None, "rs3": None, "rs4": 1}
    for none in (virtual(fail_open=0), virtual(sorry_server=SORRY)):
        story = Story(none)
        assert set(story.at(0, **dict.fromkeys(none.servers, False)).values()) == {None}


def test_fail_open_is_about_checks_and_keeps_neither_forced_nor_drained_servers() -> None:
    story = Story(virtual(2))
    story.at(0)
    forced = Sighting(up=False, why="external-ops forces it down: broken", forced=True)
    assert story.at(1, rs1=forced, rs2=forced) == {"rs1": None, "rs2": None}
    assert story.factor("rs1", "forced") == Factor("forced", "down", "external-ops forces it down: broken", 1)
    drained = Story(virtual(2, servers=dict(list(with_server("rs1", drain=True).items())[:2])))
    drained.at(0)
    assert drained.at(1, rs1=False, rs2=False) == {"rs1": None, "rs2": 1}


@given(st.integers(1, 20), st.floats(0, 1), st.lists(st.sampled_from(range(20)), max_size=40))
def test_checks_never_take_out_more_than_the_share(number: int, share: float, turns: list[int]) -> None:
    servers = {f"s{i}": {"address": f"10.0.0.{i + 1}"} for i in range(number)}
    story = Story(virtual(servers=servers, fail_open=share))
    story.at(0)
    down: set[str] = set()
    for now_s, turn in enumerate(turns, 1):
        down ^= {f"s{turn % number}"}
        weights = story.at(now_s, **{f"s{turn % number}": f"s{turn % number}" not in down})
        used = sum(1 for weight in weights.values() if weight)
        assert used >= number - len(down)
        assert used >= share * number - 1e-6


# --- sorry server and quorum ----------------------------------------------------------------------------------------


def test_with_a_sorry_server_none_is_kept_when_all_have_failed() -> None:
    story = Story(virtual(2, sorry_server=SORRY))
    story.at(0)
    assert story.at(1, rs1=False, rs2=False) == {"rs1": None, "rs2": None}
    assert story.pool.sorry
    assert story.at(2, rs1=True) == {"rs1": 2, "rs2": None}
    assert not story.pool.sorry


def test_below_the_quorum_the_sorry_server_answers_until_it_is_exceeded_by_the_hysteresis() -> None:
    story = Story(virtual(sorry_server=SORRY, quorum=3, hysteresis=1))  # 5 in all
    story.at(0)
    story.at(1, rs1=False)
    assert (story.pool.sorry, story.pool.alarms) == (False, ())
    assert story.at(2, rs2=False) == {"rs1": None, "rs2": None, "rs3": 1, "rs4": 1}
    story.at(3, rs3=False)
    assert story.weights == {"rs1": None, "rs2": None, "rs3": None, "rs4": 0}
    assert story.pool.sorry
    assert story.pool.alarms == ("less than the quorum of 3 is up",)
    story.at(4, rs1=True)
    assert (story.pool.sorry, story.weights["rs1"]) == (True, 0)
    story.at(5, rs2=True)
    assert (story.pool.sorry, story.weights["rs1"]) == (False, 2)


def test_a_quorum_that_all_together_do_not_reach_is_reached_by_all() -> None:
    story = Story(virtual(2, sorry_server=SORRY, quorum=10))
    story.at(0)
    assert not story.pool.sorry
    story.at(1, rs2=False)
    assert story.pool.sorry
    story.at(2, rs2=True)
    assert not story.pool.sorry


def test_servers_that_nobody_has_checked_do_not_lose_the_quorum() -> None:
    story = Story(virtual(sorry_server=SORRY, quorum=5))
    story.at(0, rs1=None, rs2=None, rs3=None, rs4=None)
    assert story.pool.quorate
    story.at(1, rs1=True, rs2=False)
    assert not story.pool.quorate


# --- drain ----------------------------------------------------------------------------------------------------------


def drained(deadline_s: float | None) -> Story:
    return Story(virtual(2, servers=with_server("rs1", drain=True), drain_deadline_s=deadline_s))


def test_a_drained_server_stays_at_weight_0_without_a_deadline() -> None:
    story = drained(None)
    story.at(0)
    assert story.at(1e6, rs1=Sighting(up=True, connections=0))["rs1"] == 0
    assert (story.pool.notable, story.again_s) == (False, math.inf)


def test_a_drained_server_leaves_when_it_has_no_connection() -> None:
    story = drained(60)
    assert story.at(0, rs1=Sighting(up=True, connections=0))["rs1"] == 0, "the weight of 0 has first to be in force"
    says = "weight 0 until it has no connection, at most 60 s"
    assert story.factor("rs1", "drained") == Factor("drained", says, "the document says so", 0)
    assert story.again_s == 1
    assert story.at(30, rs1=Sighting(up=True, connections=3))["rs1"] == 0
    assert story.at(31, rs1=Sighting(up=True, connections=0))["rs1"] is None
    why = "the document says so; its connections or their time are over"
    assert story.factor("rs1", "drained") == Factor("drained", "it has left the pool", why, 0)
    assert story.again_s == math.inf
    assert story.at(32, rs1=Sighting(up=True, connections=1))["rs1"] is None


def test_a_drained_server_leaves_at_the_deadline_and_returns_after_the_drain() -> None:
    story = drained(60)
    story.at(0)
    assert story.at(59.9)["rs1"] == 0
    assert story.at(60)["rs1"] is None
    story.about = virtual(2, drain_deadline_s=60)
    assert story.at(61)["rs1"] == 2


def test_the_deadline_counts_from_the_moment_that_is_known_and_never_from_one_to_come() -> None:
    story = drained(60)
    assert story.at(0, rs1=Sighting(up=True, drained_s=-59))["rs1"] == 0
    assert story.at(1, rs1=Sighting(up=True, drained_s=-59))["rs1"] is None
    early = drained(60)
    assert early.at(0, rs1=Sighting(up=True, drained_s=50))["rs1"] == 0
    assert early.at(59, rs1=Sighting(up=True, drained_s=50))["rs1"] == 0
    assert early.at(60, rs1=Sighting(up=True, drained_s=50))["rs1"] is None
    back = Story(virtual(2, drain_deadline_s=60))
    assert back.at(0, rs1=Sighting(up=True, drained_s=-99))["rs1"] == 2


def test_a_server_can_ask_itself_to_be_drained() -> None:
    story = Story(virtual(2, load={"source": "agent"}))
    assert story.at(0, rs1=WISH)["rs1"] == 0
    assert story.factor("rs1", "drained") == Factor("drained", "weight 0", "agent: told to", 0)
    assert story.at(1, rs1=True)["rs1"] == 200


# --- slow start -----------------------------------------------------------------------------------------------------


def starting(**slow_start: Any) -> Story:
    story = Story(virtual(2, slow_start=slow_start))
    assert story.at(0) == {"rs1": 200, "rs2": 100}, "who is there from the beginning does not start slowly"
    story.at(1, rs1=False)
    return story


def test_a_server_that_comes_back_gets_its_weight_in_ten_steps() -> None:
    story = starting(duration_s=20)
    seen = [story.at(now_s, rs1=True)["rs1"] for now_s in (10, 12, 14, 18.1, 28, 29.9, 30, 99)]
    assert seen == [20, 20, 40, 80, 180, 180, 200, 200]


def test_or_from_one_thirty_second_on_by_doubling() -> None:
    story = starting(duration_s=20, curve="doubling")
    assert story.at(10, rs1=True)["rs1"] == 6
    assert story.factor("rs1", "slow start") == Factor("slow start", "× 0.0312", "it came back", 10)
    assert [story.at(now_s)["rs1"] for now_s in (14, 18, 22, 26, 29.9, 30)] == [12, 25, 50, 100, 100, 200]
    assert story.factor("rs1", "slow start") is None


@pytest.mark.parametrize(("curve", "most"), [("linear", 10), ("doubling", 6)])
def test_the_weight_changes_only_when_it_said_that_it_would(curve: str, most: int) -> None:
    story = starting(duration_s=10, curve=curve)
    story.at(2, rs1=True)
    changes = 0
    while story.again_s < math.inf:
        moment_s, before = story.again_s, story.weights
        assert story.at(moment_s - 1e-6) == before
        changes += story.at(moment_s + 1e-6) != before
    assert story.weights == {"rs1": 200, "rs2": 100}
    assert changes <= most


def test_a_server_that_fails_again_starts_again() -> None:
    story = starting(duration_s=20)
    story.at(10, rs1=True)
    assert story.at(25, rs1=False)["rs1"] is None
    assert story.at(26, rs1=True)["rs1"] == 20


# --- all of it ------------------------------------------------------------------------------------------------------


def plain(cluster: Cluster, up: dict[tuple[str, str], bool]) -> dict[str, Any]:
    found = {}
    for name, each in cluster.virtuals.items():
        seen = {label: Sighting(up.get((name, label))) for label in each.servers}
        found[name] = pool(Memory(), each, seen, 0)[1]
    return found


@given(st.data(), clusters())
def test_where_nothing_more_is_wanted_the_pool_is_what_configuration_and_verdicts_say(
    data: st.DataObject, wanted: Cluster
) -> None:
    names = [(name, label) for name, each in wanted.virtuals.items() for label in each.servers]
    up = data.draw(st.dictionaries(st.sampled_from(names), st.booleans())) if names else {}
    simple = {
        name: each.model_copy(
            update={"load": type(each.load)(), "slow_start": None, "quorum": 1, "hysteresis": 0, "fail_open": 0.0}
        )
        for name, each in wanted.virtuals.items()
    }
    cluster = wanted.model_copy(update={"virtuals": simple})
    assert desired(cluster, up) == desired(cluster, up, pools=plain(cluster, up))


def test_editing_one_server_resets_no_other() -> None:
    story = starting(duration_s=20)
    story.at(10, rs1=True)
    before = story.memory.courses["rs1"]
    story.about = from_data(
        {
            "virtuals": {
                "web": story.about.model_dump(mode="json", exclude_none=True)
                | {"servers": {"new": {"address": "10.0.0.9"}, "rs1": {"address": "192.168.1.1", "weight": 9}}}
            }
        }
    ).virtuals["web"]
    assert story.at(18, new=True)["rs1"] == 9 * 40
    assert story.memory.courses["rs1"] == before


def test_the_sorry_server_is_wanted_where_the_pool_says_so() -> None:
    about = virtual(2, sorry_server=SORRY)
    cluster = Cluster(virtuals={"web": about})
    story = Story(about)
    story.at(0, rs1=False, rs2=False)
    table = desired(cluster, {}, pools={"web": story.pool}).values()
    assert [str(each.key.address) for each in table if isinstance(each, Destination)] == [SORRY]
