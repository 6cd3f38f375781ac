"""What the election knows, hears and does: frozen values, and nothing that decides."""

from dataclasses import dataclass
from typing import Literal

FOREVER = float("inf")
NEVER = float("-inf")

Policy = Literal["failsafe", "release", "hold"]


@dataclass(frozen=True, slots=True)
class Member:
    """A router that could claim, as the configuration lists it."""

    name: str
    priority: int


@dataclass(frozen=True, slots=True)
class Fast:
    """How often the holder shows that it lives, and how many missing signs are its death."""

    interval_s: float
    misses: int

    @property
    def silence_s(self) -> float:
        """How long a holder is silent before it is taken for dead."""
        return self.interval_s * self.misses


@dataclass(frozen=True, slots=True)
class HandOver:
    """An order that the lock of `token` goes to the router `to`, and how far we have come in obeying such ones."""

    to: str = ""
    token: int = 0
    given_up: int = 0  # the token for which we never act again, since it is to be given away
    cleared: bool = False  # the kernel was seen to have none of the addresses since we last acted
    gave_s: float = NEVER  # when we last tried to give the lock away
    asked_s: float = NEVER  # when we last asked the holder for its lock


@dataclass(frozen=True, slots=True)
class NextLease:
    """The lease that the lock is to move to; 0: none."""

    lease_id: int = 0
    until_s: float = NEVER  # it surely lives so long
    asked_s: float = NEVER  # when the move was asked for last: from then on the lock may be there


@dataclass(frozen=True, slots=True)
class Pulse:
    """Signs of life: whose we heard, or from when on we may count its silence, and when we gave ours."""

    token: int = 0  # 0: none heard of the present holder
    heard_s: float = NEVER
    tick_s: float = NEVER  # when our own clock ticked last
    said_s: float = NEVER
    revoked_s: float = NEVER


@dataclass(frozen=True, slots=True)
class State:
    """Everything the decision depends on. `holder` is "" while the lock is free and None before it was ever read."""

    me: str
    members: tuple[Member, ...] = ()
    policy: Policy = "failsafe"
    ttl_s: float = 3.0
    preempt_after_s: float | None = None
    fast: Fast | None = None
    ready: bool = False
    ready_since_s: float = FOREVER
    paused: bool = False
    stopping: bool = False
    lease_id: int = 0
    lease_until_s: float = NEVER
    next_lease: NextLease = NextLease()
    token: int = 0  # create revision of the lock while it is ours
    holder: str | None = None
    last_holder: str = ""  # that we saw ourselves
    former: str = ""  # that had it last before we came, as etcd remembers
    last_lock: tuple[int, int] = (0, 0)  # token and lease of the lock that we saw last
    held_since_s: float = FOREVER
    seen_revision: int = 0
    free_since_s: float = FOREVER
    claiming: bool = False
    started_s: float = NEVER
    acted: frozenset[int] = frozenset()  # the tokens for which we acted before we were started again
    claim_again_s: float = NEVER
    acting: bool = False  # we were active when we last looked: only such a router may go on by promises
    peers_until_s: float = NEVER
    asked_s: float = NEVER
    promised_until_s: float = NEVER
    hand_over: HandOver = HandOver()
    pulse: Pulse = Pulse()


# --- events -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Configured:
    """A configuration was committed, or read from disk."""

    members: tuple[Member, ...]
    policy: Policy
    ttl_s: float
    preempt_after_s: float | None = None
    fast: Fast | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """Whether this router could serve (`clusterd.readiness`)."""

    ready: bool


@dataclass(frozen=True, slots=True)
class Paused:
    """Whether this router is in a pause: it leaves a lock alone that another one had."""

    paused: bool


@dataclass(frozen=True, slots=True)
class LeaseSeen:
    """etcd answered about our lease: a grant, or a refresh. `ttl_s` 0 says that it has ended.

    One that was granted while ours lives `follows` it: the lock is to move there.
    """

    lease_id: int
    ttl_s: float
    sent_s: float
    granted: bool = False
    follows: bool = False


@dataclass(frozen=True, slots=True)
class LockSeen:
    """The lock as it was at `revision`: whose it is ("" for free), and its create revision and lease.

    `former` is who had it last, where etcd remembers that.
    """

    revision: int
    holder: str
    token: int = 0
    lease_id: int = 0
    former: str = ""


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
class Switchover:
    """The lock of `token` is to go to the router `to`; a token of 0 says that no such order is in force any more."""

    to: str
    token: int


@dataclass(frozen=True, slots=True)
class Cleared:
    """The kernel was read, and since we last acted it has none of the addresses."""


@dataclass(frozen=True, slots=True)
class Alive:
    """The holder of the lock of `token` showed that it lives."""

    token: int


@dataclass(frozen=True, slots=True)
class Stop:
    """The service is to end: hand over."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


Event = (
    Configured
    | Ready
    | Paused
    | LeaseSeen
    | LockSeen
    | StoreReplaced
    | ClaimFailed
    | Promised
    | Asked
    | Switchover
    | Cleared
    | Alive
    | Stop
    | Tick
)


# --- actions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """Create the lock under the lease, if there is none."""

    lease_id: int


@dataclass(frozen=True, slots=True)
class Move:
    """Put the lock of this token under another lease, if it still is under the first one."""

    token: int
    lease_id: int
    to_lease_id: int


@dataclass(frozen=True, slots=True)
class GiveAway:
    """Delete the lock, if it still is the one of this token."""

    token: int


@dataclass(frozen=True, slots=True)
class AskHandOver:
    """Order that the lock of this token goes to us, unless there is such an order already."""

    token: int


@dataclass(frozen=True, slots=True)
class Revoke:
    """End the lease of a holder that is taken for dead, if the lock still is the one of this token."""

    token: int
    lease_id: int


@dataclass(frozen=True, slots=True)
class SayAlive:
    """Show every other router that the holder of this lock lives."""

    token: int


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


Action = Claim | Move | GiveAway | AskHandOver | Revoke | SayAlive | AskPeers | Answer
Actions = tuple[Action, ...]
Step = tuple[State, Actions]
