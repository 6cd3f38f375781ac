"""Long work on the event loop, in turns with everybody else: no refresh of a lease is to wait for the whole of it."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from clusterd.clock import boottime_s

TURN_S = 0.01
_T = TypeVar("_T")


class Turns:
    """One worker's turns. It asks at each of its steps, and the first turn begins now."""

    def __init__(self) -> None:
        self._began_s = boottime_s()

    def begin(self) -> None:
        """Say that work begins just now, after waiting for it."""
        self._began_s = boottime_s()

    @property
    def over(self) -> bool:
        """Whether it is the others' turn."""
        return boottime_s() - self._began_s >= TURN_S

    async def give_way(self) -> None:
        """Let others work for as long as we did, if our turn is over."""
        if self.over:
            await asyncio.sleep(boottime_s() - self._began_s)
            self.begin()


async def computed(much: bool, work: Callable[[], _T]) -> _T:
    """Return what pure work gives: in a thread where it is much, else at once, since a thread takes its time, too."""
    return await asyncio.to_thread(work) if much else work()
