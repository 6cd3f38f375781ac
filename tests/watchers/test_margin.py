"""How near a lease came to its end, of late."""

from watchers.margin import WINDOW_S, Margin


def test_before_the_first_refresh_of_a_lease_there_is_none() -> None:
    margin = Margin()
    assert margin.lowest_s(0.0) is None
    margin.note(float("-inf"), 1.0)
    assert margin.lowest_s(1.0) is None


def test_the_least_that_was_left_is_remembered_for_a_minute_at_least_and_two_at_most() -> None:
    margin = Margin()
    margin.note(3.0, 1.0)
    margin.note(4.0, 3.5)
    margin.note(6.0, 4.0)
    assert margin.lowest_s(5.0) == 0.5
    margin.note(WINDOW_S + 3.0, WINDOW_S + 1.0)
    assert margin.lowest_s(WINDOW_S + 1.0) == 0.5
    assert margin.lowest_s(2 * WINDOW_S + 1.0) == 2.0
    assert margin.lowest_s(4 * WINDOW_S) is None


def test_an_answer_that_came_after_the_end_counts_as_less_than_nothing() -> None:
    margin = Margin()
    margin.note(3.0, 5.0)
    assert margin.lowest_s(5.0) == -2.0
