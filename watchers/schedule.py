"""Calls things at their times: one timer of the event loop for any number of them."""

import asyncio
import heapq
import itertools
from collections.abc import Callable

_AT_ONCE = 64  # calls before the loop has its turn again


class Entry:
    """Something to be called. `due_s` is on the loop's clock."""

    __slots__ = ("call", "due_s")

    def __init__(self, call: Callable[[], None], due_s: float) -> None:
        self.call: Callable[[], None] | None = call
        self.due_s = due_s

    def cancel(self) -> None:
        """Call it no more."""
        self.call = None


class Schedule:
    """Entries in the order of their times."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heap: list[tuple[float, int, Entry]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def at(self, due_s: float, call: Callable[[], None]) -> Entry:
        """Have something called at a time."""
        entry = Entry(call, due_s)
        heapq.heappush(self._heap, (due_s, next(self._numbers), entry))
        if self._timer is None or due_s < self._timer.when():
            self._set()
        return entry

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._heap[0][0], self._run) if self._heap else None

    def _run(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        for _ in range(_AT_ONCE):
            if not self._heap or self._heap[0][0] > now_s:
                break
            _, _, entry = heapq.heappop(self._heap)
            if entry.call is not None:
                entry.call()
        if self._timer is None:
            self._set()
