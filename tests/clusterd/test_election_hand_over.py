"""Handing over on purpose: switchover, pause and preemption, each rule as a sentence."""

import math

import pytest

from clusterd.election import (
    Asked,
    AskHandOver,
    Claim,
    Cleared,
    GiveAway,
    LeaseSeen,
    LockSeen,
    Paused,
    Promised,
    Ready,
    Stop,
    Switchover,
    Tick,
    active_until,
)
from clusterd.election.claiming import RANK_DELAY_S, SWITCHOVER_WAIT_S, UNREADY_DELAY_S
from clusterd.election.hand_over import ASK_AGAIN_S, ASK_DELAY_S
from tests.clusterd.elections import LEASE, ME, OTHER, THIRD, Router, holder, waiting

ORDER = Switchover("r2", 6)  # for the lock that `holder` has
BEST, WORST = 200, 10


def ordered(at_s: float = 11.0) -> Router:
    """Return a holder that was told to hand over to r2."""
    router = holder()
    router.take(ORDER, at_s)
    return router


# --- the holder ---------------------------------------------------------------------------------------------------


def test_the_holder_stands_down_clears_its_kernel_and_then_gives_the_lock_away() -> None:
    router = ordered()
    assert not router.state.acting
    assert active_until(router.state) == -math.inf
    assert router.take(Tick(), 11.1) == ()
    assert router.take(Cleared(), 11.2) == (GiveAway(6),)


def test_a_lock_whose_deletion_was_not_seen_is_given_away_again() -> None:
    router = ordered()
    router.take(Cleared(), 11.2)
    assert router.beats(11.3, 12.1, 12.3) == (GiveAway(6),)
    router.take(LockSeen(7, ""), 12.4)
    assert GiveAway(6) not in router.beats(13.5, 14.0)


@pytest.mark.parametrize(
    "order", [Switchover("r2", 5), Switchover("r1", 6), Switchover("r9", 6), Switchover("", 0), Switchover("r2", 0)]
)
def test_an_order_for_another_lock_to_itself_or_to_nobody_moves_nothing(order: Switchover) -> None:
    router = holder()
    router.take(order, 11.0)
    assert router.state.acting
    router.take(Cleared(), 11.1)
    assert router.beats(12.5) == ()


def test_whoever_began_to_hand_over_does_not_act_again_for_that_lock() -> None:
    router = ordered()
    router.take(Cleared(), 11.2)
    router.take(Switchover("", 0), 11.3)
    router.take(LeaseSeen(LEASE, 3.0, 11.4), 11.4)
    assert not router.active(11.5)
    router.take(LockSeen(7, ""), 11.6)
    router.take(LockSeen(8, "r1", 8, LEASE), 11.7)
    assert router.active(11.8)


def test_a_kernel_that_was_clear_before_the_router_acted_says_nothing() -> None:
    router = waiting()
    router.take(Cleared(), 10.0)
    router.take(LockSeen(6, "r1", 6, LEASE), 10.0)
    router.take(Cleared(), 10.1)
    router.take(ORDER, 11.0)
    assert router.take(Tick(), 11.1) == ()
    assert router.take(Cleared(), 11.2) == (GiveAway(6),)


def test_promises_do_not_keep_one_active_that_hands_over() -> None:
    router = ordered()
    router.take(Promised(11.1, 2.0), 11.1)
    assert not router.state.acting
    (answer,) = router.take(Asked("r2", "q", 1.0), 11.2)
    assert not getattr(answer, "agreed", True)


def test_a_router_that_leaves_a_group_gives_its_lock_away_once_its_kernel_is_clear() -> None:
    router = holder()
    router.take(Stop(), 11.0)
    assert router.take(Cleared(), 11.1) == (GiveAway(6),)


# --- the others ---------------------------------------------------------------------------------------------------


def freed(me: str, *, ready: bool = True, paused: bool = False) -> Router:
    """Return one of three routers that sees the lock of r1, which had the order to go to r2, become free at 20 s."""
    router = waiting(20.0, ME, OTHER, THIRD, name=me)
    router.take(Ready(ready))
    router.take(Paused(paused))
    router.take(LockSeen(6, "r1", 6, 66 if me != "r1" else LEASE))
    router.take(ORDER)
    router.take(LockSeen(7, ""), 20.0)
    return router


def test_the_router_that_an_order_names_claims_at_once() -> None:
    assert freed("r2").state.claiming
    assert freed("r2", paused=True).state.claiming
    assert freed("r2", ready=False).claims_at(20.9, 20 + UNREADY_DELAY_S) == 20 + UNREADY_DELAY_S


