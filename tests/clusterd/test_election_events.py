"""The election under any events in any order: nothing raises, and nobody is active without a reason for it."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd.election import (
    Answer,
    Asked,
    AskPeers,
    Claim,
    ClaimFailed,
    Configured,
    Event,
    LeaseSeen,
    LockSeen,
    Member,
    Move,
    Promised,
    Ready,
    State,
    Stop,
    StoreReplaced,
    Tick,
    active_until,
    promise_s,
    start,
    step,
)
from clusterd.election.machine import MARGIN_S

NAMES = ("r1", "r2", "r3", "stranger")
MEMBERS = st.lists(
    st.builds(Member, st.sampled_from(NAMES[:3]), st.sampled_from((50, 100))), max_size=3, unique_by=lambda m: m.name
).map(tuple)
SECONDS = st.floats(0, 40, allow_nan=False)
LEASES = st.integers(0, 3)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Configured, MEMBERS, st.sampled_from(("failsafe", "release", "hold")), st.sampled_from((2.0, 3.0, 30.0))),
    st.builds(Ready, st.booleans()),
    st.builds(LeaseSeen, LEASES, st.sampled_from((0.0, 2.0, 3.0)), SECONDS, st.booleans(), st.booleans()),
    st.builds(LockSeen, st.integers(1, 9), st.sampled_from(("", *NAMES)), st.integers(0, 9), LEASES),
    st.builds(ClaimFailed),
    st.builds(StoreReplaced),
    st.builds(Promised, SECONDS, st.sampled_from((1.0, 2.0))),
    st.builds(Asked, st.sampled_from(NAMES), st.just("q"), st.floats()),
    st.builds(Stop),
    st.builds(Tick),
    st.builds(Tick),
)
HISTORIES = st.lists(st.tuples(EVENTS, st.floats(0, 1.5, allow_nan=False)), max_size=40)


@settings(max_examples=300)
@given(HISTORIES)
def test_every_event_is_accepted_in_every_state_and_no_rule_is_broken(history: list[tuple[Event, float]]) -> None:
    state, now_s, bound_s = start("r1", 3.0, 0.0), 0.0, -math.inf
    seen: list[Event] = []
    for event, pause_s in history:
        now_s += pause_s
        if isinstance(event, LeaseSeen | Promised) and event.sent_s > now_s:
            continue  # an answer is never there before its question
        seen.append(event)
        before, (state, actions) = state, step(state, event, now_s)
        for action in actions:
            match action:
                case Answer(_, _, agreed):
                    assert isinstance(event, Asked)
                    assert not (agreed and before.acting)
                    bound_s = max(bound_s, now_s + event.for_s) if agreed else bound_s
                case Claim(lease_id):
                    assert state.holder == ""
                    assert lease_id == state.lease_id
                    assert now_s < state.lease_until_s
                    assert now_s >= max(bound_s, promise_s(2.0))
                    assert not state.stopping
                case Move(token, lease_id, to_lease_id):
                    assert (token, lease_id) == (state.token, state.lease_id)
                    assert to_lease_id == state.next_lease.lease_id
                    assert state.lease_until_s <= state.next_lease.until_s
                    assert not state.stopping
                case AskPeers(peers, for_s):
                    assert state.acting
                    assert "r1" not in peers
                    assert for_s == promise_s(state.ttl_s)
        _activity_has_a_reason(state, seen, now_s, bound_s)


def _activity_has_a_reason(state: State, seen: list[Event], now_s: float, bound_s: float) -> None:
    until_s = active_until(state)
    assert state.acting == (until_s > now_s)
    if not state.acting:
        return
    assert now_s >= bound_s
    assert not any(isinstance(event, Stop) for event in seen)
    if until_s == math.inf:
        assert state.policy == "hold"
        return
    leases = [e.sent_s + e.ttl_s for e in seen if isinstance(e, LeaseSeen) and e.lease_id == state.lease_id]
    promises = [e.sent_s + e.for_s for e in seen if isinstance(e, Promised)]
    ends_s = (leases if state.token else []) + promises
    assert until_s <= max(ends_s) - MARGIN_S
    if state.token and not promises:
        own = [e for e in seen if isinstance(e, LockSeen) and (e.holder, e.lease_id) == ("r1", state.lease_id)]
        assert state.token in [event.token for event in own]


@given(HISTORIES, st.floats(0, 100, allow_nan=False))
def test_who_hears_nothing_any_more_is_not_active_for_long(history: list[tuple[Event, float]], later_s: float) -> None:
    state, now_s = start("r1", 3.0, 0.0), 0.0
    for event, pause_s in history:
        now_s += pause_s
        if not (isinstance(event, LeaseSeen | Promised) and event.sent_s > now_s):
            state, _ = step(state, event, now_s)
    if len(state.members) > 1 and state.policy != "hold":
        state, _ = step(state, Tick(), now_s + 3.0 + later_s)
        assert not state.acting
