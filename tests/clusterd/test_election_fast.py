"""Fast failover: signs of life, and what their end allows, each rule as a sentence."""

import pytest

from clusterd.election import (
    Alive,
    Asked,
    Cleared,
    Configured,
    Event,
    Fast,
    GiveAway,
    LeaseSeen,
    LockSeen,
    Paused,
    Ready,
    Revoke,
    SayAlive,
    Stop,
    Switchover,
    Tick,
)
from clusterd.election.claiming import RANK_DELAY_S
from clusterd.election.fast import REVOKE_AGAIN_S
from tests.clusterd.elections import LEASE, ME, OTHER, THIRD, Router, holder, waiting

FAST = Fast(0.05, 3)
DEAD = (Revoke(5, 66),)


def steps(begin_s: float, end_s: float) -> list[float]:
    """Return the moments at which a clock ticks that is in time."""
    return [begin_s + 0.05 * n for n in range(round((end_s - begin_s) / 0.05) + 1)]


def listening(*members: object, name: str = "r1") -> Router:
    """Return a ready router that has heard the holder r2 until 20 s."""
    router = waiting(10.0, *(members or (ME, OTHER)), name=name)  # type: ignore[arg-type]
    router.configure(fast=FAST)
    router.beats(*steps(19.9, 20.0))
    router.take(Alive(5), 20.0)
    return router


# --- the holder ---------------------------------------------------------------------------------------------------


def test_the_holder_shows_that_it_lives_at_every_interval() -> None:
    router = holder(10.0)
    router.configure(fast=FAST)
    assert router.beats(*steps(11.0, 11.2)) == (SayAlive(6),) * 5
    assert router.beats(11.21, 11.22) == ()


def test_without_the_setting_nobody_shows_anything() -> None:
    assert holder(10.0).beats(*steps(11.0, 11.2)) == ()


def test_whoever_hands_over_lives_until_the_lock_is_given_away() -> None:
    router = holder(10.0)
    router.configure(fast=FAST)
    router.take(Switchover("r2", 6), 11.0)
    assert router.beats(11.0, 11.1) == (SayAlive(6),) * 2
    assert router.take(Cleared(), 11.1) == (GiveAway(6),)
    router.take(LockSeen(7, ""), 11.2)
    assert SayAlive(6) not in router.beats(11.3)


def test_a_holder_whose_time_is_over_is_silent() -> None:
    router = holder(10.0)
    router.configure(fast=FAST)
    router.take(Tick(), 10.0)
    assert SayAlive(6) not in router.take(Tick(), 13.0)


def test_a_holder_whose_lock_or_lease_was_taken_stands_down_at_once() -> None:
    for event in (LockSeen(7, ""), LeaseSeen(LEASE, 0.0, 11.0)):
        router = holder(10.0)
        router.configure(fast=FAST)
        router.take(event, 11.0)
        assert not router.state.acting


# --- the others ---------------------------------------------------------------------------------------------------


def test_a_silent_holder_loses_its_lease_after_the_missing_signs_and_not_before() -> None:
    router = listening()
    assert router.beats(*steps(20.05, 20.1)) == ()
    assert router.beats(20.15) == DEAD
    assert router.beats(*steps(20.2, 21.1)) == ()
    assert router.beats(20.16 + REVOKE_AGAIN_S) == DEAD
    router.take(LockSeen(7, ""), 21.2)
    assert router.state.claiming


def test_every_sign_of_life_counts_anew() -> None:
    router = listening()
    for at_s in steps(20.05, 21.0):
        router.take(Alive(5), at_s)
        assert router.beats(at_s) == ()


def test_a_worse_router_leaves_it_to_the_best_one_at_first() -> None:
    router = listening(ME, OTHER, THIRD, name="r3")
    assert router.beats(*steps(20.05, 20.4)) == ()
    later_s = 20.0 + FAST.silence_s + RANK_DELAY_S
    assert router.beats(later_s) == DEAD


def test_whoever_stood_still_itself_counts_from_then_on() -> None:
    router = listening()
    assert router.beats(20.3) == ()
    assert router.beats(*steps(20.35, 20.4)) == ()
    assert router.beats(20.45) == DEAD


def test_a_holder_that_was_never_heard_is_not_taken_for_dead() -> None:
    router = waiting(10.0)
    router.configure(fast=FAST)
    assert router.beats(*steps(10.0, 12.0)) == ()
    router.take(Alive(4), 12.0)
    assert router.beats(*steps(12.0, 13.0)) == ()


def test_signs_of_a_former_holder_do_not_count_for_the_next_one() -> None:
    router = listening()
    router.take(LockSeen(7, "r3", 7, 77), 20.05)
    assert router.beats(*steps(20.05, 21.0)) == ()


def test_signs_of_life_mean_nothing_while_the_lock_is_free_or_its_own() -> None:
    router = listening()
    router.take(LockSeen(7, ""), 20.01)
    router.take(Alive(5), 20.04)
    assert router.state.pulse.heard_s == 20.0


@pytest.mark.parametrize(
    "event",
    [
        Ready(False),
        Paused(True),
        Stop(),
        Asked("r2", "q", 2.0),
        Configured((OTHER,), "failsafe", 3.0, fast=FAST),
    ],
)
def test_whoever_may_not_take_over_revokes_nothing(event: Event) -> None:
    router = listening()
    router.take(event, 20.0)
    assert [action for action in router.beats(*steps(20.05, 20.6)) if isinstance(action, Revoke)] == []


def test_a_router_without_a_lease_revokes_nothing() -> None:
    router = listening()
    router.take(LeaseSeen(LEASE, 0.0, 20.0), 20.0)
    assert [router.take(Tick(), at_s) for at_s in steps(20.05, 20.6)] == [()] * 12
