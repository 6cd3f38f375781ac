"""Who is active: a machine without I/O. Events go in, a new state and things to do come out.

A router is active while one of these holds, and never after `active_until`:

    its lease surely lives and the lock is its own       until `lease_until_s`, renewed by each answered refresh
    etcd is silent, and every other router has promised  until `peers_until_s`, renewed by each round of promises
    not to claim (policy `failsafe`)

Both moments count from when the answered question was *sent*, so they are never later than the other side's idea of
them:

    holder   |--sent------------------------------------------until|
    etcd     |    |--received----------------------------------------expired| then another may claim
    peer     |    |--promise------------------------------------------------| then it may claim

Times are seconds on CLOCK_BOOTTIME. Every event is accepted in every state; an answer about a lease that is no longer
ours is ignored.
"""

from dataclasses import dataclass, replace
from typing import Literal

# Kept between the end of our claim and the end of our acts: the kernel removes a timed address up to 0.25 s late.
MARGIN_S = 0.3
# How much longer a router waits before it claims, for each better one that could.
RANK_DELAY_S = 0.3
# The same where nobody was seen to hold the lock yet: when a whole cluster starts, its routers are seconds apart.
FIRST_RANK_DELAY_S = 2.0
# How much longer a router waits whose kernel is not what it should be.
UNREADY_DELAY_S = 1.0
# A promise has room for a whole second in the kernel, the margin, and a lost question (lifetimes are whole seconds).
SHORTEST_PROMISE_S = 2.0
_FOREVER = float("inf")
_NEVER = float("-inf")

Policy = Literal["failsafe", "release", "hold"]


@dataclass(frozen=True, slots=True)
class Member:
    """A router that could claim, as the configuration lists it."""

    name: str
    priority: int


@dataclass(frozen=True, slots=True)
class State:
    """Everything the decision depends on. `holder` is "" while the lock is free and None before it was ever read."""

    me: str
    members: tuple[Member, ...] = ()
    policy: Policy = "failsafe"
    ttl_s: float = 3.0
    ready: bool = False
    stopping: bool = False
    lease_id: int = 0
    lease_until_s: float = _NEVER
    token: int = 0  # create revision of the lock while it is ours
    holder: str | None = None
    last_holder: str = ""
    seen_revision: int = 0
    free_since_s: float = _FOREVER
    claiming: bool = False
    started_s: float = _NEVER
    claim_again_s: float = _NEVER
    acting: bool = False  # we were active when we last looked: only such a router may go on by promises
    peers_until_s: float = _NEVER
    asked_s: float = _NEVER
    promised_until_s: float = _NEVER


@dataclass(frozen=True, slots=True)
class Configured:
    """A configuration was committed, or read from disk."""

    members: tuple[Member, ...]
    policy: Policy
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Ready:
    """Whether the kernel is what the last commit wants."""

    ready: bool


@dataclass(frozen=True, slots=True)
class LeaseSeen:
    """etcd answered about our lease: a grant, or a refresh. `ttl_s` 0 says that it has ended."""

    lease_id: int
    ttl_s: float
    sent_s: float
    granted: bool = False


@dataclass(frozen=True, slots=True)
class LockSeen:
    """The lock as it was at `revision`: whose it is ("" for free), and its create revision and lease."""

    revision: int
    holder: str
    token: int = 0
    lease_id: int = 0


@dataclass(frozen=True, slots=True)
class StoreReplaced:
    """etcd's revision went back, which it never does by itself: what was known of the lock is worth nothing."""


@dataclass(frozen=True, slots=True)
class ClaimFailed:
    """A claim was refused (somebody was faster) or its outcome is not known: the lock's watch will tell."""


@dataclass(frozen=True, slots=True)
class Promised:
    """Every other router has promised not to claim for `for_s` seconds, none of them asked before `sent_s`."""

    sent_s: float
    for_s: float


@dataclass(frozen=True, slots=True)
class Asked:
    """Another router asks us not to claim for `for_s` seconds; `question` names the question for the answer."""

    peer: str
    question: str
    for_s: float


