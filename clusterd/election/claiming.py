"""Who claims the free lock, and when: better routers first, ready ones before others, an order before everything.

lock free ──0──► the router that a switchover names          ──0.3 s a better one──► the others, by their rank
              (then the others wait SWITCHOVER_WAIT_S more)  ──1 s──► those that are not ready
"""

from dataclasses import replace

from clusterd.election.values import Claim, State, Step

# How much longer a router waits before it claims, for each better one that could.
RANK_DELAY_S = 0.3
# The same where nobody was seen to hold the lock yet: when a whole cluster starts, its routers are seconds apart.
FIRST_RANK_DELAY_S = 2.0
# How much longer a router waits whose kernel is not what it should be.
UNREADY_DELAY_S = 1.0
# How much longer a router waits when the lock was given away for another one.
SWITCHOVER_WAIT_S = 3.0


def ordered_to(state: State) -> str:
    """Return the router that the free lock was given away for, "" where there is none or it is free for other reasons.

    The order names the token that was to be given away, so it is worth nothing once somebody had the lock again.
    """
    order = state.hand_over
    known = any(member.name == order.to for member in state.members)
    return order.to if known and order.token and order.token == state.last_lock[0] else ""


def claim(state: State, now_s: float) -> Step:
    """Claim the lock when it is free and nothing says that we should leave it to others."""
    if state.holder != "" or state.claiming or state.stopping or state.lease_until_s <= now_s:
        return state, ()
    waits = now_s < max(state.free_since_s, state.promised_until_s, state.claim_again_s) + _delay_s(state)
    known = any(member.name == state.me for member in state.members)
    if waits or not known or _leaves_it(state):
        return state, ()
    return replace(state, claiming=True), (Claim(state.lease_id),)


def _leaves_it(state: State) -> bool:
    """Return whether a pause says that the lock is another's, though it is free. An order counts more than a pause."""
    former = state.last_holder or state.former
    return state.paused and former not in ("", state.me) and ordered_to(state) != state.me


def _delay_s(state: State) -> float:
    if state.acting:
        return 0  # by promises: nobody else may have it
    unready_s = 0 if state.ready else UNREADY_DELAY_S
    ordered = ordered_to(state)
    if ordered == state.me:
        return unready_s
    per_rank_s = RANK_DELAY_S if state.last_holder else FIRST_RANK_DELAY_S
    return per_rank_s * rank(state) + unready_s + (SWITCHOVER_WAIT_S if ordered else 0)


def rank(state: State) -> int:
    """Count the routers that should claim before us: better ones, but not the one that just lost the lock."""
    mine = next((member.priority for member in state.members if member.name == state.me), 0)
    return sum(
        (member.priority, state.me) > (mine, member.name)
        for member in state.members
        if member.name not in (state.me, state.last_holder)
    )
