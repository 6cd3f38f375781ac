"""Load by programs on this host: rup (asks the real server's rstatd) and ruptime (listens to what its rwhod sends)."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress

from clusterd.clock import boottime_s
from clusterd.loads.asked import Asked
from clusterd.loads.parsing import average
from clusterd.weights.values import Reading

LIMIT_BYTES = 65536


async def rup(asked: Asked) -> Reading | str:
    """Return what `rup ADDRESS` prints."""
    return await printed("rup", asked)


async def ruptime(asked: Asked) -> Reading | str:
    """Return what `ruptime ADDRESS` prints."""
    return await printed("ruptime", asked)


async def printed(program: str, asked: Asked) -> Reading | str:
    """Run a program with the real server's address, and read what it prints."""
    try:
        process = await asyncio.create_subprocess_exec(
            program, asked.address, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, start_new_session=True
        )
    except OSError as error:
        return f"{program} cannot be run: {error.strerror}"
    assert process.stdout is not None  # noqa: S101 - it was started with a pipe
    try:
        text = b""
        async with asyncio.timeout(asked.load.timeout_s):
            while len(text) < LIMIT_BYTES and (more := await process.stdout.read(LIMIT_BYTES)):
                text += more
        return Reading(boottime_s(), average(text.decode(errors="replace")))
    except TimeoutError:
        return f"{program} did not end within {asked.load.timeout_s:g} s"
    except ValueError as error:
        return f"{program}: {error}"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # with all that it started: who holds the pipe open is waited for
        await process.wait()
