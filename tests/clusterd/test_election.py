"""Who is active: the rules of the lease and the lock, each as a sentence."""

import math

import pytest

from clusterd.election import (
    Claim,
    ClaimFailed,
    LeaseSeen,
    LockSeen,
    Ready,
    StoreReplaced,
    Tick,
    active_until,
)
from clusterd.election.claiming import RANK_DELAY_S, UNREADY_DELAY_S
from clusterd.election.machine import MARGIN_S
from tests.clusterd.elections import LEASE, ME, OTHER, THIRD, TTL_S, Router, holder, waiting

# --- the lease ----------------------------------------------------------------------------------------------------


def test_who_has_the_lock_under_a_living_lease_is_active_until_a_margin_before_its_end() -> None:
    router = holder(10.0)
    assert active_until(router.state) == pytest.approx(10.0 + TTL_S - MARGIN_S)
    assert router.active(12.6)
    assert not router.active(12.8)
    assert active_until(router.state) == -math.inf


def test_a_refresh_counts_from_when_it_was_sent() -> None:
    router = holder(10.0)
    router.take(LeaseSeen(LEASE, TTL_S, 11.0), 11.9)
    assert active_until(router.state) == pytest.approx(11.0 + TTL_S - MARGIN_S)


def test_an_answer_that_overtook_another_does_not_shorten_the_lease() -> None:
    router = holder(10.0)
    router.take(LeaseSeen(LEASE, TTL_S, 11.0), 11.1)
    router.take(LeaseSeen(LEASE, TTL_S, 10.5), 11.2)
    assert active_until(router.state) == pytest.approx(11.0 + TTL_S - MARGIN_S)


def test_an_answer_about_a_lease_that_is_no_longer_ours_is_ignored() -> None:
    router = holder(10.0)
    before = router.state
    router.take(LeaseSeen(66, TTL_S, 12.0), 12.1)
    router.take(LeaseSeen(66, 0.0, 12.0), 12.1)
    assert router.state == before


def test_a_lease_that_has_ended_ends_the_claim() -> None:
    router = holder(10.0)
    router.take(LeaseSeen(LEASE, 0.0, 11.0), 11.1)
    assert not router.state.acting
    assert (router.state.lease_id, router.state.token) == (0, 0)


def test_a_new_lease_does_not_bring_the_lock_of_the_old_one() -> None:
    router = holder(10.0)
    router.take(LeaseSeen(78, TTL_S, 11.0, granted=True), 11.1)
    assert not router.state.acting
    router.take(LockSeen(6, "r1", 6, LEASE), 11.2)
    assert not router.state.acting
    assert not router.state.token


def test_a_longer_lease_than_was_asked_for_counts_as_it_was_granted() -> None:
    router = Router()
    router.take(LeaseSeen(LEASE, 5.0, 10.0, granted=True), 10.0)
    router.take(LockSeen(6, "r1", 6, LEASE), 10.0)
    assert active_until(router.state) == pytest.approx(15.0 - MARGIN_S)


# --- the lock -----------------------------------------------------------------------------------------------------


def test_a_lock_that_was_never_read_is_not_claimed() -> None:
    router = Router()
    router.take(LeaseSeen(LEASE, TTL_S, 10.0, granted=True), 10.0)
    assert router.claims_at(10.0, 20.0, 30.0) is None


def test_a_free_lock_is_claimed_once_under_the_lease() -> None:
    router = waiting()
    assert router.take(LockSeen(6, ""), 10.5) == (Claim(LEASE),)
    assert router.take(Tick(), 10.6) == ()


def test_a_free_lock_is_not_claimed_without_a_living_lease() -> None:
    router = waiting()
    assert router.take(LockSeen(6, ""), 13.0) == ()
    router.take(LeaseSeen(LEASE, 0.0, 13.0), 13.1)
    assert router.take(Tick(), 13.2) == ()
    assert router.take(LeaseSeen(78, TTL_S, 13.3, granted=True), 13.3) == (Claim(78),)


def test_what_is_told_late_about_the_lock_is_ignored() -> None:
    router = waiting()
    router.take(LockSeen(7, ""), 10.5)
    before = router.state
    router.take(LockSeen(6, "r2", 6, 66), 10.6)
    assert router.state == before


def test_a_lock_seen_twice_at_one_revision_is_the_same_news() -> None:
    router = holder()
    before = router.state
    router.take(LockSeen(6, "r1", 6, LEASE), 10.1)
    assert router.state == before


def test_a_lost_lock_ends_the_claim_at_once() -> None:
    router = holder(10.0)
    router.take(LockSeen(7, "r2", 7, 66), 10.5)
    assert not router.state.acting


def test_a_refused_claim_is_made_again_after_a_while_if_the_lock_is_free() -> None:
    router = waiting()
    router.take(LockSeen(6, ""), 10.5)
    router.take(ClaimFailed(), 10.6)
    assert router.claims_at(10.7, 10.6 + RANK_DELAY_S) == 10.6 + RANK_DELAY_S


def test_a_claim_that_others_won_is_not_made_again() -> None:
    router = waiting()
    router.take(LockSeen(6, ""), 10.5)
    router.take(LockSeen(7, "r3", 7, 88), 10.6)
    router.take(ClaimFailed(), 10.6)
    assert router.claims_at(11.0, 12.0, 20.0) is None


def test_a_router_that_the_configuration_does_not_list_never_claims() -> None:
    router = waiting(10.0, OTHER, THIRD)
    router.take(LockSeen(6, ""), 10.5)
    assert router.claims_at(11.0, 20.0) is None


# --- who comes first ----------------------------------------------------------------------------------------------


def free_since(at_s: float, router: Router, lost_by: str = "") -> Router:
    if lost_by:
        router.take(LockSeen(6, lost_by, 6, 55), at_s)
    router.take(LockSeen(7, ""), at_s)
    return router


def test_a_router_waits_for_each_better_one_but_not_for_the_one_that_lost_the_lock() -> None:
    members = (ME, OTHER, THIRD)
    third = free_since(10.5, waiting(10.0, *members, name="r3"), lost_by="r2")
    assert third.claims_at(10.5, 10.7, 10.81) == 10.81
    third = free_since(10.5, waiting(10.0, *members, name="r3"), lost_by="r9")
    assert third.claims_at(10.81, 11.0, 11.11) == 11.11


def test_of_two_with_the_same_priority_the_first_name_comes_first() -> None:
    assert free_since(10.5, waiting(10.0, ME, OTHER), lost_by="r9").state.claiming
    assert not free_since(10.5, waiting(10.0, ME, OTHER, name="r2"), lost_by="r9").state.claiming


def test_a_router_whose_kernel_is_not_ready_leaves_the_others_the_way() -> None:
    router = waiting()
    router.take(Ready(False), 10.1)
    router.take(LockSeen(6, ""), 10.5)
    assert router.claims_at(11.0, 10.5 + UNREADY_DELAY_S) == 10.5 + UNREADY_DELAY_S


def test_what_a_replaced_store_says_of_the_lock_is_heard_although_its_revisions_are_lower() -> None:
    router = holder(10.0)
    router.take(LockSeen(2, "", 0, 0), 10.1)
    assert router.state.acting, "told late, as long as the store is the same"
    router.take(StoreReplaced(), 10.2)
    assert not router.state.acting
    router.take(LockSeen(2, "r2", 2, 66), 10.3)
    assert router.state.holder == "r2"
