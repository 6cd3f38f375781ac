"""What waits for the router's one task: what its claim to be active depends on first, then all else in its order.

After a commit of 30,000 real servers as many verdicts come at once. An answered refresh of the lease, or the moment to
renew the addresses in the kernel, must not stand behind them.
"""

import asyncio
from collections import deque
from typing import Generic, TypeVar

_First = TypeVar("_First")
_Other = TypeVar("_Other")


class Inbox(Generic[_First, _Other]):
    """Two queues for one reader."""

    def __init__(self) -> None:
        self._first: deque[_First] = deque()
        self._others: deque[_Other] = deque()
        self._something = asyncio.Event()

    def put_first(self, event: _First) -> None:
        """Add what is to be taken before all others."""
        self._first.append(event)
        self._something.set()

    def put_first_once(self, event: _First) -> None:
        """Add it unless an equal one waits already."""
        if event not in self._first:
            self.put_first(event)

    def put(self, event: _Other) -> None:
        """Add what can wait."""
        self._others.append(event)
        self._something.set()

    def __len__(self) -> int:
        return len(self._first) + len(self._others)

    async def wait(self) -> None:
        """Return when there is something."""
        while not len(self):
            self._something.clear()
            await self._something.wait()

    def take(self) -> _First | _Other:
        """Return what is to be taken next. Raises IndexError where nothing waits."""
        return self._first.popleft() if self._first else self._others.popleft()
