from datetime import UTC, datetime

import pytest

from clusterd.amounts import age, lasting, size

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


@pytest.mark.parametrize(
    ("count_bytes", "told"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (123456, "123 kB"),
        (1_400_000, "1.4 MB"),
        (2 * 10**15, "2000.0 TB"),
    ],
)
def test_a_size_has_three_digits_or_so(count_bytes: int, told: str) -> None:
    assert size(count_bytes) == told
