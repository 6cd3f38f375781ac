"""Checks that are programs: not too many at a time, each for its time only, and killed with all that it started."""

import asyncio
from collections import deque

from clusterd import programs
from clusterd.checks import exec as check_by_program
from clusterd.checks.dialogue import Place
from clusterd.health import Observation
from clusterd.model import ExecCheck
from clusterd.probing.exchange import Done

MOST_RUNNING = 64  # further ones wait for their turn, and their time counts from there
_ENVIRONMENT = {"PATH": programs.PATH, "LANG": "C.UTF-8"}


class Run:
    """A program that waits for its turn, or runs, or has ended."""

    def __init__(self, place: Place, check: ExecCheck, done: Done) -> None:
        self.place, self.check, self.done = place, check, done
        self.cancelled = False
        self.task: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """Kill it without a word."""
        self.cancelled = True
        if self.task is not None:
            self.task.cancel()


class Programs:
    """Runs checks of type exec."""

    def __init__(self, most_running: int = MOST_RUNNING) -> None:
        self._most_running = most_running
        self._waiting: deque[Run] = deque()
        self._running: set[asyncio.Task[None]] = set()

    def check(self, place: Place, check: ExecCheck, done: Done) -> Run:
        """Run a check's program, and call `done` with what it found out."""
        run = Run(place, check, done)
        self._waiting.append(run)
        self._begin()
        return run

    def close(self) -> None:
        """Kill all of them."""
        self._waiting.clear()
        for task in self._running:
            task.cancel()

    async def ended(self) -> None:
        """Return when none runs any more."""
        while self._running:
            await asyncio.wait(self._running)

    def _begin(self) -> None:
        while self._waiting and len(self._running) < self._most_running:
            run = self._waiting.popleft()
            if not run.cancelled:
                run.task = asyncio.create_task(_observed(run))
                self._running.add(run.task)
                run.task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._begin()


async def _observed(run: Run) -> None:
    try:
        found = await _found(run.place, run.check)
    except Exception as error:  # noqa: BLE001 - a mistake in one kind of check must not end the checking
        found = Observation(False, f"the check itself failed: {error!r}", conclusive=False)
    if not run.cancelled:
        run.done(found)


async def _found(place: Place, check: ExecCheck) -> Observation:
    most = check_by_program.PRINTED_BYTES
    terms = programs.Terms(check.user, check.timeout_s, kept_bytes=most, most_bytes=most)
    environment = _ENVIRONMENT | check_by_program.environment(place)
    try:
        outcome = await programs.run(check_by_program.command(place, check), terms, environment)
    except programs.CannotRun as error:
        return Observation(False, f"{check.command[0]} could not be run: {error}", conclusive=False)
    if outcome.flooded:
        return Observation(False, f"the program was killed: it printed more than {most // 1024} KiB")
    if outcome.status is None:
        return Observation(False, f"the program was killed after {check.timeout_s:g} s")
    return check_by_program.judged(check, outcome.status, outcome.output)
