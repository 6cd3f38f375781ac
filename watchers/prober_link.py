"""A router's side of its prober: starts it, tells it what to check, hands on what it reports.

The prober may die at any time. Another is started, and takes over with every verdict that was reported: a verdict
changes because a check said so, never because a process ended.
"""

import asyncio
import logging
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import replace
from itertools import islice

from clusterd.health import Verdict
from watchers.ending import ended
from watchers.logs import tagged
from watchers.prober_messages import FROM_PROBER, Assignment, Identity, Report, Target
from watchers.tallies import Tallies
from watchers.turns import Turns
from watchers.unprivileged import unprivileged

FIRST_BACKOFF_S = 0.2
LAST_BACKOFF_S = 5.0
STABLE_S = 10.0  # a prober that lived that long did not fail at once: the backoff begins anew
LINE_LIMIT_BYTES = 65536
AT_ONCE = 200  # targets of one message
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
        self._verdicts: dict[Identity, Verdict] = {}
        self._assignments = 0
        self._untold: dict[Identity, Target | None] = {}  # what the prober does not know yet; None: gone
        self._changed = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self.tallies = Tallies()

    @property
    def pid(self) -> int | None:
        """Return the process id of the prober, None while there is none."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def verdicts(self) -> Mapping[Identity, Verdict]:
        """The verdicts known so far on what is checked now."""
        return self._verdicts

    @property
    def identities(self) -> Set[Identity]:
        """Whom it checks."""
        return self._targets.keys()

    @property
    def unchecked(self) -> int:
        """How many targets have no verdict yet."""
        return len(self._targets) - len(self._verdicts)

    def start(self) -> None:
        """Start the prober, unless that was done."""
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    def watch(self, targets: Iterable[Target], gone: Iterable[Identity] = ()) -> None:
        """Check these targets as they are now, and those that are gone no more.

        The verdict that a target brings counts if it was not watched before; else the prober knows better.
        """
        self._assignments += 1
        for identity in gone:
            if self._targets.pop(identity, None):
                self._verdicts.pop(identity, None)
                self._untold[identity] = None
        for target in targets:
            known = self._targets.get(target.identity)
            entered = self._entered(target, known)
            if entered != known:
                self._targets[target.identity] = self._untold[target.identity] = entered
        if self._untold:
            self._changed.set()

    def _entered(self, target: Target, known: Target | None) -> Target:
        """Return a target under the number by which it came in; its verdict is kept beside it."""
        if known is None and target.verdict:
            self._verdicts[target.identity] = target.verdict
        return replace(target, entry=known.entry if known else self._assignments, verdict=None)

    async def close(self) -> None:
        """End the prober, and return when it has ended."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None

    def untold(self) -> Iterator[Assignment]:
        """Yield what the prober is still to be told, in pieces: nothing else has to wait long for one of them."""
        while self._untold:
            some = dict(islice(self._untold.items(), AT_ONCE))
            for identity in some:
                del self._untold[identity]
            there = [replace(each, verdict=self._verdicts.get(each.identity)) for each in some.values() if each]
            yield Assignment(targets=tuple(there), gone=tuple(who for who, each in some.items() if each is None))
        self._untold = {}  # one that was emptied is as large as it ever was

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
        self._untold = dict(self._targets)  # one that is new knows nothing
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
        """Send what is new whenever there is something; while the prober is slow to read, it gathers."""
        assert process.stdin is not None  # noqa: S101 - it was started with a pipe
        turns = Turns()
        while True:
            await self._changed.wait()
            self._changed.clear()
            turns.begin()
            for message in self.untold():
                process.stdin.write(message.model_dump_json().encode() + b"\n")
                try:
                    await process.stdin.drain()
                except ConnectionError:
                    return  # it has ended, which _listen sees as well
                await turns.give_way()

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
            await asyncio.sleep(0)  # hundreds may be there already: others have their turn between them

    def learn(self, report: Report) -> None:
        """Keep a verdict, and deliver it; one on a target that left, or left and came again, is old."""
        target = self._targets.get(report.identity)
        if target is None or target.entry != report.entry:
            return
        known = report.model_copy(update={"identity": target.identity})  # which all who keep verdicts share
        self._verdicts[known.identity] = known.verdict
        self._deliver(known)
