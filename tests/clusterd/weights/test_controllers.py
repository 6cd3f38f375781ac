"""Weights by load: Piranha's formula to the letter, and the controller that is the default."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.weights import Factor, Reading, Sighting
from clusterd.weights.controllers import GAIN, REST, smooth
from tests.clusterd.weights.course import Story, virtual, with_server


def about(source: str = "http", **load: object) -> Story:
    servers = dict(list(with_server("rs1", weight=1).items())[:2])
    return Story(virtual(servers=servers, load={"source": source, **load}))


# --- smooth ---------------------------------------------------------------------------------------------------------


def test_servers_that_are_equally_busy_keep_their_weights_however_busy() -> None:
    one = about()
    for now_s in range(0, 100, 10):
        assert one.loads(now_s, 9.0, 9.0) == {"rs1": 100, "rs2": 100}


def test_a_busier_server_gets_less_in_steps_and_not_more_often_than_is_allowed() -> None:
    one = about(smoothing_s=0.01, change_s=5, step=0.25)
    assert one.loads(0, 3.0, 0.0) == {"rs1": 75, "rs2": 125}
    assert one.again_s == 5
    assert one.loads(4, 3.0, 0.0) == {"rs1": 75, "rs2": 125}
    assert one.loads(5, 3.0, 0.0) == {"rs1": 56, "rs2": 156}
    why = "load 3.00 per processor, 1.50 on average of all"
    assert one.factor("rs1", "load") == Factor("load", "http: × 0.562", why, 5)


def test_the_factor_ends_at_the_target_within_floor_and_ceiling() -> None:
    one = about(smoothing_s=0.01, floor=0.4, ceiling=1.5, dead_band=0)
    for now_s in range(0, 100, 5):
        one.loads(now_s, 50.0, 0.0)
    assert one.weights == {"rs1": 40, "rs2": 150}
    assert smooth(1.0, 0.5, virtual(load={"source": "http"}).load) == pytest.approx((1 / 1.5) ** GAIN)
    assert REST == 0.5


def test_load_counts_per_processor() -> None:
    one = about(smoothing_s=0.01)
    seen = {"rs1": Reading(0, 4.0, 4), "rs2": Reading(0, 1.0, 1)}
    assert one.at(0, **{name: Sighting(up=True, reading=read) for name, read in seen.items()}) == {
        "rs1": 100,
        "rs2": 100,
    }


def test_a_single_peak_is_averaged_away() -> None:
    one = about(smoothing_s=15)
    one.loads(0, 0.5, 0.5)
    assert one.loads(0.5, 2.0, 0.5) == {"rs1": 100, "rs2": 100}
    average = one.memory.courses["rs1"].steering.average
    assert average == pytest.approx(0.5 + 1.5 * (1 - math.exp(-0.5 / 15)))


def test_a_small_difference_changes_nothing() -> None:
    one = about(dead_band=0.1, smoothing_s=0.01)
    for now_s in range(0, 100, 10):
        assert one.loads(now_s, 1.05, 0.95) == {"rs1": 100, "rs2": 100}


def test_old_readings_decay_to_the_configured_weight() -> None:
    one = about(smoothing_s=0.01, stale_s=60, dead_band=0.1)
    for now_s in range(0, 50, 10):
        one.loads(now_s, 3.0, 0.0)
    low = one.weights["rs1"]
    assert low is not None
    assert low < 50
    assert one.at(99)["rs1"] == low
    seen = [one.at(now_s)["rs1"] for now_s in range(101, 201, 5)]
    assert seen == sorted(seen, key=lambda weight: weight or 0)
    assert seen[0] == round(low * 1.25)
    assert seen[-1] == 100
    assert one.weights == {"rs1": 100, "rs2": 100}
    assert one.pool.alarms[0] == "no load of rs1 is known (http: nothing was read yet): its weight is static"


def test_without_any_reading_the_weight_is_static_and_that_is_said() -> None:
    one = about()
    quiet = Sighting(up=True, silence="connection refused")
    assert one.at(0, rs1=quiet) == {"rs1": 100, "rs2": 100}
    assert one.factor("rs1", "load") == Factor("load", "http: no data, so a static weight", "connection refused", 0.0)
    assert one.pool.alarms[0] == "no load of rs1 is known (http: connection refused): its weight is static"
    one.loads(10, 1.0, 1.0)
    assert one.factor("rs1", "load") == Factor("load", "http: × 1", "no reason to change it", 0.0)
    assert one.pool.alarms == ()


def test_a_server_may_say_itself_how_much_it_wants() -> None:
    one = about(dead_band=0.1)
    assert one.at(0, rs1=Sighting(up=True, reading=Reading(0, share=0.75))) == {"rs1": 75, "rs2": 100}
    assert one.factor("rs1", "load") == Factor("load", "http: × 0.75", "the server itself wants 75% of it", 0)
    assert one.at(9, rs1=Sighting(up=True, reading=Reading(9, share=0.2)))["rs1"] == 20, "at once, not in steps"
    assert one.at(10, rs1=Sighting(up=True, reading=Reading(10, share=0.9)))["rs1"] == 20, "but not too often"


def test_who_says_nothing_of_its_load_keeps_its_weight() -> None:
    one = about()
    assert one.at(0, rs1=Sighting(up=True, reading=Reading(0)))["rs1"] == 100
    assert one.at(9, rs1=Sighting(up=True, reading=Reading(9)))["rs1"] == 100


def test_a_reading_without_a_time_counts_as_long_as_it_is_there() -> None:
    one = about("agent", interval_s=10, smoothing_s=0.01)
    busy, idle = (Sighting(up=True, reading=Reading(None, load)) for load in (3.0, 0.0))
    assert one.at(0, rs1=busy, rs2=idle) == {"rs1": 75, "rs2": 125}
    for now_s in range(5, 1000, 5):
        one.at(now_s)
    assert one.weights == {"rs1": 43, "rs2": 195}, "within the dead band of 43 and 200"


def test_a_server_that_is_down_or_drained_counts_for_no_average() -> None:
    one = about(smoothing_s=0.01)
    one.loads(0, 1.0, 1.0)
    assert one.at(5, rs1=Sighting(up=False, reading=Reading(5, 90.0)))["rs2"] == 100


@given(st.lists(st.tuples(st.floats(0, 1000), st.integers(1, 64)), min_size=1, max_size=40))
def test_no_server_is_starved_and_none_gets_more_than_the_ceiling(loads: list[tuple[float, int]]) -> None:
    one = about(floor=0.1, ceiling=2.0)
    for number, (load, cores) in enumerate(loads):
        weights = one.loads(10.0 * number, load, 1.0, cores=cores)
        assert all(weight and 10 <= weight <= 200 for weight in weights.values())


# --- Piranha --------------------------------------------------------------------------------------------------------


def piranha(weight: int = 1, **more: object) -> Story:
    load = {"source": "http", "controller": "piranha", "interval_s": 20, **more}
    return Story(virtual(1, servers=dict([*with_server("rs1", weight=weight).items()][:1]), load=load))


def test_piranhas_formula_raises_an_idle_server_by_half_its_weight_a_round_up_to_ten_times() -> None:
    one = piranha()
    assert [one.loads(20.0 * turn, 0.0)["rs1"] for turn in range(3)] == [150, 200, 250]
    for turn in range(3, 30):
        one.loads(20.0 * turn, 0.0)
    assert one.weights["rs1"] == 1000


def test_piranhas_formula_by_the_cube_root_of_what_is_missing_to_a_load_of_1() -> None:
    one = piranha(weight=4)
    one.loads(0, 0.0)
    assert one.loads(20, 0.657)["rs1"] == round(400 * (1.5 + 0.5 * math.cbrt(0.343)))
    assert one.loads(40, 1.512)["rs1"] == round(400 * (1.85 - 0.5 * math.cbrt(0.512)))
    assert one.loads(60, 9.0)["rs1"] == 400, "never below the configured weight"
    assert one.factor("rs1", "load") == Factor("load", "http: × 1", "load 9.00, by Piranha's formula", 60)


def test_piranhas_formula_leaves_what_is_less_than_a_quarter_of_the_weight() -> None:
    one = piranha()
    assert one.loads(0, 0.9)["rs1"] == 100  # half of cbrt(0.1) is 0.23
    assert one.loads(20, 1.0)["rs1"] == 100
    assert one.loads(40, 0.8)["rs1"] == 129  # half of cbrt(0.2) is 0.29


def test_without_an_answer_piranhas_weight_stays() -> None:
    one = piranha()
    one.loads(0, 0.0)
    assert [one.at(now_s)["rs1"] for now_s in (20, 40, 1000)] == [150, 150, 150]


def test_one_reading_is_one_round_also_where_it_has_no_time() -> None:
    one = piranha()
    key = Sighting(up=True, reading=Reading(None, 0.0))
    assert [one.at(now_s, rs1=key)["rs1"] for now_s in (0, 5, 10, 20)] == [150, 150, 150, 200]


def test_piranha_starts_slowly_at_one_thirty_second_and_steers_from_the_whole_weight_on() -> None:
    one = piranha(weight=64)
    one.at(0, rs1=False)
    seen = [one.loads(20.0 * turn, 0.0)["rs1"] for turn in range(5, 12)]
    assert seen == [200, 400, 800, 1600, 3200, 9600, 12800]


# --- whole numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "load", "whole"),
    [
        (1, {}, 100),
        (300, {}, 30000),
        (400, {}, 32400),
        (65535, {}, 32768),
        (1000, {"controller": "piranha"}, 6000),
        (65, {"controller": "piranha"}, 6500),
    ],
)
def test_weights_have_as_much_resolution_as_fits(weight: int, load: dict[str, object], whole: int) -> None:
    one = Story(virtual(1, servers=with_server("rs1", weight=weight), load={"source": "ssh", **load}))
    assert one.at(0)["rs1"] == whole


@given(st.integers(1, 65535), st.floats(0.01, 1), st.floats(1, 10))
def test_no_weight_leaves_what_ipvs_takes(weight: int, floor: float, ceiling: float) -> None:
    load = {"source": "http", "floor": floor, "ceiling": ceiling, "smoothing_s": 0.01, "step": 1}
    one = Story(virtual(2, servers=dict([*with_server("rs1", weight=weight).items()][:2]), load=load))
    for turn in range(12):
        for value in one.loads(10.0 * turn, 0.0, 1000.0).values():
            assert value is not None
            assert 1 <= value <= 65535


def test_a_configured_weight_of_0_stays_0() -> None:
    one = Story(virtual(2, servers=with_server("rs1", weight=0), load={"source": "http"}))
    assert one.loads(0, 0.0, 9.0)["rs1"] == 0
