"""Who stays active while etcd is silent: the rules of promises, each as a sentence; and the end."""

import math
from dataclasses import replace

import pytest

from clusterd.election import (
    Answer,
    Asked,
    AskPeers,
    Claim,
    Configured,
    LeaseSeen,
    LockSeen,
    Policy,
    Promised,
    Ready,
    State,
    Stop,
    Tick,
    active_until,
    promise_s,
    start,
    step,
)
from clusterd.election.machine import MARGIN_S
from tests.clusterd.elections import LEASE, ME, OTHER, THIRD, TTL_S, Router, holder, waiting

# --- promises -----------------------------------------------------------------------------------------------------


def test_a_peer_promises_while_it_sees_the_lock_held_and_keeps_its_word() -> None:
    router = waiting(10.0)
    assert router.take(Asked("r2", "q", 2.0), 12.0) == (Answer("r2", "q", True),)
    router.take(LockSeen(6, ""), 12.5)
    assert router.claims_at(13.0, 13.9, 14.0) == 14.0


def test_a_peer_that_sees_the_lock_free_does_not_promise() -> None:
    router = waiting(10.0)
    router.take(Ready(False), 10.0)
    router.take(LockSeen(6, ""), 10.1)
    assert router.take(Asked("r2", "q", 2.0), 10.2) == (Answer("r2", "q", False),)


@pytest.mark.parametrize(
    ("peer", "for_s"), [("stranger", 1.0), ("r2", 2.1), ("r2", math.inf), ("r2", math.nan), ("r2", 0.0), ("r2", -1.0)]
)
def test_no_promise_to_strangers_and_none_that_a_restart_would_not_keep(peer: str, for_s: float) -> None:
    router = waiting(10.0)
    assert router.take(Asked(peer, "q", for_s), 10.2) == (Answer(peer, "q", False),)
    assert router.state.promised_until_s == -math.inf


def test_who_is_active_or_claims_or_has_the_lock_does_not_promise() -> None:
    assert holder().take(Asked("r2", "q", 1.0)) == (Answer("r2", "q", False),)
    claiming = waiting()
    claiming.take(LockSeen(6, ""), 10.5)
    assert claiming.take(Asked("r2", "q", 1.0)) == (Answer("r2", "q", False),)
    late = holder()
    late.take(Tick(), 20.0)
    assert late.take(Asked("r2", "q", 1.0)) == (Answer("r2", "q", False),)


def test_a_promise_is_kept_even_when_an_old_claim_turns_out_to_have_won() -> None:
    router = waiting(10.0)
    router.take(Asked("r2", "q", 2.0), 10.5)
    router.take(LockSeen(7, "r1", 7, LEASE), 10.6)
    assert not router.state.acting
    assert active_until(router.state) == -math.inf
    assert not router.active(12.4)
    assert router.active(12.5)


def test_a_restarted_router_waits_as_long_as_it_may_have_promised() -> None:
    router = Router()
    router.take(LeaseSeen(LEASE, TTL_S, 0.5, granted=True), 0.5)
    router.take(LockSeen(6, ""), 0.5)
    assert router.claims_at(1.0, 1.9, promise_s(TTL_S)) == promise_s(TTL_S)


def test_a_restarted_router_waits_as_its_configuration_says_which_it_may_learn_later() -> None:
    router = Router()
    router.take(Configured((ME, OTHER), "failsafe", 30.0), 0.2)
    router.take(Configured((ME, OTHER), "failsafe", TTL_S), 0.3)
    router.take(LeaseSeen(LEASE, TTL_S, 0.5, granted=True), 0.5)
    router.take(LockSeen(6, ""), 0.5)
    assert router.claims_at(2.0, 14.9, 15.0) == 15.0


def test_a_restarted_holder_goes_on_without_waiting() -> None:
    router = Router()
    router.state = replace(router.state, acted=frozenset({6}))
    router.take(LeaseSeen(LEASE, TTL_S, 0.1, granted=True), 0.1)
    router.take(LockSeen(6, "r1", 6, LEASE), 0.1)
    assert router.state.acting


def test_the_shortest_promise_has_room_for_a_whole_second_in_the_kernel() -> None:
    assert promise_s(2.0) - MARGIN_S > 1.5
    assert promise_s(30.0) == 15.0


# --- etcd is silent -----------------------------------------------------------------------------------------------


def asked(actions: tuple[object, ...]) -> list[AskPeers]:
    return [action for action in actions if isinstance(action, AskPeers)]


