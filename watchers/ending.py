"""How a router ends the processes beside it: each of them ends by itself when its input does."""

import asyncio
from asyncio.subprocess import Process
from contextlib import suppress

CLOSE_S = 1.0  # what a process has, once its input has ended, to end by itself


async def ended(process: Process) -> None:
    """End a process by the end of its input, else by force, and return when it has ended.

    `asyncio.timeout` would not do: in a task that is being cancelled, Python 3.11.2 takes its timeout for that.
    """
    assert process.stdin is not None  # noqa: S101 - it was started with a pipe
    process.stdin.close()
    ending = asyncio.create_task(process.wait())
    if not (await asyncio.wait([ending], timeout=CLOSE_S))[0]:
        process.kill()
    await ending
    with suppress(OSError):  # what was not read before it ended
        await process.stdin.wait_closed()
