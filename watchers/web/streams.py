"""Server-sent events: each window that is looked at gets those parts of its page that changed.

data: {"routers": "<table>…</table>"}      parts by the id of the element that they go into
: still here                               after a while without news, so that proxies and browsers keep the line
event: over                                the session ended: the page asks for a login
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping

from watchers.web.sight import Sight

HEARTBEAT_S = 15.0
MOST, MOST_EACH = 200, 4  # streams at all, and of one session
RETRY_MS = 2000
MOST_PAGES = 64  # that are kept as they were drawn

Parts = Mapping[str, str]


class Drawn:
    """The parts of pages at one moment, so that many who look at the same page cost no more than one."""

    def __init__(self) -> None:
        self._moment: object = None
        self._parts: dict[str, Parts] = {}

    def parts(self, moment: object, page: str, draw: Callable[[], Parts]) -> Parts:
        """Return the parts of a page, drawn unless that was done for this moment."""
        if moment != self._moment or len(self._parts) >= MOST_PAGES:
            self._moment, self._parts = moment, {}
        if page not in self._parts:
            self._parts[page] = draw()
        return self._parts[page]


class Streams:
    """All streams of this console."""

    def __init__(self, sight: Sight, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._sight, self._heartbeat_s = sight, heartbeat_s
        self._open: Counter[str] = Counter()
        self._ending = asyncio.Event()
        self.drawn = Drawn()

    def __len__(self) -> int:
        return self._open.total()

    def full(self, whose: str) -> bool:
        """Tell whether there is no room for another stream of a session."""
        return len(self) >= MOST or self._open[whose] >= MOST_EACH

    def end(self) -> None:
        """End all streams: the console stops."""
        self._ending.set()

    async def stream(self, whose: str, parts: Callable[[], Parts | None]) -> AsyncGenerator[str, None]:
        """Yield events until the session ends, which `parts` says by None, or the console does."""
        self._open[whose] += 1
        sent: Parts = {}
        try:
            yield f"retry: {RETRY_MS}\n\n"
            while not self._ending.is_set():
                number = self._sight.now.number
                current = parts()
                if current is None:
                    yield "event: over\ndata: over\n\n"
                    return
                fresh = {name: text for name, text in current.items() if sent.get(name) != text}
                yield f"data: {json.dumps(fresh)}\n\n" if fresh else ": still here\n\n"
                sent = current
                await self._news(number)
        finally:
            self._open[whose] -= 1
            self._open += Counter()  # forgets who has none

    async def _news(self, number: int) -> None:
        """Return when there is something new, when it is time for a sign of life, or when the console stops."""
        waits = [asyncio.ensure_future(self._sight.after(number)), asyncio.ensure_future(self._ending.wait())]
        try:
            await asyncio.wait(waits, timeout=self._heartbeat_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