def test_all_others_wait_the_old_holder_too() -> None:
    assert freed("r1").claims_at(22.9, 20 + SWITCHOVER_WAIT_S) == 20 + SWITCHOVER_WAIT_S
    later_s = 20 + SWITCHOVER_WAIT_S + RANK_DELAY_S
    assert freed("r3").claims_at(23.2, later_s) == later_s


def test_an_order_that_expired_delays_nobody() -> None:
    router = freed("r1")
    router.take(Switchover("", 0), 20.1)
    assert router.claims_at(20.2) == 20.2


def test_an_order_that_was_carried_out_has_no_part_in_the_next_takeover() -> None:
    router = freed("r1")
    router.take(LockSeen(8, "r2", 8, 66), 20.1)
    router.take(LockSeen(9, ""), 21.0)
    assert router.claims_at(21.0, 21.0 + RANK_DELAY_S) is not None


# --- pauses -------------------------------------------------------------------------------------------------------


def test_a_paused_router_leaves_a_lock_alone_that_another_one_had() -> None:
    router = waiting()
    router.take(Paused(True), 11.0)
    router.take(LockSeen(6, ""), 11.0)
    assert router.claims_at(12.0, 30.0) is None
    router.take(Paused(False), 30.0)
    assert router.claims_at(30.0) == 30.0


def test_a_paused_router_takes_its_own_lock_back() -> None:
    router = holder()
    router.take(Paused(True), 11.0)
    router.take(LockSeen(7, ""), 11.0)
    assert router.claims_at(11.0) == 11.0


@pytest.mark.parametrize(("former", "claims"), [("r2", None), ("r1", 20.0), ("", 20.0)])
def test_whose_the_lock_was_before_a_restart_is_known_from_etcd(former: str, claims: float | None) -> None:
    router = Router()
    router.take(Paused(True))
    router.take(LeaseSeen(LEASE, 3.0, 10.0, granted=True), 10.0)
    router.take(LockSeen(5, "", former=former), 10.0)
    assert router.claims_at(20.0) == claims


# --- preemption ---------------------------------------------------------------------------------------------------


def better(after_s: float | None = 30.0, priority: int = BEST) -> Router:
    """Return a router that sees a lock since 10 s that another one of priority 100 has."""
    router = waiting(10.0)
    router.configure(type(ME)("r1", priority), OTHER, preempt_after_s=after_s)
    return router


def test_a_better_router_asks_for_the_lock_after_it_was_ready_for_the_configured_time() -> None:
    router = better()
    router.take(Ready(False), 20.0)
    router.take(Ready(True), 25.0)
    router.take(Ready(True), 40.0)
    assert router.beats(54.9) == ()
    assert router.beats(55.0) == (AskHandOver(5),)
    assert router.beats(55.1, 100.0) == ()
    assert router.beats(55.0 + ASK_AGAIN_S) == (AskHandOver(5),)


def test_the_time_counts_from_when_the_other_one_got_the_lock() -> None:
    router = better()
    router.take(LockSeen(7, "r2", 7, 66), 30.0)
    assert router.beats(59.9) == ()
    assert router.beats(60.0) == (AskHandOver(7),)


def test_a_second_best_router_leaves_it_to_the_best_one_at_first() -> None:
    router = better()
    router.configure(type(ME)("r1", 150), OTHER, type(ME)("r3", BEST), preempt_after_s=30.0)
    assert router.beats(40.0) == ()
    assert router.beats(40.0 + ASK_DELAY_S) == (AskHandOver(5),)


@pytest.mark.parametrize(("after_s", "priority"), [(None, BEST), (30.0, 100), (30.0, WORST)])
def test_without_the_setting_or_a_better_priority_nobody_asks(after_s: float | None, priority: int) -> None:
    assert better(after_s, priority).beats(100.0) == ()


@pytest.mark.parametrize("event", [Ready(False), Paused(True), Stop(), LockSeen(8, "r9", 8, 66)])
def test_whoever_could_not_take_over_does_not_ask(
    event: Ready | Paused | Stop | LockSeen,
) -> None:
    router = better()
    router.take(event, 11.0)
    assert router.beats(100.0) == ()


def test_a_router_without_a_lease_does_not_ask() -> None:
    router = better()
    assert router.take(Tick(), 100.0) == ()
    assert Claim(LEASE) not in router.take(Tick(), 101.0)
