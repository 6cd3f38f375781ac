"""Telling the store things, as endless tasks: whenever there is something new, and again while the store is away."""

import asyncio
from collections.abc import Awaitable, Callable

from clusterd.errors import ClusterdError
from watchers.feeds import Trouble


async def telling(what: str, changed: asyncio.Event, tell: Callable[[], Awaitable[None]], retry_s: float) -> None:
    """Tell what there is to tell whenever `changed` is set, for ever. Trouble is logged once, as `what`."""
    trouble = Trouble(what)
    while True:
        await changed.wait()
        changed.clear()
        try:
            await tell()
            trouble.ends()
        except ClusterdError as error:
            trouble.begins(error)
            changed.set()
            await asyncio.sleep(retry_s)
