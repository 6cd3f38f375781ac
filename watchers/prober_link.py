"""A router's side of its prober: starts it, tells it what to check, hands on what it reports.

The prober may die at any time. Another is started, and takes over with every verdict that was reported: a verdict
changes because a check said so, never because a process ended.
"""

import asyncio
import logging
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterable

from clusterd.health import Verdict
from watchers.ending import ended
from watchers.logs import tagged
from watchers.prober_messages import FROM_PROBER, Assignment, Identity, Report, Target
from watchers.tallies import Tallies
from watchers.unprivileged import unprivileged

FIRST_BACKOFF_S = 0.2
LAST_BACKOFF_S = 5.0
STABLE_S = 10.0  # a prober that lived that long did not fail at once: the backoff begins anew
LINE_LIMIT_BYTES = 65536
NEEDED = ("net_raw",)  # pings, and marks on packets through IPVS (since Linux 5.17 it is enough for SO_MARK)

log = logging.getLogger(__name__)


class ProberLink:
    """Keeps one prober running, and calls `deliver` with each new verdict, in the running loop.

    `deliver` must neither wait nor raise: `queue.put_nowait` will do. `command` is what starts a prober.
    """

    def __init__(
        self,
        deliver: Callable[[Report], None],
        command: tuple[str, ...] = (sys.executable, "-m", "watchers.prober"),
    ) -> None:
        self._deliver = deliver
        self._command = command
        self._targets: dict[Identity, Target] = {}
        self._assignments = 0
        self._changed = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self.tallies = Tallies()

    @property
    def pid(self) -> int | None:
        """Return the process id of the prober, None while there is none."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def verdicts(self) -> dict[Identity, Verdict]:
        """Return the verdicts known so far on what is checked now."""
        return {identity: target.verdict for identity, target in self._targets.items() if target.verdict}

    async def watch(self, targets: Iterable[Target]) -> None:
        """Check these targets from now on, and no others. The first call starts the prober.

        The verdict that a target brings counts if it was not watched before; else the prober knows better.
        """
        self.entered(targets)
        self._changed.set()
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """End the prober, and return when it has ended."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None

    def entered(self, targets: Iterable[Target]) -> tuple[Target, ...]:
        """Take these for what is to be checked, and return them as the prober is told of them."""
        self._assignments += 1
        self._targets = {target.identity: self._entered(target) for target in targets}
        return tuple(self._targets.values())

    def _entered(self, target: Target) -> Target:
        known = self._targets.get(target.identity)
        if known is None:
            return target.model_copy(update={"entry": self._assignments})
        return target.model_copy(update={"entry": known.entry, "verdict": known.verdict})

    async def _keep(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            started_s = time.monotonic()
            try:
                await self._run()
            except OSError as error:
                log.error("no prober could be started: %s", error, extra=tagged("process"))
            if time.monotonic() - started_s > STABLE_S:
                backoff_s = FIRST_BACKOFF_S
            log.warning("another prober is started in %g s; all verdicts stay", backoff_s, extra=tagged("process"))
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, LAST_BACKOFF_S)

    async def _run(self) -> None:
        """Start a prober and stay with it until it ends. Raises OSError when it does not start."""
        self._process = process = await asyncio.create_subprocess_exec(
            *unprivileged(self._command, NEEDED), stdin=PIPE, stdout=PIPE, limit=LINE_LIMIT_BYTES
        )
        self.tallies.starts += 1
        self._changed.set()
        telling = asyncio.create_task(self._tell(process))
        try:
            await self._listen(process)
        finally:
            telling.cancel()
            await asyncio.wait([telling])
            await ended(process)
        log.warning("the prober ended with status %s", process.returncode, extra=tagged("process"))

    async def _tell(self, process: Process) -> None:
        """Send the whole list whenever it changed; while the prober is slow to read, only the latest."""
        assert process.stdin is not None  # noqa: S101 - it was started with a pipe
        while True:
            await self._changed.wait()
            self._changed.clear()
            message = Assignment(targets=tuple(self._targets.values()))
            process.stdin.write(message.model_dump_json().encode() + b"\n")
            try:
                await process.stdin.drain()
            except ConnectionError:
                return  # it has ended, which _listen sees as well

    async def _listen(self, process: Process) -> None:
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        while not process.stdout.at_eof():
            try:
                line = await process.stdout.readline()
                message = FROM_PROBER.validate_json(line) if line else None
            except ValueError as error:  # a ValidationError is one, a line too long another
                log.error("a report was not understood: %s", error, extra=tagged("message"))
                continue
            if isinstance(message, Report):
                self.learn(message)
            elif message is not None:
                self.tallies.add(message)

    def learn(self, report: Report) -> None:
        """Keep a verdict, and deliver it; one on a target that left, or left and came again, is old."""
        target = self._targets.get(report.identity)
        if target is None or target.entry != report.entry:
            return
        self._targets[report.identity] = target.model_copy(update={"verdict": report.verdict})
        self._deliver(report)
