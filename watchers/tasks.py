"""The service's tasks: started here, ended together, and none of them ends the others by a fault of its own."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from watchers.logs import tagged

log = logging.getLogger("clusterd.router")

AGAIN_S = 1.0


class Tasks:
    """A set of running tasks."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something once."""
        task = asyncio.create_task(_logged(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda _: work.close())  # one that was cancelled before it began never gets there

    def supervise(self, what: str, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run something that never ends, again if it does."""
        self.spawn(_for_ever(what, make))

    async def end(self) -> None:
        """Cancel everything and wait until it has ended."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _for_ever(what: str, make: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        await _logged(make())
        log.error("%s ended and is begun again", what, extra=tagged("task ended", about=what))
        await asyncio.sleep(AGAIN_S)


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:  # the service's one broad except: a fault in one part must not end the others
        log.exception("this should not happen, please report it", extra=tagged("fault"))
