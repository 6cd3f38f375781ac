"""How often a router reads again what it watches."""

import pytest

from watchers.feeds import RELIST_MOST_S, RELIST_S, relist_s


@pytest.mark.parametrize(
    ("took_s", "most_s", "again_s"),
    [(0.01, RELIST_MOST_S, 30), (0.1, RELIST_MOST_S, 50), (5, RELIST_MOST_S, 300), (5, RELIST_S, 30)],
)
def test_what_takes_long_to_read_is_read_more_seldom_where_it_may(took_s: float, most_s: float, again_s: float) -> None:
    assert relist_s(took_s, most_s) == again_s
