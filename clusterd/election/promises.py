"""Promises not to claim: what keeps a holder in place while etcd does not answer it (policy `failsafe`)."""

from dataclasses import replace

from clusterd.election.values import Answer, Asked, AskPeers, State, Step

# A promise has room for a whole second in the kernel, the margin, and a lost question (lifetimes are whole seconds).
SHORTEST_PROMISE_S = 2.0


def promise_s(ttl_s: float) -> float:
    """Return the longest promise, in seconds; a router that just started may have given one, and waits so long."""
    return max(SHORTEST_PROMISE_S, ttl_s / 2)


def promise(state: State, event: Asked, now_s: float) -> Step:
    """Promise no more than a restart waits for, and nothing once the lock is free: etcd counted the asker out."""
    known = any(member.name == event.peer for member in state.members)
    free = not state.acting and not state.claiming and not state.token and state.holder != ""
    agreed = known and free and 0 < event.for_s <= promise_s(state.ttl_s)
    if agreed:
        state = replace(state, promised_until_s=max(state.promised_until_s, now_s + event.for_s))
    return state, (Answer(event.peer, event.question, agreed),)


def ask(state: State, now_s: float) -> Step:
    """Ask the others once the lease is half over: a refresh is overdue by then."""
    if state.policy != "failsafe" or not state.acting:
        return state, ()
    for_s = promise_s(state.ttl_s)
    lease_fresh = state.token and state.lease_until_s - now_s > state.ttl_s / 2
    if lease_fresh or now_s - state.asked_s < for_s / 10:
        return state, ()
    peers = tuple(member.name for member in state.members if member.name != state.me)
    return replace(state, asked_s=now_s), (AskPeers(peers, for_s),)
