"""One refresh of a lease.

Each refresh has a stream of its own, so an answer that comes late can never pass for the answer to a later request.
"""

from clusterd.clock import boottime_s
from clusterd.errors import StoreError, StoreUnavailable
from clusterd.store._etcd3 import rpc
from clusterd.store.contract import Lease
from clusterd.store.session import Member, Session
from clusterd.store.stream import Stream, StreamLost, StreamRefused

ATTEMPT_S = 1.0  # a frozen member and a good one both fit into the shortest useful TTL of 3 s


async def refreshed(session: Session, lease_id: int) -> Lease:
    """Ask the members in turn, each once; see `Store.refresh`."""
    problems: list[str] = []
    logged_in = False
    while len(problems) < session.size:
        token = await session.token()
        member = session.member()
        try:
            return await _ask(member, token, lease_id)
        except StreamLost as error:
            problems.append(f"{member.target}: {error}")
            session.failed(member)
        except StreamRefused as error:
            if not error.stale_login or not session.logs_in or logged_in:
                raise StoreError(f"etcd at {member.target} refused to refresh a lease ({error})") from error
            logged_in = True
            await session.log_in_again(token)
    raise StoreUnavailable(f"no etcd member refreshed the lease ({'; '.join(problems)}): check that etcd has a quorum")


async def _ask(member: Member, token: str, lease_id: int) -> Lease:
    stream = Stream(member, "Lease", "LeaseKeepAlive", token)
    try:
        sent_s = boottime_s()
        await stream.write(rpc.LeaseKeepAliveRequest(ID=lease_id), ATTEMPT_S)
        answer = await stream.read(sent_s + ATTEMPT_S - boottime_s())
        if answer is None:
            raise StreamLost(f"silent for {ATTEMPT_S:g} s")
        return Lease(lease_id, max(0, answer.TTL), sent_s)
    finally:
        await stream.close()
