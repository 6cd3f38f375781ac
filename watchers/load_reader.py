"""The load reader: asks real servers for their load in a process of its own, so that no lease ever waits for one.

`python -m watchers.load_reader` reads assignments from standard input and writes reports to standard output (see
`load_messages`). It ends when its input does. One task asks one target, one question at a time, less often while there
is no answer.
"""

import asyncio
import logging
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable

from pydantic import ValidationError

from clusterd.loads.sources import Asked, read
from clusterd.weights import Reading
from watchers import logs
from watchers.load_messages import LoadAssignment, LoadReport, LoadTarget
from watchers.logs import tagged
from watchers.prober_messages import misread

LINE_LIMIT_BYTES = 64 * 2**20
AT_ONCE = 64  # questions
LONGEST_BACKOFF = 8  # times the interval

Source = Callable[[Asked], Awaitable[Reading | str]]

log = logging.getLogger(__name__)


class LoadReader:
    """Asks what it was last assigned, and hands every answer to `report`."""

    def __init__(self, report: Callable[[LoadReport], None], source: Source = read) -> None:
        self._report, self._source = report, source
        self._tasks: dict[LoadTarget, asyncio.Task[None]] = {}
        self._one_of_many = asyncio.Semaphore(AT_ONCE)

    def assign(self, targets: Iterable[LoadTarget]) -> None:
        """Ask these from now on, and no others. One that is there already goes on undisturbed."""
        wanted = dict.fromkeys(targets)
        for target in [target for target in self._tasks if target not in wanted]:
            self._tasks.pop(target).cancel()
        for target in wanted:
            if target not in self._tasks:
                self._tasks[target] = asyncio.create_task(self._keep_asking(target))

    async def _keep_asking(self, target: LoadTarget) -> None:
        failures = 0
        interval_s = target.load.interval_s
        await asyncio.sleep(random.uniform(0, min(1.0, interval_s)))  # noqa: S311 - spreads load, guards nothing
        while True:
            async with self._one_of_many:
                answer = await self._asked(target)
            failures = failures + 1 if isinstance(answer, str) else 0
            await asyncio.sleep(interval_s * pauses(failures))

    async def _asked(self, target: LoadTarget) -> Reading | str:
        try:
            answer = await self._source(target.asked)
        except Exception as error:  # noqa: BLE001 - a mistake in one source must not end the asking
            answer = f"the source itself failed: {error!r}"
        reading, silence = (None, answer) if isinstance(answer, str) else (answer, "")
        self._report(LoadReport(virtual=target.virtual, server=target.server, reading=reading, silence=silence))
        return answer


def pauses(failures: int) -> int:
    """Return how many intervals to wait after so many failures in a row: 1, 1, 2, 4, 8, 8, …"""
    return min(LONGEST_BACKOFF, 1 << max(0, failures - 1))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=LINE_LIMIT_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin.buffer)
    out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout.buffer)
    reader = LoadReader(lambda report: out.write(report.model_dump_json().encode() + b"\n"))
    while not lines.at_eof():
        try:
            line = await lines.readline()
            if line:
                reader.assign(LoadAssignment.model_validate_json(line).targets)
        except ValidationError as error:
            told = "an assignment was not understood, the last one still holds: %s"
            log.error(told, misread(error), extra=tagged("message"))


def main() -> None:
    """Run until standard input ends."""
    logs.begin("load reader", text="load reader: %(message)s")
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the router; the end of the input ends this
        signal.signal(number, signal.SIG_IGN)
    asyncio.run(_serve())
    os._exit(0)  # a thread may hang in a host that does not answer


if __name__ == "__main__":
    main()
