"""Looking for cycles seldom, and as usual afterwards."""

import gc

from clusterd.collecting import collecting_seldom


def test_cycles_are_looked_for_as_usual_once_nobody_wants_it_seldom() -> None:
    usual = gc.get_threshold()
    first, second = collecting_seldom(), collecting_seldom()
    first.__enter__()
    assert gc.get_threshold()[0] > 100 * usual[0]
    second.__enter__()  # in another thread, meanwhile
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert gc.get_threshold() == usual
