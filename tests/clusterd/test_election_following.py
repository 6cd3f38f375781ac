"""One lease follows another: the lock goes along with its token, and nobody claims beyond the lease it is under."""

import pytest

from clusterd.election import Claim, LeaseSeen, LockSeen, Move, NextLease, Stop, Switchover, Tick, active_until
from clusterd.election.following import MOVE_AGAIN_S
from clusterd.election.machine import MARGIN_S
from tests.clusterd.elections import LEASE, TTL_S, Router, holder, waiting

NEXT = 88
LONG_S, SHORT_S = 30.0, 2.0


def moving(next_s: float, at_s: float = 10.0) -> Router:
    """Return a router that has held the lock since `at_s`, and to whose lease one of other length follows."""
    router = holder(at_s)
    router.take(LeaseSeen(NEXT, next_s, at_s, granted=True, follows=True))
    return router


def test_a_lock_moves_to_a_longer_lease_at_once_and_keeps_its_token() -> None:
    router = moving(LONG_S)
    assert router.take(Tick(), 10.1) == (Move(6, LEASE, NEXT),)
    router.take(LockSeen(7, "r1", 6, NEXT))
    assert (router.state.lease_id, router.state.token, router.state.next_lease) == (NEXT, 6, NextLease())
    assert active_until(router.state) == pytest.approx(10.0 + LONG_S - MARGIN_S)
    assert router.take(Tick(), 12.0) == ()


def test_a_lock_moves_to_a_shorter_lease_only_when_nothing_is_claimed_beyond_that() -> None:
    router = moving(SHORT_S)
    assert router.take(Tick(), 10.1) == ()
    assert active_until(router.state) == pytest.approx(10.0 + TTL_S - MARGIN_S), "as long as the kernel was told"
    router.take(LeaseSeen(NEXT, SHORT_S, 10.9), 10.9)
    router.take(LeaseSeen(LEASE, TTL_S, 10.9), 10.9)
    assert active_until(router.state) == pytest.approx(10.0 + TTL_S - MARGIN_S), "no longer than it was before"
    router.take(LeaseSeen(NEXT, SHORT_S, 11.5), 11.5)
    router.take(LeaseSeen(LEASE, TTL_S, 11.5), 11.5)
    assert active_until(router.state) == pytest.approx(11.5 + SHORT_S - MARGIN_S)
    assert router.take(Tick()) == (Move(6, LEASE, NEXT),)


def test_an_answer_about_the_next_lease_that_overtook_another_does_not_shorten_it() -> None:
    router = moving(LONG_S)
    router.take(LeaseSeen(NEXT, LONG_S, 9.0), 10.1)
    assert router.state.next_lease.until_s == pytest.approx(10.0 + LONG_S - MARGIN_S)


def test_a_lock_that_was_not_seen_to_move_is_moved_again_after_a_while() -> None:
    router = moving(LONG_S)
    assert router.take(Tick(), 10.1)
    assert router.take(Tick(), 10.1 + MOVE_AGAIN_S / 2) == ()
    assert Move(6, LEASE, NEXT) in router.take(Tick(), 10.2 + MOVE_AGAIN_S)


def test_without_the_lock_the_next_lease_takes_the_place_of_the_first_at_once() -> None:
    router = waiting(10.0)
    router.take(LeaseSeen(NEXT, LONG_S, 10.0, granted=True, follows=True))
    assert (router.state.lease_id, router.state.next_lease) == (NEXT, NextLease())
    assert router.state.lease_until_s == pytest.approx(10.0 + LONG_S - MARGIN_S)


def test_a_claim_that_is_under_way_is_waited_for_and_moves_then() -> None:
    router = waiting(10.0)
    assert router.take(LockSeen(6, ""), 11.0) == (Claim(LEASE),)
    router.take(LeaseSeen(NEXT, LONG_S, 11.0, granted=True, follows=True))
    assert router.state.lease_id == LEASE
    router.take(LockSeen(7, "r1", 7, LEASE))
    assert router.take(Tick()) == (Move(7, LEASE, NEXT),)


def test_a_lock_that_goes_while_it_moves_leaves_the_next_lease() -> None:
    router = moving(LONG_S)
    router.take(Tick(), 10.1)
    router.take(LockSeen(7, ""))
    assert (router.state.lease_id, router.state.token) == (NEXT, 0)


def test_when_the_first_lease_ends_the_next_one_is_there_and_the_lock_if_it_has_moved() -> None:
    router = moving(LONG_S)
    router.take(Tick(), 10.1)
    router.take(LeaseSeen(LEASE, 0.0, 10.2), 10.3)
    assert (router.state.lease_id, router.state.token, router.state.acting) == (NEXT, 0, False)
    router.take(LockSeen(7, "r1", 6, NEXT))
    assert (router.state.token, router.state.acting) == (6, True)


def test_a_next_lease_that_ends_before_the_lock_was_to_move_is_no_loss() -> None:
    router = moving(SHORT_S)
    router.take(LeaseSeen(NEXT, 0.0, 10.5), 10.6)
    assert (router.state.lease_id, router.state.next_lease, router.state.acting) == (LEASE, NextLease(), True)


def test_a_next_lease_that_ends_with_the_lock_perhaps_under_it_ends_the_claim_until_the_lock_is_seen() -> None:
    router = moving(LONG_S)
    router.take(Tick(), 10.1)
    router.take(LeaseSeen(NEXT, 0.0, 10.5), 10.6)
    assert (router.state.lease_id, router.state.token, router.state.acting) == (LEASE, 0, False)
    router.take(LockSeen(7, "r1", 6, LEASE))
    assert router.state.acting


def test_a_lease_that_follows_none_is_just_the_lease() -> None:
    router = Router()
    router.take(LeaseSeen(NEXT, LONG_S, 0.0, granted=True, follows=True))
    assert (router.state.lease_id, router.state.next_lease) == (NEXT, NextLease())


@pytest.mark.parametrize("event", [Stop(), Switchover("r2", 6)])
def test_a_lock_that_is_to_be_given_away_does_not_move(event: Stop | Switchover) -> None:
    router = moving(LONG_S)
    router.take(event)
    assert not any(isinstance(action, Move) for action in router.take(Tick(), 10.1))
