"""When checks begin: by the server's name, spread over the interval, sooner where a server is in doubt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.health import Observation, Record, Verdict, step
from clusterd.model import TcpCheck
from clusterd.timetable import next_place_s, next_start_s, phase_s

UP = Record(Verdict(True, 0.0, "accepted a connection"))
DOWN = Record(Verdict(False, 0.0, "connection refused"))
BAD = Observation(False, "connection refused")


def timing(interval_s: float = 2, jitter: float = 1, recheck_s: float | None = None) -> TcpCheck:
    return TcpCheck(type="tcp", interval_s=interval_s, jitter=jitter, recheck_s=recheck_s)


def test_the_place_of_a_server_depends_on_its_name_alone() -> None:
    assert phase_s(("web", "rs1"), timing()) == phase_s(("web", "rs1"), timing())
    assert phase_s(("web", "rs1"), timing()) != phase_s(("web", "rs2"), timing())
    assert phase_s(("we", "brs1"), timing()) != phase_s(("web", "rs1"), timing())


def test_many_servers_are_spread_evenly() -> None:
    tenths = [0] * 10
    for number in range(10_000):
        tenths[int(phase_s((f"v{number // 10}", f"s{number % 10}"), timing()) / 0.2)] += 1
    assert min(tenths) > 900
    assert max(tenths) < 1100


@pytest.mark.parametrize(("jitter", "most_s"), [(0, 0), (0.25, 0.5), (1, 2)])
def test_they_are_spread_over_the_share_of_the_interval_that_jitter_says(jitter: float, most_s: float) -> None:
    places = [phase_s(("web", f"s{number}"), timing(jitter=jitter)) for number in range(1000)]
    assert min(places) >= 0
    assert most_s * 0.95 <= max(places) <= most_s


@given(now_s=st.floats(0, 1e7), interval_s=st.floats(0.001, 86400), share=st.floats(0, 1, exclude_max=True))
def test_the_next_place_is_later_and_within_one_interval(now_s: float, interval_s: float, share: float) -> None:
    found_s = next_place_s(share * interval_s, timing(interval_s), now_s)
    assert now_s < found_s <= now_s + interval_s * 1.001 + 1e-6


def test_checks_begin_at_the_servers_place_in_each_interval() -> None:
    assert next_start_s(UP, timing(), 0.5, 2.5, 2.6) == 4.5
    assert next_start_s(DOWN, timing(), 0.5, 2.5, 2.6) == 4.5
    assert next_start_s(UP, timing(), 0.5, 3.1, 3.2) == 4.5


def test_a_check_that_took_its_whole_interval_is_repeated_at_once() -> None:
    assert next_start_s(UP, timing(), 0.5, 2.5, 4.5) == 4.55
    assert next_start_s(UP, timing(), 0.5, 2.5, 7.0) == 7.05


def test_two_checks_are_never_less_than_50_ms_apart() -> None:
    assert next_start_s(UP, timing(0.01), 0, 1.0, 1.002) == pytest.approx(1.052)
    assert next_start_s(UP, timing(), 0.5, 4.48, 4.49) == pytest.approx(4.54)


@pytest.mark.parametrize(
    ("interval_s", "took_s", "recheck_s", "later_s"),
    [
        (2, 0, None, 0.5),
        (2, 0.4, None, 0.6),
        (2, 1, None, 1.2),
        (2, 2.5, None, 2.55),
        (60, 1, None, 15),
        (0.1, 0, None, 0.1),
        (0.01, 0, None, 0.05),
        (2, 0, 0.1, 0.1),
        (2, 0.4, 0.1, 0.45),
        (2, 0, 5, 2),
    ],
)
def test_after_a_first_failure_the_next_look_is_soon(
    interval_s: float, took_s: float, recheck_s: float | None, later_s: float
) -> None:
    rules = timing(interval_s, recheck_s=recheck_s)
    failing = step(UP, BAD, rules, 1.0)
    assert next_start_s(failing, rules, 0.0, 10.0, 10.0 + took_s) == pytest.approx(10.0 + later_s)
