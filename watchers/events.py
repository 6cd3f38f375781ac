"""What happened, as keys in etcd that are kept for a week. Whoever sees something records it; nobody waits for it.

While etcd is away events wait in memory, the last of many; how many were lost is told with the next one.
"""

import asyncio
import logging
import secrets
from collections import Counter, deque
from datetime import UTC, datetime
from typing import Any

from clusterd.clock import boottime_s
from clusterd.errors import ClusterdError
from clusterd.history import utc
from clusterd.keys import Keys
from clusterd.reports import Event, encoded, event
from clusterd.store.contract import Put, Store
from watchers.logs import tagged
from watchers.telling import telling

log = logging.getLogger("clusterd.router")

KEPT_S = 7 * 86400
KINDS = ("takeover", "drift", "claim", "disagreement", "network fault")
LEASE_S = KEPT_S + 86400  # a lease takes the events of one day
MOST_WAITING = 200
AT_ONCE = 50
REMEMBERED = 200  # for whoever asks on this host, also while etcd is away
RETRY_S = 1.0


class Events:
    """Records what the router `me` saw."""

    def __init__(self, me: str, store: Store, keys: Keys) -> None:
        self._me, self._store, self._keys = me, store, keys
        self._waiting: deque[Put] = deque()
        self._recent: deque[Event] = deque(maxlen=REMEMBERED)
        self._lost = 0
        self._lease_id, self._lease_until_s = 0, 0.0
        self._more = asyncio.Event()
        self.recorded = Counter(dict.fromkeys(KINDS, 0))

    def record(self, kind: str, text: str, **fields: Any) -> None:
        """Remember that something happened now. `text` is a sentence for people, `fields` are JSON's types."""
        log.info("%s: %s", kind, text, extra=tagged(kind, **fields))
        self.recorded[kind] += 1
        now = utc(datetime.now(UTC))
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._lost += 1
        lost = {"lost_before": self._lost} if self._lost else {}
        value = encoded({"kind": kind, "text": text, "router": self._me, **fields, **lost})
        put = Put(self._keys.event(now, secrets.token_hex(4)), value)
        self._waiting.append(put)
        self._recent.append(event(put.key.removeprefix(self._keys.events_prefix), value))
        self._more.set()

    @property
    def recent(self) -> tuple[Event, ...]:
        """Return the last events since this router was started, newest last."""
        return tuple(self._recent)

    def last(self, kind: str) -> Event | None:
        """Return the last event of a kind, None where there is none among the recent ones."""
        return next((each for each in reversed(self._recent) if each.kind == kind), None)

    async def run(self) -> None:
        """Write what was recorded, for ever."""
        await telling("recording events", self._more, self._write_all, RETRY_S)

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                await self._write()
        except ClusterdError:
            self._lease_id = 0
            raise

    async def _write(self) -> None:
        """Write some. Doing it twice changes nothing, since each event has its own key."""
        if not self._lease_id or boottime_s() > self._lease_until_s - KEPT_S:
            lease = await self._store.grant(LEASE_S)
            self._lease_id, self._lease_until_s = lease.lease_id, lease.sent_s + lease.ttl_s
        some = [self._waiting[place] for place in range(min(AT_ONCE, len(self._waiting)))]
        await self._store.transact([], [Put(put.key, put.value, self._lease_id) for put in some])
        for put in some:
            if self._waiting and self._waiting[0] is put:
                self._waiting.popleft()
        self._lost = 0
