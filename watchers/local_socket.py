"""Tells whoever asks on this host what the router knows, also while etcd is away: one line of JSON a connection.

Nothing is read from the connection, and nothing can be changed by it. What takes time (counting, encoding) is done in
another thread and on a netlink socket of its own, one answer after the other, so that no lease has to wait for it.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from clusterd import desired as wish
from clusterd import document
from clusterd.clock import boottime_s
from clusterd.counters import Counters
from clusterd.errors import ApplyError
from clusterd.health import Verdict
from clusterd.observing import Local, Planned
from clusterd.overview import Holder, Observed, overview
from clusterd.plan import plan
from clusterd.plane import Key, Plane, Scope
from clusterd.reports import Event, PoolReport, encoded, pool_report, router_report, verdict_report
from clusterd.weights import Pool
from watchers.kernel_follower import Wanted
from watchers.last_good import LastGood
from watchers.logs import tagged
from watchers.pools import published
from watchers.prober_messages import Identity
from watchers.publisher import told
from watchers.status import Status

log = logging.getLogger("clusterd.router")

MODE = 0o660
AGAIN_S = 30.0  # where the socket cannot be made
_MOST_WAITING = 16
_ANSWER_S = 10.0  # what a client has for reading
_Seen = TypeVar("_Seen")


@dataclass(frozen=True, slots=True)
class Sight:
    """What a router knows at one moment. `tokens` are those of the groups in which it is active."""

    router: str
    cluster_name: str
    followed: LastGood
    status: Status
    tokens: Mapping[str, int]
    until_s: float
    heard_s: float
    verdicts: Mapping[Identity, Verdict]
    pools: Mapping[str, Pool]
    events: tuple[Event, ...] = ()


def answer(sight: Sight, count: Callable[[Scope], Mapping[Key, Counters]]) -> bytes:
    """Return what is told of a sight: one line. `count` reads the kernel's counters; without them there are none."""
    now_s, me, good = boottime_s(), sight.router, sight.followed
    try:
        counters: Mapping[Key, Counters] | None = count(wish.scope(good.cluster))
    except (ApplyError, OSError):
        counters = None
    left_s = sight.until_s - now_s
    seen = Observed(
        routers={me: router_report(encoded(sight.status.fields()))},
        leases_s={me: round(left_s, 1)} if 0 < left_s < float("inf") else {},
        holders=tuple(Holder(group=group, router=me, token=token) for group, token in sight.tokens.items()),
        verdicts={who: (verdict_report(me, encoded(told(verdict))),) for who, verdict in sight.verdicts.items()},
        pools=_pools(sight),
        counters=counters,
        counted_by=me,
        told_by=f"router {me}",
    )
    view = overview(sight.cluster_name, sight.status.head, good.cluster, seen)
    silent_s = round(now_s - sight.heard_s, 1)
    local = Local(
        router=me, overview=view, objects=document.objects(good.cluster), silent_s=silent_s, events=sight.events
    )
    return local.model_dump_json().encode() + b"\n"


def _pools(sight: Sight) -> dict[tuple[str, str], PoolReport]:
    """Return what this router makes of the virtual servers: what it would tell etcd if it were active everywhere."""
    now_s = boottime_s()
    reports = {name: pool_report(encoded(published(pool, now_s))) for name, pool in sight.pools.items() if pool.notable}
    return {(name, sight.router): report for name, report in reports.items() if report}


def planned(router: str, wanted: Wanted, read: Callable[[Scope], Plane]) -> bytes:
    """Return what a router would do to its kernel now: one line. `read` reads the kernel."""
    try:
        operations, problem = plan(read(wanted.scope), wanted.plane), ""
    except (ApplyError, OSError) as error:
        operations, problem = (), str(error)
    told = Planned(router=router, commit=wanted.number, operations=tuple(map(str, operations)), problem=problem)
    return told.model_dump_json().encode() + b"\n"


class LocalSocket(Generic[_Seen]):
    """The socket at `path`. `sight` tells what is known now, None while nothing is, and `answer` makes a line of it."""

    def __init__(
        self, path: Path, sight: Callable[[], Awaitable[_Seen | None]], answer: Callable[[_Seen], bytes]
    ) -> None:
        self._path, self._sight, self._answer = path, sight, answer
        self._one = asyncio.Lock()
        self._waiting = 0

    async def run(self) -> None:
        """Answer, for ever."""
        while True:
            try:
                listening = _listening(self._path)
            except OSError as error:
                told = "%s: %s; `clusterd status` will not work without etcd, nor plan"
                log.warning(told, self._path, error, extra=tagged("socket", file=self._path))
                await asyncio.sleep(AGAIN_S)
                continue
            try:
                server = await asyncio.start_unix_server(self._serve, sock=listening)
                async with server:
                    await server.serve_forever()
            finally:
                self._path.unlink(missing_ok=True)

    async def _serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._waiting += 1
        try:
            sight = await self._sight()
            if sight is not None and self._waiting <= _MOST_WAITING:
                async with self._one:
                    writer.write(await asyncio.to_thread(self._answer, sight))
                with suppress(TimeoutError):
                    await asyncio.wait_for(writer.drain(), _ANSWER_S)
        except OSError:
            pass  # whoever asked has gone
        finally:
            self._waiting -= 1
            writer.close()


def _listening(path: Path) -> socket.socket:
    """Return the socket, which nobody sees before it has its mode. Raises OSError."""
    made = path.with_suffix(".new")
    made.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(made))
        made.chmod(MODE)
        listening.listen()
        made.rename(path)
    except OSError:
        listening.close()
        raise
    return listening
