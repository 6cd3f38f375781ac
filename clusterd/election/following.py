"""One lease follows another: a lease cannot be made longer or shorter, so a lock moves to one that lasts as configured.

    lease, 30 s     |--refreshed------|claims go no further than the next one lasts|
    next one, 3 s                     |granted, refreshed----------------------------------------...
    lock                                                            |nothing is claimed beyond it: moved

The lock keeps its token. Whatever becomes of the request to move it, it is under one of the two, and what was claimed
ends before both. Where the lock is not ours the next lease simply takes the place of the first.
"""

from dataclasses import replace

from clusterd.election.hand_over import given_up
from clusterd.election.values import NEVER, Move, NextLease, State, Step

MOVE_AGAIN_S = 1.0


def followed(state: State) -> State:
    """Go on with the next lease."""
    after = state.next_lease
    return replace(state, lease_id=after.lease_id, lease_until_s=after.until_s, next_lease=NextLease())


def without_lock(state: State) -> State:
    """Go on with the next lease where no lock has to move, and none may turn up under the first."""
    return followed(state) if state.next_lease.lease_id and not state.token and not state.claiming else state


def ended(state: State) -> State:
    """Forget the next lease. If the lock may have moved there, it is ours again when it is seen under the first one."""
    asked = state.next_lease.asked_s > NEVER
    return replace(state, next_lease=NextLease(), token=0 if asked else state.token)


def move(state: State, now_s: float) -> Step:
    """Move the lock to the next lease, as soon as that lasts as long as anything that was claimed."""
    after = state.next_lease
    due = now_s - after.asked_s >= MOVE_AGAIN_S and state.lease_until_s <= after.until_s
    if not after.lease_id or not state.token or given_up(state) or not due:
        return state, ()
    state = replace(state, next_lease=replace(after, asked_s=now_s))
    return state, (Move(state.token, state.lease_id, after.lease_id),)
