"""What the elections decide is done here: in etcd, and over the channel to the other routers."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from clusterd import election
from clusterd.clock import boottime_s
from clusterd.election import (
    Action,
    Answer,
    AskHandOver,
    AskPeers,
    Claim,
    GiveAway,
    Move,
    Revoke,
    SayAlive,
    State,
)
from clusterd.errors import ClusterdError
from clusterd.keys import Keys
from clusterd.reports import ORDER_S, Switchover
from clusterd.store.contract import Store
from watchers import orders
from watchers.holding import Taken
from watchers.lock import Lock
from watchers.logs import tagged
from watchers.peers import Peers
from watchers.takeovers import HAND_OVER, PREEMPT, REMOVED, SWITCHOVER, Claiming, Takeovers

log = logging.getLogger("clusterd.router")

HANDOVER_S = 2.0  # how long etcd is waited for when stopping


class Deeds:
    """The deeds of the router `me`. `put` takes a group and what its election has to know of them."""

    def __init__(
        self,
        me: str,
        store: Store,
        keys: Keys,
        peers: Peers,
        takeovers: Takeovers,
        put: Callable[[str, election.Event], None],
    ) -> None:
        self._me, self._store, self._keys = me, store, keys
        self._peers, self._takeovers, self._put = peers, takeovers, put
        self._revoked: dict[str, int] = {}

    async def do(self, group: str, action: Action, state: State, order: Switchover | None) -> None:
        """Do what the election of a group decided in this state, under this order. Trouble of etcd is logged."""
        try:
            match action:
                case AskPeers():
                    self._peers.ask(group, action)
                case Answer():
                    self._peers.answer(group, action)
                case SayAlive():
                    self._peers.say(group, action)
                case Claim(lease_id):
                    self._takeovers.claims(group, Claiming.of(state, self._revoked.get(group, 0)))
                    for event in await self._lock(group).claim(lease_id):
                        self._put(group, event)
                case Move():
                    self._put(group, await self._lock(group).move(action))
                case GiveAway(token):
                    await self._lock(group).give_away(token, self._why(state, order))
                case Revoke(token, lease_id):
                    self._revoked[group] = token
                    about = tagged("holder silent", group=group, holder=state.holder)
                    log.warning("%s is silent: its lease is ended (group %s)", state.holder, group, extra=about)
                    await self._lock(group).revoke(token, lease_id)
                case AskHandOver(token):
                    await self._ask_for(group, token)
        except ClusterdError as error:
            log.warning("group %s: %s", group, error, extra=tagged("trouble", about="election", group=group))

    def role_changed(self, group: str, state: State) -> None:
        """Take note that this router became active or inactive in a group."""
        about = tagged("role", group=group, active=state.acting, token=state.token)
        which = "" if state.acting else "not "
        log.info("this router is %sactive in group %s now (token %d)", which, group, state.token, extra=about)
        if state.acting:
            self._takeovers.wins(group, state.token, boottime_s())

    async def took(self, taken: Taken) -> None:
        """Take note that a group's addresses were announced."""
        await self._takeovers.took(self._lock(taken.group), taken)

    async def hand_over(self, tokens: Mapping[str, int], lease_id: int) -> None:
        """Give the locks of these groups away, then end the lease. Where etcd does not answer it ends by itself."""
        try:
            async with asyncio.timeout(HANDOVER_S):
                for group, token in tokens.items():
                    await self._lock(group).give_away(token, HAND_OVER)
                if lease_id:
                    await self._store.revoke(lease_id)
        except (TimeoutError, ClusterdError) as error:
            about = tagged("trouble", about="hand-over")
            log.warning("etcd was not told of the hand-over, the lease will end by itself: %s", error, extra=about)

    async def _ask_for(self, group: str, token: int) -> None:
        """Order that the lock comes to us, unless somebody ordered something already."""
        wish = Switchover(
            group=group, to=self._me, token=token, by=orders.asker(self._me), why="it is of better priority"
        )
        lease = await self._store.grant(ORDER_S)
        await orders.give(self._store, self._keys, wish, lease.lease_id)

    def _why(self, state: State, order: Switchover | None) -> str:
        if state.stopping:
            return REMOVED
        return PREEMPT if order and order.by == orders.asker(order.to) else SWITCHOVER

    def _lock(self, group: str) -> Lock:
        return Lock(self._store, self._keys.active(group), self._keys.last(group), self._me)
