"""Things whose times come: one timer of the event loop for any number of them, and one call for all.

There may be 30,000 of them at any time, so each is a number and what it is about.
"""

import asyncio
import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")
_AT_ONCE = 64  # calls before the loop has its turn again


class Entry(Generic[_T]):
    """Something whose time comes at `due_s`, on the loop's clock; None once it was cancelled."""

    __slots__ = ("due_s", "what")

    def __init__(self, due_s: float, what: _T) -> None:
        self.due_s = due_s
        self.what: _T | None = what

    def __lt__(self, other: object) -> bool:
        """Of two at the very same time either may come first."""
        return False

    def cancel(self) -> None:
        """Forget it."""
        self.what = None


class Schedule(Generic[_T]):
    """Calls `due` with each thing and its time when that has come."""

    def __init__(self, due: Callable[[_T, float], None]) -> None:
        self._due = due
        self._loop = asyncio.get_running_loop()
        self._heap: list[tuple[float, Entry[_T]]] = []
        self._timer: asyncio.TimerHandle | None = None

    def at(self, due_s: float, what: _T) -> Entry[_T]:
        """Let the time of something come."""
        entry = Entry(due_s, what)
        heapq.heappush(self._heap, (due_s, entry))
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
            _, entry = heapq.heappop(self._heap)
            if entry.what is not None:
                self._due(entry.what, entry.due_s)
        if self._timer is None:
            self._set()
