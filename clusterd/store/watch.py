"""A watch that outlives connections, members and logins, and knows when it has missed something.

etcd's watch is ordered and loses nothing as long as its stream lives, but a dead stream can look just like a quiet one:

    events ──●──●─────────────────── silence ──────────────
                 ├── probe_s ──┤                             ask for progress
                               ├── probe_s ──┤               no answer either: the stream is dead
                                             └→ next member, from the revision after the last one delivered

All calls to a member share one connection. So while the member says anything at all, to a refresh of the lease or on
another stream, a quiet one is asked ten times more seldom: a router has ten watches.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from clusterd.errors import Compacted, StoreUnavailable
from clusterd.store._etcd3 import rpc
from clusterd.store.contract import Batch
from clusterd.store.encoding import Feed, span
from clusterd.store.session import RANGE, Member, Session, pause_s
from clusterd.store.stream import Stream, StreamLost, StreamRefused

LONGEST_PAUSE_S = 2.0
PATIENCE = 10
_PROGRESS = rpc.WatchRequest(progress_request=rpc.WatchProgressRequest())

log = logging.getLogger(__name__)


async def batches(session: Session, prefix: str, start_revision: int, probe_s: float) -> AsyncGenerator[Batch, None]:
    """Yield every revision from `start_revision` on that changed a key under the prefix. See `Store.watch`."""
    feed = Feed(start_revision)
    failures = 0
    while True:
        member, opened_s = session.member(), time.monotonic()
        try:
            async with aclosing(_one_stream(session, member, prefix, feed, probe_s)) as stream:
                async for batch in stream:
                    yield batch
        except (StreamLost, StoreUnavailable) as error:
            if time.monotonic() - opened_s > 3 * probe_s:  # it lived: silence alone would have ended it before
                failures = 0
            level = logging.DEBUG if failures else logging.WARNING
            log.log(level, "watch of %s at %s lost (%s): goes on elsewhere", prefix, member.target, error)
            session.failed(member)
        except StreamRefused as error:
            log.warning("watch of %s at %s refused: %s", prefix, member.target, error)
            await _check_rights(session, prefix)
        await asyncio.sleep(pause_s(failures, LONGEST_PAUSE_S))
        failures += 1


async def _one_stream(
    session: Session, member: Member, prefix: str, feed: Feed, probe_s: float
) -> AsyncGenerator[Batch, None]:
    """Yield what comes on one stream, until it is lost or refused."""
    stream = Stream(member, "Watch", "Watch", await session.token())
    try:
        create = rpc.WatchCreateRequest(**span(prefix), start_revision=feed.restart(), fragment=True)
        await stream.write(rpc.WatchRequest(create_request=create), probe_s)
        patience_s = probe_s  # for the first answer, which says that there is a watch at all
        while True:
            response = await _next(stream, member, probe_s, patience_s)
            patience_s = PATIENCE * probe_s
            if response.canceled:
                if response.compact_revision:
                    raise Compacted(response.compact_revision)
                raise StreamRefused(response.cancel_reason, stale_login=False)
            for batch in feed.take(response):
                yield batch
    finally:
        await stream.close()


async def _next(stream: Stream, member: Member, probe_s: float, patience_s: float) -> Any:
    """Return the next answer; ask for one where the member falls silent, and give up when none comes even so.

    A silent stream is believed for `patience_s` while the member talks to others.
    """
    enough_s = time.monotonic() + patience_s
    wait_s = probe_s
    while wait_s > 0:
        response = await stream.read(wait_s)
        if response is not None:
            return response
        wait_s = min(member.heard_s + probe_s, enough_s) - time.monotonic()
    await stream.write(_PROGRESS, probe_s)
    response = await stream.read(probe_s)
    if response is None:
        raise StreamLost(f"silent for {2 * probe_s:g} s")
    return response


async def _check_rights(session: Session, prefix: str) -> None:
    """Find out by a read why a watch was refused: it logs in again if need be, and raises StoreError if denied.

    etcd before 3.5 says "permission denied" to a watch with a stale token too, so the reason given is not enough.
    """
    try:
        await session.call(RANGE, rpc.RangeRequest(**span(prefix), count_only=True))
    except StoreUnavailable as error:
        log.debug("cannot tell yet why: %s", error)
