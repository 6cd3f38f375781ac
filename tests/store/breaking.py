"""What tests that break etcd have in common: a watch on the side, and ways to wait."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from clusterd.errors import StoreUnavailable, Uncertain
from clusterd.store.contract import Batch, Entry
from clusterd.store.etcd import EtcdStore
from tests.store.conftest import put
from tests.store.etcd_server import Member

PROBE_S = 0.7


@asynccontextmanager
async def connected(*members: Member, timeout_s: float = 5.0) -> AsyncIterator[EtcdStore]:
    """Yield a store at some members, impatient enough for tests."""
    store = EtcdStore([member.endpoint for member in members], timeout_s=timeout_s, probe_s=PROBE_S)
    try:
        yield store
    finally:
        await store.close()


async def write_until_done(store: EtcdStore, key: str, value: bytes, within_s: float = 20) -> int:
    """Write what may be written twice, whatever happens to etcd meanwhile."""
    async with asyncio.timeout(within_s):
        while True:
            try:
                return await put(store, key, value)
            except (StoreUnavailable, Uncertain):
                await asyncio.sleep(0.05)


class Seen:
    """What a watch yields, collected by a task of its own."""

    def __init__(self, store: EtcdStore, prefix: str, start_revision: int) -> None:
        self.batches: list[Batch] = []
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._collect(store, prefix, start_revision))

    async def _collect(self, store: EtcdStore, prefix: str, start_revision: int) -> None:
        async for batch in store.watch(prefix, start_revision):
            self.batches.append(batch)
            self._news.set()

    @property
    def values(self) -> list[bytes]:
        """All values seen, in order."""
        return [change.value for batch in self.batches for change in batch.changes if isinstance(change, Entry)]

    async def until(self, value: bytes, within_s: float = 10) -> None:
        """Wait for a value; ends with the watch's error if it has one."""
        async with asyncio.timeout(within_s):
            while value not in self.values:
                self._news.clear()
                news = asyncio.ensure_future(self._news.wait())
                await asyncio.wait({news, self.task}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                if self.task.done():
                    self.task.result()

    async def end(self) -> None:
        """Cancel the watch, and wait until it has ended."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def asked(store: EtcdStore, members: tuple[Member, ...]) -> Member:
    """Return the member that the store asks now."""
    return next(member for member in members if member.address == store._session.member().target)


def gauge(member: Member, name: str) -> float:
    """Return one of etcd's own measures."""
    return next(float(line.split()[1]) for line in member.metrics().splitlines() if line.startswith(name + " "))


def counted(what: str, method: str, service: str) -> str:
    """Return the name of etcd's count of what happened on the streams of a method."""
    kind = f'grpc_method="{method}",grpc_service="etcdserverpb.{service}",grpc_type="bidi_stream"'
    return f"grpc_{what}_total{{{kind}}}"


async def eventually(claim: Callable[[], bool], within_s: float = 5) -> None:
    """Wait until a claim holds."""
    end_s = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < end_s, "did not come true in time"
        await asyncio.sleep(0.05)
