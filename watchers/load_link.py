"""A router's side of its load reader: starts it when there is somebody to ask, and another one when it ends."""

import asyncio
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress

from watchers.ending import ended
from watchers.load_messages import LoadAssignment, LoadReport, LoadTarget
from watchers.logs import tagged
from watchers.unprivileged import unprivileged

AGAIN_S = 5.0
LINE_LIMIT_BYTES = 65536

log = logging.getLogger(__name__)


class LoadLink:
    """Hands every report to `deliver`, which must neither wait nor raise. `command` is what starts a reader."""

    def __init__(
        self,
        deliver: Callable[[LoadReport], None],
        command: tuple[str, ...] = (sys.executable, "-m", "watchers.load_reader"),
    ) -> None:
        self._deliver, self._command = deliver, command
        self._targets: tuple[LoadTarget, ...] = ()
        self._process: Process | None = None
        self._some = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Return the process id of the reader, None while there is none."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def ask(self, targets: tuple[LoadTarget, ...]) -> None:
        """Have these asked from now on, and no others."""
        if targets != self._targets:
            self._targets = targets
            self._tell()
        if targets:
            self._some.set()

    async def run(self) -> None:
        """Keep a reader running from the first time that there is somebody to ask, for ever."""
        await self._some.wait()
        while True:
            try:
                await self._one()
            except OSError as error:
                log.error("no load reader could be started: %s", error, extra=tagged("process"))
            log.warning("the load reader has ended, another one is started in %g s", AGAIN_S, extra=tagged("process"))
            await asyncio.sleep(AGAIN_S)

    async def _one(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *unprivileged(self._command), stdin=PIPE, stdout=PIPE, limit=LINE_LIMIT_BYTES
        )
        self._process = process
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        self._tell()
        try:
            while not process.stdout.at_eof():
                try:
                    line = await process.stdout.readline()
                    if line:
                        self._deliver(LoadReport.model_validate_json(line))
                except ValueError as error:  # a ValidationError is one, a line too long another
                    log.error("a report of load was not understood: %s", error, extra=tagged("message"))
        finally:
            await ended(process)

    def _tell(self) -> None:
        """Send the whole list; what a reader that has just ended does not get, the next one does."""
        if self.pid is not None and self._process is not None and self._process.stdin is not None:
            line = LoadAssignment(targets=self._targets).model_dump_json().encode() + b"\n"
            with suppress(OSError, RuntimeError):
                self._process.stdin.write(line)
