"""Fast failover: the holder shows that it lives, and a ready router that hears nothing ends its lease in etcd.

holder   |.|.|.|.|x dead
backup   |.|.|.|.|    |    |    | silence_s over: revoke its lease, claim

Without it the lease has to run out first. What it costs: a holder that reaches neither the others nor etcd, but still
its clients, goes on until its own deadline, so both answer for up to the TTL of the lease. A holder that reaches etcd
sees at once that its lease or its lock is gone.
"""

from dataclasses import replace

from clusterd.election.claiming import RANK_DELAY_S, rank
from clusterd.election.hand_over import given_up
from clusterd.election.values import Actions, Alive, Fast, Pulse, Revoke, SayAlive, State, Step

REVOKE_AGAIN_S = 1.0
NOTHING: Actions = ()


def hear(state: State, event: Alive, now_s: float) -> State:
    """Remember a sign of life of the present holder; others' are old."""
    if event.token != state.last_lock[0] or state.holder in ("", None, state.me):
        return state
    return replace(state, pulse=replace(state.pulse, token=event.token, heard_s=now_s))


def beat(state: State, now_s: float) -> Step:
    """Give our sign of life where it is due, and count the silence of another holder."""
    fast, pulse = state.fast, state.pulse
    if fast is None:
        return state, ()
    late = now_s - pulse.tick_s > 2 * fast.interval_s  # we did not hear what came meanwhile: count from now on
    heard_s = max(pulse.heard_s, now_s) if late else pulse.heard_s
    said_s, revoked_s, actions = pulse.said_s, pulse.revoked_s, NOTHING
    if state.token:
        if (state.acting or given_up(state)) and now_s - said_s > 0.8 * fast.interval_s:
            said_s, actions = now_s, (SayAlive(state.token),)
    elif _may_revoke(state, now_s) and now_s >= _dead_at_s(state, fast, heard_s):
        revoked_s, actions = now_s, (Revoke(*state.last_lock),)
    return replace(state, pulse=Pulse(pulse.token, heard_s, now_s, said_s, revoked_s)), actions


def _may_revoke(state: State, now_s: float) -> bool:
    """Return whether we could serve instead, and the silent one is the holder whose signs we have heard."""
    able = state.ready and not state.paused and not state.stopping and state.lease_until_s > now_s
    free = now_s >= max(state.promised_until_s, state.claim_again_s)
    held = state.holder not in ("", None, state.me) and state.pulse.token == state.last_lock[0] != 0
    known = any(member.name == state.me for member in state.members)
    return able and free and held and known


def _dead_at_s(state: State, fast: Fast, heard_s: float) -> float:
    """Return when the silence is long enough; worse routers leave it to the best one at first."""
    others_s = rank(state) * max(fast.silence_s, RANK_DELAY_S)
    return max(heard_s + fast.silence_s + others_s, state.pulse.revoked_s + REVOKE_AGAIN_S)
