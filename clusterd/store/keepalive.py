"""Refreshes leases over a stream that is kept.

An answer that comes late must never pass for the answer to a later request. So a stream is kept only as long as every
question on it had its answer in time.
"""

from clusterd.clock import boottime_s
from clusterd.errors import StoreError, StoreUnavailable
from clusterd.store._etcd3 import rpc
from clusterd.store.contract import Lease
from clusterd.store.session import Member, Session
from clusterd.store.stream import Stream, StreamLost, StreamRefused

ATTEMPT_S = 1.0  # a frozen member and a good one both fit into the shortest useful TTL of 3 s


class Keepalive:
    """Refreshes leases in a session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kept: tuple[Member, str, Stream] | None = None  # the member and the login that it was opened with

    async def refreshed(self, lease_id: int) -> Lease:
        """Ask the members in turn, each once; see `Store.refresh`."""
        session, problems, logged_in = self._session, list[str](), False
        while len(problems) < session.size:
            token = await session.token()
            member = session.member()
            try:
                return await self._ask(member, token, lease_id)
            except StreamLost as error:
                problems.append(f"{member.target}: {error}")
                session.failed(member)
            except StreamRefused as error:
                if not error.stale_login or not session.logs_in or logged_in:
                    raise StoreError(f"etcd at {member.target} refused to refresh a lease ({error})") from error
                logged_in = True
                await session.log_in_again(token)
        told = "; ".join(problems)
        raise StoreUnavailable(f"no etcd member refreshed the lease ({told}): check that etcd has a quorum")

    async def _ask(self, member: Member, token: str, lease_id: int) -> Lease:
        stream = await self._stream(member, token)
        lease: Lease | None = None
        try:
            sent_s = boottime_s()
            await stream.write(rpc.LeaseKeepAliveRequest(ID=lease_id), ATTEMPT_S)
            answer = await stream.read(sent_s + ATTEMPT_S - boottime_s())
            if answer is None:
                raise StreamLost(f"silent for {ATTEMPT_S:g} s")
            lease = Lease(lease_id, max(0, answer.TTL), sent_s)
            return lease
        finally:
            if lease and self._kept is None:
                self._kept = (member, token, stream)
            else:
                await stream.close()

    async def _stream(self, member: Member, token: str) -> Stream:
        """Take the stream that was kept, or open one where there is none of this member's that is of use."""
        kept, self._kept = self._kept, None
        if kept and kept[:2] == (member, token) and not kept[2].over:
            return kept[2]
        if kept:
            await kept[2].close()
        return Stream(member, "Lease", "LeaseKeepAlive", token)
