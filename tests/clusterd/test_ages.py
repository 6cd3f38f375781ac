from datetime import UTC, datetime

import pytest

from clusterd.ages import age, lasting

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("length_s", "told"),
    [(-3, "0 s"), (0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (7200, "2 h"), (200_000, "2 d")],
)
def test_a_length_of_time_is_told_in_its_largest_unit(length_s: float, told: str) -> None:
    assert lasting(length_s) == told


@pytest.mark.parametrize(
    ("time", "told"),
    [("2026-01-31T11:00:00.000Z", "1 h"), ("2026-01-31T11:59:00", "1 min"), ("", ""), ("yesterday", "")],
)
def test_an_age_is_told_of_what_is_a_time(time: str, told: str) -> None:
    assert age(time, NOW) == told
