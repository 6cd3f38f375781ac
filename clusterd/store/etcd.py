"""The store that is etcd. etcd's errors end here: what leaves is one of `clusterd.errors`."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any

import grpc

from clusterd.errors import StoreUnavailable
from clusterd.store._etcd3 import rpc
from clusterd.store.contract import Batch, Condition, Entry, Lease, Operation, Outcome, Since, Snapshot
from clusterd.store.encoding import entry, raw, span, transaction
from clusterd.store.endpoints import Credentials
from clusterd.store.keepalive import Keepalive
from clusterd.store.session import GRANT, RANGE, REVOKE, TIME_TO_LIVE, TXN, Session
from clusterd.store.transaction import disjoint
from clusterd.store.translation import Refused
from clusterd.store.watch import batches

ANONYMOUS = Credentials()
PAGE = 2000
SNAPSHOT_ATTEMPTS = 3


class EtcdStore:
    """A `Store` kept by etcd 3.4 or later; see `clusterd.store.contract.Store` for what each method promises.

    `endpoints` are ``http://host:port``, ``https://host:port`` or ``host:port``, one or more members of one cluster.
    A call takes at most `timeout_s` over all members; a watch whose member falls silent notices within twice `probe_s`.
    Raises ConfigError where an endpoint or a file of the credentials cannot be used. Use it in one event loop.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        credentials: Credentials = ANONYMOUS,
        *,
        timeout_s: float = 5.0,
        probe_s: float = 2.0,
    ) -> None:
        self._session = Session(endpoints, credentials, timeout_s)
        self._keepalive = Keepalive(self._session)
        self._probe_s = probe_s

    async def get(self, key: str) -> Entry | None:
        """Return one key by a linearizable read, or None."""
        answer = await self._session.call(RANGE, rpc.RangeRequest(key=raw(key)))
        return next((entry(kv) for kv in answer.message.kvs), None)

    async def snapshot(self, *prefixes: str) -> Snapshot:
        """Return all keys under the prefixes, read at one revision, in as many pages as it takes."""
        found = await self._read(disjoint(prefixes), 0)
        return Snapshot(found.revision, found.entries)

    async def since(self, prefix: str, revision: int) -> Since:
        """Return the keys under the prefix that were written after a revision, and count all; etcd does the sifting."""
        return await self._read([prefix], revision + 1)

    async def _read(self, prefixes: Sequence[str], written_from: int) -> Since:
        """Return the keys that were last written from the revision `written_from` on, and count all."""
        for _ in range(SNAPSHOT_ATTEMPTS):
            try:
                return await self._pages(prefixes, written_from)
            except Refused as error:
                if error.code is not grpc.StatusCode.OUT_OF_RANGE:
                    raise
                compacted = error  # between two pages: begin again at a newer revision
        raise StoreUnavailable("etcd compacts faster than its keys can be read: try again later") from compacted

    async def _pages(self, prefixes: Sequence[str], written_from: int) -> Since:
        revision = count = 0
        entries: list[Entry] = []
        for prefix in prefixes:
            where: dict[str, Any] = span(prefix)
            more, first = True, True
            while more:
                request = rpc.RangeRequest(**where, limit=PAGE, revision=revision, min_mod_revision=written_from)
                page = (await self._session.call(RANGE, request)).message
                revision = revision or page.header.revision
                count += page.count if first else 0  # that of a later page leaves out what came before
                entries += (entry(kv) for kv in page.kvs)
                more, first = page.more, False
                if more:
                    where["key"] = page.kvs[-1].key + b"\0"
        return Since(revision, count, tuple(entries))

    async def transact(self, conditions: Sequence[Condition], operations: Sequence[Operation]) -> Outcome:
        """Do all operations at one revision if every condition holds, else nothing."""
        answer = await self._session.call(TXN, transaction(conditions, operations))
        return Outcome(answer.message.succeeded, answer.message.header.revision)

    def watch(self, prefix: str, start_revision: int) -> AsyncGenerator[Batch, None]:
        """Yield every revision from `start_revision` on that changed a key under the prefix, for ever."""
        if start_revision < 1:
            raise ValueError(f"a watch starts at revision 1 or later, not at {start_revision}")
        return batches(self._session, prefix, start_revision, self._probe_s)

    async def grant(self, ttl_s: int) -> Lease:
        """Make a new lease; etcd may grant more seconds than were asked."""
        answer = await self._session.call(GRANT, rpc.LeaseGrantRequest(TTL=ttl_s))
        return Lease(answer.message.ID, answer.message.TTL, answer.sent_s)

    async def refresh(self, lease_id: int) -> Lease:
        """Ask each member in turn, for a second each, that the lease lives on; `ttl_s` is 0 where it has ended."""
        return await self._keepalive.refreshed(lease_id)

    async def time_left_s(self, lease_id: int) -> float:
        """Return how long the lease lives if nobody refreshes it; 0 where it has ended."""
        answer = await self._session.call(TIME_TO_LIVE, rpc.LeaseTimeToLiveRequest(ID=lease_id))
        return float(max(0, answer.message.TTL))  # -1 says that there is none

    async def revoke(self, lease_id: int) -> None:
        """End the lease and delete its keys; no error where it has ended already."""
        try:
            await self._session.call(REVOKE, rpc.LeaseRevokeRequest(ID=lease_id))
        except Refused as error:
            if error.code is not grpc.StatusCode.NOT_FOUND:
                raise

    async def close(self) -> None:
        """Let go of connections. Leases stay, watches end with StoreError."""
        await self._session.close()
