"""When the addresses' lifetimes are renewed: seldom, and early enough."""

from hypothesis import given
from hypothesis import strategies as st

from clusterd.dataplane.lifetime import LONGEST_S, lifetime_s
from watchers.renewal import WORTH_S, Renewal

TICK_S = 0.1


def renewals(until_s: float, *, from_s: float = 0.0, to_s: float) -> tuple[Renewal, int]:
    """Follow `due` tick by tick; return what was kept last, and how often it was renewed."""
    kept, count, now_s = Renewal(), 0, from_s
    while now_s < to_s:
        if kept.due(until_s, now_s):
            kept.done(until_s, now_s, now_s)
            count += 1
        now_s += TICK_S
    return kept, count


def test_a_lifetime_is_what_whole_seconds_are_left_and_none_when_the_time_is_over() -> None:
    assert [lifetime_s(10.0, now_s) for now_s in (7.0, 7.1, 9.0, 9.1, 10.0, 11.0)] == [3, 2, 1, 0, 0, 0]
    assert lifetime_s(float("inf"), 7.0) == lifetime_s(1e9, 7.0) == LONGEST_S
    assert lifetime_s(float("-inf"), 7.0) == 0


def test_after_a_refresh_the_addresses_are_renewed_once_and_once_more_before_the_last_whole_second() -> None:
    kept, count = renewals(2.7, to_s=2.7)
    assert count <= 3
    assert kept.kept_until_s > 2.7 - WORTH_S - TICK_S


def test_nothing_is_renewed_that_has_no_whole_second_left() -> None:
    assert not Renewal().due(0.9, 0.0)
    assert not Renewal().due(-1.0, 0.0)


def test_a_claim_without_end_is_renewed_seldom() -> None:
    kept = Renewal()
    kept.done(float("inf"), 0.0, 0.0)
    assert not kept.due(float("inf"), 0.4)
    assert kept.due(float("inf"), 0.5)


@given(st.floats(1.2, 40.0), st.floats(0.0, 0.099))
def test_the_addresses_last_almost_until_the_end_of_the_claim_and_never_longer(until_s: float, from_s: float) -> None:
    kept, _ = renewals(until_s + from_s, from_s=from_s, to_s=until_s + 1)
    assert until_s + from_s - WORTH_S - TICK_S - 1e-6 <= kept.kept_until_s <= until_s + from_s + 1e-6


@given(st.lists(st.tuples(st.floats(0.0, 0.3), st.floats(0.0, 3.0), st.floats(0.0, 0.05)), max_size=60))
def test_what_is_kept_is_never_more_than_the_kernel_has_nor_later_than_the_claim(
    steps: list[tuple[float, float, float]],
) -> None:
    kept, now_s, kernel_s, until_s = Renewal(), 0.0, 0.0, 0.0
    for pause_s, left_s, busy_s in steps:
        now_s += pause_s
        until_s = max(until_s, now_s + left_s)
        if kept.due(until_s, now_s):
            began_s, written_s = now_s, now_s + busy_s / 2
            now_s += busy_s
            lifetime = lifetime_s(until_s, written_s)
            kernel_s = written_s + lifetime if lifetime else kernel_s
            kept.done(until_s, began_s, now_s)
        assert kept.kept_until_s <= max(kernel_s, now_s) + 1e-9
        assert kernel_s <= until_s + 1e-9


@given(st.floats(0.0, 0.05), st.floats(0.0, 0.09))
def test_with_a_refresh_every_second_the_addresses_never_come_near_their_end(answer_s: float, shift_s: float) -> None:
    kept, until_s, now_s, refreshed_s = Renewal(), 2.7, answer_s, 0.0
    while now_s < 8:
        if now_s >= refreshed_s + 1 + answer_s:
            refreshed_s += 1 + answer_s
            until_s = refreshed_s + 2.7
        if kept.due(until_s, now_s):
            kept.done(until_s, now_s, now_s)
        assert kept.kept_until_s - now_s > 0.9
        now_s += TICK_S + shift_s
