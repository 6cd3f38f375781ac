"""Handing over on demand: a switchover names the lock by its token, so an old order moves nothing.

holder   |--acts----------|ordered: addresses away |read back: none left |lock given away
`to`                                                                     |claims at once
others                                                                   |wait a few seconds longer, the holder too

From the order on the holder never acts for that token again, even if the order is taken back meanwhile: the deletion
of the lock may be on its way.
"""

from dataclasses import replace

from clusterd.election.values import Actions, AskHandOver, GiveAway, State, Step

GIVE_AGAIN_S = 1.0
# A better router that asked and was not given the lock asks again after so long; the order itself lives shorter.
ASK_AGAIN_S = 60.0
# For each better router that could ask first.
ASK_DELAY_S = 5.0


def obey(state: State) -> State:
    """Give up the lock that an order names."""
    order = state.hand_over
    if not state.token or state.token != order.token or order.to == state.me or state.token == order.given_up:
        return state
    if not any(member.name == order.to for member in state.members):
        return state
    return replace(state, hand_over=replace(order, given_up=state.token))


def given_up(state: State) -> bool:
    """Return whether the lock is ours only until it is given away."""
    return state.token != 0 and (state.stopping or state.token == state.hand_over.given_up)


def give(state: State, now_s: float) -> Step:
    """Give the lock away once the kernel has none of the addresses; again, where that was not seen to work."""
    order = state.hand_over
    if not given_up(state) or not order.cleared or now_s - order.gave_s < GIVE_AGAIN_S:
        return state, ()
    return replace(state, hand_over=replace(order, gave_s=now_s)), (GiveAway(state.token),)


def preempt(state: State, rank: int, now_s: float) -> Step:
    """Ask a worse router for the lock, after we have been ready and it has had the lock for the configured time."""
    after_s, order = state.preempt_after_s, state.hand_over
    if after_s is None or not state.ready or state.stopping or state.paused or state.lease_until_s <= now_s:
        return state, ()
    priorities = {member.name: member.priority for member in state.members}
    worse = state.holder in priorities and priorities[state.holder] < priorities.get(state.me, -1)
    due_s = max(state.ready_since_s, state.held_since_s) + after_s + ASK_DELAY_S * rank
    if not worse or now_s < max(due_s, order.asked_s + ASK_AGAIN_S):
        return state, ()
    actions: Actions = (AskHandOver(state.last_lock[0]),)
    return replace(state, hand_over=replace(order, asked_s=now_s)), actions