@dataclass(frozen=True, slots=True)
class Stop:
    """The service is to end: hand over."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = Configured | Ready | LeaseSeen | LockSeen | StoreReplaced | ClaimFailed | Promised | Asked | Stop | Tick


@dataclass(frozen=True, slots=True)
class Claim:
    """Create the lock under the lease, if there is none."""

    lease_id: int


@dataclass(frozen=True, slots=True)
class AskPeers:
    """Ask every other router not to claim for so long."""

    peers: tuple[str, ...]
    for_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """Tell a peer whether we promise what it asked."""

    peer: str
    question: str
    agreed: bool


Action = Claim | AskPeers | Answer


def promise_s(ttl_s: float) -> float:
    """Return the longest promise, in seconds; a router that just started may have given one, and waits so long."""
    return max(SHORTEST_PROMISE_S, ttl_s / 2)


def start(me: str, ttl_s: float, now_s: float) -> State:
    """Return the state of a router that has just started."""
    return State(me, ttl_s=ttl_s, started_s=now_s, claim_again_s=now_s + promise_s(ttl_s))


def active_until(state: State) -> float:
    """Return until when this router may act as the active one; a moment in the past where it may not."""
    return _claim_until(state) if state.acting else _NEVER


def _claim_until(state: State) -> float:
    if state.stopping:
        return _NEVER
    if state.policy == "hold" and state.acting and state.holder in ("", state.me):
        return _FOREVER
    by_lease = state.lease_until_s if state.token else _NEVER
    return max(by_lease, state.peers_until_s)


def step(state: State, event: Event, now_s: float) -> tuple[State, tuple[Action, ...]]:
    """Return the state after an event at `now_s`, and what is to be done.

    Whoever's time is over has to claim again. A promise is kept even when a claim of long ago turns out to have won.
    """
    state, actions = _take(state, event, now_s)
    acting = _claim_until(state) > now_s >= state.promised_until_s
    state = replace(state, acting=acting, peers_until_s=state.peers_until_s if acting else _NEVER)
    state, asked = _ask(state, now_s) if isinstance(event, Tick) else (state, ())
    state, claimed = _claim(state, now_s)
    return state, actions + asked + claimed


def _take(state: State, event: Event, now_s: float) -> tuple[State, tuple[Action, ...]]:
    match event:
        case Configured(members, policy, ttl_s):
            # what we may have promised before a restart was as long as this configuration allows
            claim_again_s = max(state.claim_again_s, state.started_s + promise_s(ttl_s))
            return replace(state, members=members, policy=policy, ttl_s=ttl_s, claim_again_s=claim_again_s), ()
        case Ready(ready):
            return replace(state, ready=ready), ()
        case LeaseSeen():
            return _lease(state, event), ()
        case LockSeen():
            return _lock(state, event, now_s), ()
        case StoreReplaced():
            return replace(state, seen_revision=0, holder=None, token=0, claiming=False), ()
        case ClaimFailed():
            return replace(state, claiming=False, claim_again_s=max(state.claim_again_s, now_s + RANK_DELAY_S)), ()
        case Promised(sent_s, for_s) if state.acting and state.policy == "failsafe":
            return replace(state, peers_until_s=max(state.peers_until_s, sent_s + for_s - MARGIN_S)), ()
        case Asked():
            return _promise(state, event, now_s)
        case Stop():
            return replace(state, stopping=True), ()
        case Promised() | Tick():  # pragma: no branch - there is no other event
            return state, ()


def _lease(state: State, event: LeaseSeen) -> State:
    if event.granted:
        token = state.token if event.lease_id == state.lease_id else 0  # the lock goes with its lease
        until_s = event.sent_s + event.ttl_s - MARGIN_S
        return replace(state, lease_id=event.lease_id, lease_until_s=until_s, token=token)
    if event.lease_id != state.lease_id:
        return state
    if event.ttl_s <= 0:
        return replace(state, lease_id=0, lease_until_s=_NEVER, token=0, claiming=False)
    return replace(state, lease_until_s=max(state.lease_until_s, event.sent_s + event.ttl_s - MARGIN_S))


def _lock(state: State, event: LockSeen, now_s: float) -> State:
    if event.revision < state.seen_revision:
        return state  # told late: we know better
    state = replace(state, seen_revision=event.revision)
    if event.holder == "":
        free_since_s = now_s if state.holder != "" else state.free_since_s
        return replace(state, holder="", token=0, free_since_s=free_since_s)
    ours = event.holder == state.me and event.lease_id == state.lease_id != 0
    return replace(
        state,
        holder=event.holder,
        last_holder=event.holder,
        token=event.token if ours else 0,
        claiming=False,
        # whoever holds the lock now was not bound by the promises that others gave us
        peers_until_s=state.peers_until_s if event.holder == state.me else _NEVER,
    )


def _promise(state: State, event: Asked, now_s: float) -> tuple[State, tuple[Action, ...]]:
    """Promise no more than a restart waits for, and nothing once the lock is free: etcd counted the asker out."""
    known = any(member.name == event.peer for member in state.members)
    free = not state.acting and not state.claiming and not state.token and state.holder != ""
    agreed = known and free and 0 < event.for_s <= promise_s(state.ttl_s)
    if agreed:
        state = replace(state, promised_until_s=max(state.promised_until_s, now_s + event.for_s))
    return state, (Answer(event.peer, event.question, agreed),)


def _ask(state: State, now_s: float) -> tuple[State, tuple[Action, ...]]:
    """Ask the others once the lease is half over: a refresh is overdue by then."""
    for_s = promise_s(state.ttl_s)
    lease_fresh = state.token and state.lease_until_s - now_s > state.ttl_s / 2
    if state.policy != "failsafe" or not state.acting or lease_fresh or now_s - state.asked_s < for_s / 10:
        return state, ()
    peers = tuple(member.name for member in state.members if member.name != state.me)
    return replace(state, asked_s=now_s), (AskPeers(peers, for_s),)


def _claim(state: State, now_s: float) -> tuple[State, tuple[Action, ...]]:
    per_rank_s = RANK_DELAY_S if state.last_holder else FIRST_RANK_DELAY_S
    delay_s = per_rank_s * _rank(state) + (0 if state.ready else UNREADY_DELAY_S)
    if state.acting:
        delay_s = 0  # by promises: nobody else may have it
    lease_lives = state.lease_until_s > now_s
    waits = now_s < max(state.free_since_s, state.promised_until_s, state.claim_again_s) + delay_s
    known = any(member.name == state.me for member in state.members)
    if state.holder != "" or state.claiming or state.stopping or waits or not lease_lives or not known:
        return state, ()
    return replace(state, claiming=True), (Claim(state.lease_id),)


def _rank(state: State) -> int:
    """Count the routers that should claim before us: better ones, but not the one that just lost the lock."""
    mine = next((member.priority for member in state.members if member.name == state.me), 0)
    return sum(
        (member.priority, state.me) > (mine, member.name)
        for member in state.members
        if member.name not in (state.me, state.last_holder)
    )
