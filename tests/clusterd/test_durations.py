import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterd.commands.durations import LONGEST_S, duration_s


@pytest.mark.parametrize(
    ("text", "length_s"),
    [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400), ("1h30m", 5400), ("1d1h1m1s", 90061), ("090s", 90)],
)
def test_a_duration_has_a_unit(text: str, length_s: int) -> None:
    assert duration_s(text) == length_s


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("30", "'30' has no unit: write 30s, 10m, 2h, 1d or 1h30m"),
        ("", "'' is not a duration: write 30s"),
        ("5w", "'5w' is not a duration"),
        ("1m1h", "'1m1h' is not a duration"),
        ("-5s", "'-5s' is not a duration"),
        ("1.5h", "'1.5h' is not a duration"),
        ("٣s", "'٣s' is not a duration"),
        ("0s", "'0s' is not between 1s and 366d"),
        ("367d", "'367d' is not between 1s and 366d"),
    ],
)
def test_what_is_no_duration_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        duration_s(text)


@given(st.text(st.sampled_from("0123456789dhms .-"), max_size=12))
def test_any_text_is_a_duration_in_its_bounds_or_refused(text: str) -> None:
    try:
        length_s = duration_s(text)
    except ValueError:
        return
    assert 0 < length_s <= LONGEST_S
