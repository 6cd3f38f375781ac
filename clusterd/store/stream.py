"""A stream of questions and answers with one member, on which silence is noticed and a close leaves nothing behind.

grpc.aio cancels the whole stream when one read on it is cancelled, so a read goes on in a task of its own while others
look at the clock. `asyncio.wait_for` is not used here: on Python 3.11 it can swallow a cancellation.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc.aio

from clusterd.store.session import Member, metadata
from clusterd.store.translation import Fate, details, fate


class StreamLost(Exception):
    """The stream is of no more use; nothing is known of what was asked on it."""


class StreamRefused(Exception):
    """etcd refused the stream; `stale_login` where a new login may help."""

    def __init__(self, message: str, stale_login: bool) -> None:
        self.stale_login = stale_login
        super().__init__(message)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        verdict = fate(error)
        if verdict in (Fate.STALE_LOGIN, Fate.REFUSED):
            raise StreamRefused(details(error), verdict is Fate.STALE_LOGIN) from error
        raise StreamLost(details(error)) from error


class Stream:
    """One stream; `close` it whatever happens."""

    def __init__(self, member: Member, service: str, name: str, token: str) -> None:
        self._member = member
        self._call = member.method(service, name)(metadata=metadata(token))
        self._reading: asyncio.Task[Any] | None = None

    async def write(self, message: Any, within_s: float) -> None:
        """Send a message. Raises StreamLost, StreamRefused."""
        try:
            with _translated():
                async with asyncio.timeout(within_s):
                    await self._call.write(message)
        except TimeoutError as error:
            raise StreamLost(f"could not send for {within_s:g} s") from error
        except asyncio.InvalidStateError as error:  # it has ended already: a read says why
            await self.read(within_s)
            raise StreamLost("ended") from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            raise StreamLost("closed on this side") from error

    async def read(self, within_s: float) -> Any | None:
        """Return the next message, or None where none came in time: the next read may still get it.

        Raises StreamLost, StreamRefused.
        """
        if self._reading is None:
            self._reading = asyncio.create_task(self._call.read())
        done, _ = await asyncio.wait({self._reading}, timeout=within_s)
        if not done:
            return None
        reading, self._reading = self._reading, None
        if reading.cancelled():
            raise StreamLost("closed on this side")
        with _translated():
            message = reading.result()
        if message is grpc.aio.EOF:  # type: ignore[attr-defined]  # grpc-stubs lacks it
            raise StreamLost("ended by etcd")
        self._member.heard()
        return message

    @property
    def over(self) -> bool:
        """Whether the stream is known to have ended."""
        return bool(self._call.done())

    async def close(self) -> None:
        """End the stream, and wait until nothing of it is left."""
        self._call.cancel()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
