"""One conversation with an etcd cluster: which member is asked, for how long, and under which login.

All calls share one member until somebody finds it failing; then all move on to the next. A channel to a failed member
is kept, since other calls may still finish on it. Every request carries the metadata `hasleader`, so that a member cut
off from its cluster says so instead of answering from the past.
"""

import asyncio
import logging
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count
from typing import Any

import grpc
import grpc.aio

from clusterd.clock import boottime_s
from clusterd.errors import ClusterdError, ConfigError, StoreError, StoreUnavailable, Uncertain
from clusterd.store._etcd3 import rpc
from clusterd.store.endpoints import Access, Credentials, access
from clusterd.store.translation import Fate, Refused, details, fate, refusal

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
LEAST_ATTEMPT_S = 0.2

log = logging.getLogger(__name__)

Metadata = tuple[tuple[str, str], ...]


class Effect(Enum):
    """What repeating a request does when its answer was lost."""

    NONE = auto()  # a read; or a grant, since a lease without keys ends by itself
    SAME = auto()  # done twice is as done once
    ONCE = auto()  # never repeated unless it is proved that it was not done


@dataclass(frozen=True, slots=True)
class Method:
    """One method of etcd's API."""

    service: str
    name: str
    effect: Effect
    login: bool = True


RANGE = Method("KV", "Range", Effect.NONE)
TXN = Method("KV", "Txn", Effect.ONCE)
GRANT = Method("Lease", "LeaseGrant", Effect.NONE)
TIME_TO_LIVE = Method("Lease", "LeaseTimeToLive", Effect.NONE)
REVOKE = Method("Lease", "LeaseRevoke", Effect.SAME)
AUTHENTICATE = Method("Auth", "Authenticate", Effect.NONE, login=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """A message from etcd, and when the request that it answers was sent (CLOCK_BOOTTIME)."""

    message: Any
    sent_s: float


def pause_s(attempt: int, longest_s: float = LONGEST_PAUSE_S) -> float:
    """Return how long to wait after failed attempt 0, 1, 2, …: twice as long each time, spread at random."""
    longest = min(longest_s, FIRST_PAUSE_S * (1 << min(attempt, 10)))
    return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads clients in time, guards no secret


class Member:
    """A channel to one member, with etcd's services on it, and when anything came from there last (monotonic)."""

    def __init__(self, target: str, channel: grpc.aio.Channel) -> None:
        self.target = target
        self.channel = channel
        self.heard_s = float("-inf")
        self._stubs = {
            "KV": rpc.KVStub(channel),
            "Lease": rpc.LeaseStub(channel),
            "Watch": rpc.WatchStub(channel),
            "Auth": rpc.AuthStub(channel),
            "Cluster": rpc.ClusterStub(channel),
            "Maintenance": rpc.MaintenanceStub(channel),
        }

    def method(self, service: str, name: str) -> Any:
        """Return a method, to be called with a request (unary) or without one (a stream)."""
        return getattr(self._stubs[service], name)

    def heard(self) -> None:
        """Note that something came from there just now."""
        self.heard_s = time.monotonic()


class Session:
    """Calls to whichever member answers. Belongs to the event loop in which it is used first."""

    def __init__(self, endpoints: Sequence[str], credentials: Credentials, timeout_s: float) -> None:
        self._access: Access = access(endpoints, credentials)
        self._timeout_s = timeout_s
        self._members: dict[str, Member] = {}
        self._index = random.randrange(len(self._access.targets))  # noqa: S311 - spreads clients over the members
        self._token: str | None = None  # "": etcd asks nobody who they are
        self._logging_in = asyncio.Lock()
        self._closed = False
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def size(self) -> int:
        """How many endpoints are known."""
        return len(self._access.targets)

    @property
    def names(self) -> str:
        """All endpoints, for messages."""
        return ", ".join(self._access.targets)

    def member(self) -> Member:
        """Return the member to ask now; StoreError after close()."""
        if self._closed:
            raise StoreError("this connection to etcd was closed")
        if self._access.tls is not None and self._access.tls.renewed():
            self._retire()
        target = self._access.targets[self._index % self.size]
        if target not in self._members:
            self._members[target] = Member(target, self._access.channel(target))
        return self._members[target]

    def _retire(self) -> None:
        """Connect anew from now on, with the new certificate. Calls end on the old channels, streams begin again."""
        for member in self._members.values():
            closing = asyncio.create_task(member.channel.close(self._timeout_s + LEAST_ATTEMPT_S))
            self._retiring.add(closing)
            closing.add_done_callback(self._retiring.discard)
        self._members = {}

    def failed(self, member: Member) -> None:
        """Move on to the next member, unless somebody did already."""
        if self._access.targets[self._index % self.size] == member.target:
            self._index += 1

    async def close(self) -> None:
        """Close all channels; what is still under way ends with StoreError."""
        self._closed = True
        for closing in self._retiring:
            closing.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await asyncio.gather(*(member.channel.close(None) for member in self._members.values()))

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Tell the end of a call by close(), which gRPC reports as a cancellation, from that of the caller's task."""
        try:
            yield
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if self._closed and not (task and task.cancelling()):
                raise StoreError("this connection to etcd was closed") from error
            raise

    async def token(self) -> str:
        """Return the token to send with a stream, "" without a login."""
        return await self._current_token(time.monotonic() + self._timeout_s)

    async def log_in_again(self, stale: str) -> None:
        """Replace a token that etcd refused."""
        await self._log_in(stale, time.monotonic() + self._timeout_s)

    @property
    def logs_in(self) -> bool:
        """Whether there is a user to log in as."""
        return bool(self._access.user)

    async def _current_token(self, end_s: float) -> str:
        if self.logs_in and self._token is None:
            await self._log_in(None, end_s)
        return self._token or ""

    async def _log_in(self, stale: str | None, end_s: float) -> None:
        """Get a new token, once for all callers that hold the same stale one.

        An etcd that asks nobody is used without: it may ask from one moment to the next, and nobody is to fail then.
        """
        async with self._logging_in:
            if self._token == stale:
                request = rpc.AuthenticateRequest(name=self._access.user, password=self._password())
                try:
                    self._token = (await self._repeat(AUTHENTICATE, request, end_s)).message.token
                except Refused as error:
                    if not error.asks_nobody:
                        raise
                    log.warning("etcd at %s does not ask who we are: anybody may write there", self.names)
                    self._token = ""

    def _password(self) -> str:
        try:
            return self._access.password()
        except ConfigError as error:  # it was there when we began: perhaps it is being replaced
            raise StoreUnavailable(f"no login to etcd: {error}") from error

    async def call(self, method: Method, request: Any) -> Answer:
        """Ask until a member answers or the time is over.

        Raises Refused (a StoreError), StoreUnavailable, and Uncertain where the method has an effect.
        """
        return await self._repeat(method, request, time.monotonic() + self._timeout_s)

    async def _repeat(self, method: Method, request: Any, end_s: float) -> Answer:
        perhaps_done, logged_in = False, False
        for attempt in count():
            token = await self._current_token(end_s) if method.login else ""
            member = self.member()
            try:
                return await self._ask(member, method, request, (token, end_s))
            except grpc.aio.AioRpcError as error:
                verdict = fate(error)
                if verdict is Fate.STALE_LOGIN and self.logs_in and method.login and not logged_in:
                    logged_in = True
                    await self._log_in(token, end_s)
                    continue
                if verdict in (Fate.REFUSED, Fate.STALE_LOGIN):
                    raise refusal(member.target, error) from error
                self.failed(member)
                perhaps_done |= verdict is Fate.NO_ANSWER and method.effect is not Effect.NONE
                once = perhaps_done and method.effect is Effect.ONCE
                if once or end_s - time.monotonic() < LEAST_ATTEMPT_S:
                    raise self._given_up(member, error, perhaps_done) from error
            if (attempt + 1) % self.size == 0:
                left_s = max(0.0, end_s - LEAST_ATTEMPT_S - time.monotonic())
                await asyncio.sleep(min(left_s, pause_s(attempt // self.size)))
        raise AssertionError("count() does not end")

    async def _ask(self, member: Member, method: Method, request: Any, terms: tuple[str, float]) -> Answer:
        """Ask one member, for no longer than leaves time for a second one."""
        token, end_s = terms
        share_s = min(self._timeout_s / min(2, self.size), max(LEAST_ATTEMPT_S, end_s - time.monotonic()))
        sent_s = boottime_s()
        with self.closing():
            send = member.method(method.service, method.name)
            answer = Answer(await send(request, timeout=share_s, metadata=metadata(token)), sent_s)
            member.heard()
            return answer

    def _given_up(self, member: Member, error: grpc.aio.AioRpcError, perhaps_done: bool) -> ClusterdError:
        last = f"{member.target}: {details(error)}"
        if perhaps_done:
            return Uncertain(f"the answer of etcd to a write was lost ({last}): it may have been done, so look it up")
        return StoreUnavailable(
            f"no etcd member at {self.names} answered within {self._timeout_s:g} s (last {last}): "
            "check that etcd runs there, has a quorum, and can be reached from this host"
        )


def metadata(token: str) -> Metadata:
    """Return the metadata of a request."""
    return (("hasleader", "true"), *((("token", token),) if token else ()))
