"""The machine itself: what each event changes, and from when to when we act."""

from dataclasses import replace

from clusterd.election.claiming import RANK_DELAY_S, claim, rank
from clusterd.election.fast import beat, hear
from clusterd.election.following import ended, followed, move, without_lock
from clusterd.election.hand_over import give, given_up, obey, preempt
from clusterd.election.promises import ask, promise, promise_s
from clusterd.election.values import (
    FOREVER,
    NEVER,
    Alive,
    Asked,
    ClaimFailed,
    Cleared,
    Configured,
    Event,
    LeaseSeen,
    LockSeen,
    NextLease,
    Paused,
    Promised,
    Ready,
    State,
    Step,
    Stop,
    StoreReplaced,
    Switchover,
    Tick,
)

# Kept between the end of our claim and the end of our acts: the kernel removes a timed address up to 0.25 s late.
MARGIN_S = 0.3


def start(me: str, ttl_s: float, now_s: float, acted: frozenset[int] = frozenset()) -> State:
    """Return the state of a router that has just started, and that acted for locks of these tokens before that."""
    return State(me, ttl_s=ttl_s, started_s=now_s, claim_again_s=now_s + promise_s(ttl_s), acted=acted)


def active_until(state: State) -> float:
    """Return until when this router may act as the active one; a moment in the past where it may not."""
    return _claim_until(state) if state.acting else NEVER


def _claim_until(state: State) -> float:
    if state.stopping or given_up(state):
        return NEVER
    if state.policy == "hold" and state.acting and state.holder in ("", state.me):
        return FOREVER
    by_lease = state.lease_until_s if state.token else NEVER
    return max(by_lease, state.peers_until_s)


def step(state: State, event: Event, now_s: float) -> Step:
    """Return the state after an event at `now_s`, and what is to be done.

    Whoever's time is over has to claim again. A promise is kept even when a claim of long ago turns out to have won.
    """
    state, actions = _take(state, event, now_s)
    state = without_lock(obey(state))
    acting = _claim_until(state) > now_s >= state.promised_until_s and _unbound(state, now_s)
    if acting != state.acting or (not acting and state.peers_until_s > NEVER):
        state = _acting(state, acting)
    if isinstance(event, Tick):
        for follow in (ask, move, give, _preempt, beat):
            state, more = follow(state, now_s)
            actions += more
    state, claimed = claim(state, now_s)
    return state, actions + claimed


def _unbound(state: State, now_s: float) -> bool:
    """Return whether no promise from before a restart can bind us.

    Who acted for a lock had promised nothing. A lock that is ours without that was won by a claim of long ago.
    """
    return state.acting or state.token in state.acted or now_s >= state.started_s + promise_s(state.ttl_s)


def _acting(state: State, acting: bool) -> State:
    if acting:
        return replace(state, acting=True, hand_over=replace(state.hand_over, cleared=False))
    return replace(state, acting=False, peers_until_s=NEVER)


def _preempt(state: State, now_s: float) -> Step:
    return preempt(state, rank(state), now_s) if state.preempt_after_s is not None else (state, ())


def _take(state: State, event: Event, now_s: float) -> Step:
    match event:
        case Asked():
            return promise(state, event, now_s)
        case Cleared() if not state.acting:
            return give(replace(state, hand_over=replace(state.hand_over, cleared=True)), now_s)
        case Promised(sent_s, for_s) if state.acting and state.policy == "failsafe":
            return replace(state, peers_until_s=max(state.peers_until_s, sent_s + for_s - MARGIN_S)), ()
        case LeaseSeen():
            return _lease(state, event), ()
        case LockSeen():
            return _lock(state, event, now_s), ()
        case Alive():
            return hear(state, event, now_s), ()
        case StoreReplaced():
            return replace(state, seen_revision=0, holder=None, token=0, claiming=False), ()
        case ClaimFailed():
            return replace(state, claiming=False, claim_again_s=max(state.claim_again_s, now_s + RANK_DELAY_S)), ()
        case Promised() | Cleared() | Tick():
            return state, ()
        case _:
            return _told(state, event, now_s), ()


def _told(state: State, event: Configured | Ready | Paused | Switchover | Stop, now_s: float) -> State:
    """Take what people and the rest of the router tell."""
    match event:
        case Configured():
            return replace(
                state,
                members=event.members,
                policy=event.policy,
                ttl_s=event.ttl_s,
                preempt_after_s=event.preempt_after_s,
                fast=event.fast,
                # what we may have promised before a restart was as long as this configuration allows
                claim_again_s=max(state.claim_again_s, state.started_s + promise_s(event.ttl_s)),
            )
        case Ready(ready):
            since_s = FOREVER if not ready else state.ready_since_s if state.ready else now_s
            return replace(state, ready=ready, ready_since_s=since_s)
        case Paused(paused):
            return replace(state, paused=paused)
        case Switchover(to, token):
            return replace(state, hand_over=replace(state.hand_over, to=to, token=token))
        case Stop():  # pragma: no branch - there is no other event
            return replace(state, stopping=True)


def _lease(state: State, event: LeaseSeen) -> State:
    until_s, after = event.sent_s + event.ttl_s - MARGIN_S, state.next_lease
    if event.follows and state.lease_id:
        return replace(state, next_lease=NextLease(event.lease_id, until_s))
    if event.granted:
        token = state.token if event.lease_id == state.lease_id else 0  # the lock goes with its lease
        return replace(state, lease_id=event.lease_id, lease_until_s=until_s, next_lease=NextLease(), token=token)
    if event.lease_id == after.lease_id != 0:
        longer = replace(after, until_s=max(after.until_s, until_s))
        return ended(state) if event.ttl_s <= 0 else replace(state, next_lease=longer)
    if event.lease_id != state.lease_id:
        return state
    if event.ttl_s <= 0:
        return followed(replace(state, token=0, claiming=False))
    if after.lease_id:
        until_s = min(until_s, after.until_s)
    return replace(state, lease_until_s=max(state.lease_until_s, until_s))


def _lock(state: State, event: LockSeen, now_s: float) -> State:
    if event.revision < state.seen_revision:
        return state  # told late: we know better
    if event.holder == "":
        free_since_s = now_s if state.holder != "" else state.free_since_s
        former = event.former or state.former
        return replace(
            state, seen_revision=event.revision, holder="", token=0, free_since_s=free_since_s, former=former
        )
    if event.holder == state.me and event.lease_id == state.next_lease.lease_id != 0:
        state = followed(state)
    ours = event.holder == state.me and event.lease_id == state.lease_id != 0
    return replace(
        state,
        seen_revision=event.revision,
        holder=event.holder,
        last_holder=event.holder,
        last_lock=(event.token, event.lease_id),
        held_since_s=state.held_since_s if event.token == state.last_lock[0] else now_s,
        token=event.token if ours else 0,
        claiming=False,
        # whoever holds the lock now was not bound by the promises that others gave us
        peers_until_s=state.peers_until_s if event.holder == state.me else NEVER,
    )
