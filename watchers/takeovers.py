"""Takeovers as events: why a router became active, and how long each step took.

lock seen free |claimed |addresses in the kernel |announced     milliseconds since the lock was seen free
"""

import logging
from collections import Counter
from dataclasses import dataclass
from typing import Any

from clusterd.election import State
from clusterd.errors import ClusterdError
from clusterd.keys import Keys
from clusterd.metrics.histogram import LONG_S, Histogram
from clusterd.store.contract import Store
from watchers.events import Events
from watchers.holding import Taken
from watchers.lock import Former, Lock
from watchers.logs import tagged

log = logging.getLogger("clusterd.router")

HAND_OVER = "hand-over"  # the holder was stopped
SWITCHOVER = "switchover"
PREEMPT = "preempt"
REMOVED = "group removed"
FAST, FIRST_START, DELETED, ENDED = "fast", "first start", "lock deleted", "lease ended"
CAUSES = (HAND_OVER, SWITCHOVER, PREEMPT, REMOVED, FAST, FIRST_START, DELETED, ENDED)


@dataclass(frozen=True, slots=True)
class Claiming:
    """What was known when the lock of a group was claimed: since when it was free, and the lock before it."""

    free_s: float
    holder: str
    token: int
    lease_id: int
    revoked: bool

    @classmethod
    def of(cls, state: State, revoked: int) -> "Claiming":
        """Return it for a claim in this state; `revoked` is the token of the last holder whose lease we ended."""
        token, lease_id = state.last_lock
        return cls(state.free_since_s, state.last_holder, token, lease_id, token != 0 and token == revoked)


@dataclass(frozen=True, slots=True)
class Takeover:
    """Who took a group over, from whom and why. `steps` are milliseconds since the lock was seen free."""

    group: str
    token: int
    former: str
    cause: str
    steps: dict[str, float]

    def fields(self) -> dict[str, Any]:
        """Return the fields under their stable names."""
        return {name: getattr(self, name) for name in self.__slots__}


class Takeovers:
    """Tells of the takeovers of the router `me`."""

    def __init__(self, me: str, store: Store, keys: Keys, events: Events) -> None:
        self._me, self._store, self._keys, self._events = me, store, keys, events
        self._claims: dict[str, Claiming] = {}
        self._won: dict[str, tuple[Claiming, int, float]] = {}
        self.causes = Counter(dict.fromkeys(CAUSES, 0))
        self.durations = Histogram(LONG_S)

    def claims(self, group: str, claiming: Claiming) -> None:
        """Remember a claim."""
        self._claims[group] = claiming

    def wins(self, group: str, token: int, now_s: float) -> None:
        """Remember that a claim was won. Who is active without one goes on with a lock from before a restart."""
        claiming = self._claims.pop(group, None)
        if claiming:
            self._won[group] = (claiming, token, now_s)

    async def took(self, lock: Lock, taken: Taken) -> None:
        """Record a takeover, now that the addresses are announced."""
        if taken.group not in self._won:
            return
        claiming, token, claimed_s = self._won.pop(taken.group)
        former = Former()
        try:
            former = await lock.take_note(token)
            lives = await self._lives(claiming)
            why = cause(claiming, former, lives)
        except ClusterdError as error:
            about = tagged("trouble", about="takeover", group=taken.group)
            log.warning("why the lock was free is not known: %s", error, extra=about)
            why = cause(claiming, Former(claiming.holder), lives=False)
        self.causes[why] += 1
        self.durations.add(taken.announced_s - claiming.free_s)
        moments = {"claimed": claimed_s, "added": taken.added_s, "announced": taken.announced_s}
        steps = {name: round(1000 * (at_s - claiming.free_s), 1) for name, at_s in moments.items()}
        takeover = Takeover(taken.group, token, former.router or claiming.holder, why, steps)
        of = f" of {takeover.former}" if takeover.former else ""
        text = f"{self._me} took over group {taken.group}{of}: {why}, announced after {steps['announced']:g} ms"
        self._events.record("takeover", text, **takeover.fields())

    async def _lives(self, claiming: Claiming) -> bool:
        """Return whether the former holder's lease lives: its status key is still there."""
        entry = await self._store.get(self._keys.router(claiming.holder)) if claiming.holder else None
        return entry is not None and entry.lease_id == claiming.lease_id


def cause(claiming: Claiming, former: Former, lives: bool) -> str:
    """Return why the lock was free."""
    if former.given and claiming.token in (0, former.token):
        return former.given
    if claiming.revoked:
        return FAST
    if not former.router:
        return FIRST_START
    return DELETED if lives else ENDED
