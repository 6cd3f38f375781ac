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
ours is ignored. There is one machine for each group of addresses.

values      state, events, actions
machine     step: the lease, the lock, when we act
claiming    who claims, and when
promises    not to claim while etcd does not answer somebody
following   a lock moves to another lease, where one is to last longer or shorter
hand_over   switchover and preemption: the holder stands down, clears its kernel, gives the lock away
fast        signs of life, and what follows from their end
"""

from clusterd.election.machine import active_until, start, step
from clusterd.election.promises import promise_s
from clusterd.election.values import (
    NEVER,
    Action,
    Alive,
    Answer,
    Asked,
    AskHandOver,
    AskPeers,
    Claim,
    ClaimFailed,
    Cleared,
    Configured,
    Event,
    Fast,
    GiveAway,
    LeaseSeen,
    LockSeen,
    Member,
    Move,
    NextLease,
    Paused,
    Policy,
    Promised,
    Ready,
    Revoke,
    SayAlive,
    State,
    Stop,
    StoreReplaced,
    Switchover,
    Tick,
)

__all__ = [
    "NEVER",
    "Action",
    "Alive",
    "Answer",
    "AskHandOver",
    "AskPeers",
    "Asked",
    "Claim",
    "ClaimFailed",
    "Cleared",
    "Configured",
    "Event",
    "Fast",
    "GiveAway",
    "LeaseSeen",
    "LockSeen",
    "Member",
    "Move",
    "NextLease",
    "Paused",
    "Policy",
    "Promised",
    "Ready",
    "Revoke",
    "SayAlive",
    "State",
    "Stop",
    "StoreReplaced",
    "Switchover",
    "Tick",
    "active_until",
    "promise_s",
    "start",
    "step",
]