def test_the_holder_asks_the_others_once_a_refresh_is_overdue_and_again_and_again() -> None:
    router = holder(10.0, ME, OTHER, THIRD)
    assert asked(router.take(Tick(), 11.0)) == []
    assert asked(router.take(Tick(), 11.3)) == [AskPeers(("r2", "r3"), promise_s(TTL_S))]
    assert asked(router.take(Tick(), 11.4)) == []
    assert asked(router.take(Tick(), 11.51)) == [AskPeers(("r2", "r3"), promise_s(TTL_S))]


def test_with_everybodys_promise_the_holder_stays_and_without_it_it_goes() -> None:
    router = holder(10.0)
    router.take(Promised(12.5, 2.0), 12.6)
    assert active_until(router.state) == pytest.approx(14.5 - MARGIN_S)
    router.take(Promised(14.0, 2.0), 14.1)
    router.take(Promised(13.0, 2.0), 14.2)
    assert router.active(15.6)
    assert not router.active(15.8)


def test_promises_make_nobody_active_who_is_not() -> None:
    router = waiting(10.0)
    router.take(Promised(10.0, 2.0), 10.1)
    assert not router.state.acting
    late = holder(10.0)
    late.take(Tick(), 13.0)
    late.take(Promised(12.9, 2.0), 13.1)
    assert not late.state.acting


def test_who_goes_on_by_promises_claims_the_lock_at_once_when_it_is_free() -> None:
    router = holder(10.0, ME, OTHER)
    router.take(Promised(12.5, 2.0), 12.6)
    router.take(Ready(False), 12.6)
    router.take(LeaseSeen(LEASE, 0.0, 12.7), 12.8)
    assert router.state.acting
    router.take(LeaseSeen(78, TTL_S, 12.9, granted=True), 12.9)
    assert router.take(LockSeen(7, ""), 13.0) == (Claim(78),)
    router.take(LockSeen(8, "r1", 8, 78), 13.1)
    assert active_until(router.state) == pytest.approx(12.9 + TTL_S - MARGIN_S)


def test_who_sees_another_holder_goes_whatever_was_promised() -> None:
    router = holder(10.0)
    router.take(Promised(10.5, 2.0), 10.6)
    router.take(LockSeen(7, "r9", 7, 99), 10.7)
    assert not router.state.acting


def test_with_release_nobody_is_asked_and_the_end_of_the_lease_is_the_end() -> None:
    router = holder(10.0, policy="release")
    assert asked(router.take(Tick(), 12.0)) == []
    router.take(Promised(12.0, 2.0), 12.1)
    assert not router.active(12.8)


def test_with_hold_the_holder_stays_whatever_happens_but_not_against_another_one() -> None:
    router = holder(10.0, policy="hold")
    assert router.active(1000.0)
    router.take(LockSeen(7, ""), 1000.0)
    assert active_until(router.state) == math.inf
    router.take(LockSeen(8, "r2", 8, 66), 1000.1)
    assert not router.state.acting
    assert not waiting(10.0, policy="hold").state.acting


# --- the end ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["failsafe", "release", "hold"])
def test_a_router_that_stops_is_not_active_and_claims_no_more(policy: Policy) -> None:
    router = holder(10.0, policy=policy)
    router.take(Promised(10.1, 2.0), 10.2)
    router.take(Stop(), 10.3)
    assert active_until(router.state) == -math.inf
    router.take(LockSeen(7, ""), 10.4)
    assert router.claims_at(10.5, 12.0, 20.0) is None
    assert not router.state.acting


def test_a_tick_alone_changes_nothing_on_a_quiet_day() -> None:
    router = holder(10.0)
    before = router.state
    assert router.take(Tick(), 10.5) == ()
    assert router.state == replace(before)


def test_the_first_state_knows_nothing_and_may_do_nothing() -> None:
    assert active_until(State("r1")) == -math.inf
    assert step(State("r1"), Tick(), 0.0) == (State("r1"), ())


def test_a_lock_that_a_restart_finds_is_acted_for_at_once_only_by_who_acted_for_it_before() -> None:
    for acted, at_s in ((frozenset({6}), 10.0), (frozenset({5}), 10.0 + promise_s(TTL_S))):
        router = Router()
        router.state = replace(start("r1", TTL_S, 10.0, acted), members=(ME, OTHER))
        router.take(LeaseSeen(LEASE, TTL_S, 10.0, granted=True), 10.0)
        router.take(LockSeen(6, "r1", 6, LEASE), 10.0)
        assert router.state.acting == (at_s == 10.0)
        assert router.active(at_s)
