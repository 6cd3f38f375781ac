"""Checks that are programs: not too many at a time, each for its time only, and killed with all that it started."""

import asyncio
from collections import deque
from collections.abc import Callable

from clusterd import programs
from clusterd.checks import exec as check_by_program
from clusterd.checks.dialogue import Place
from clusterd.health import Observation
from clusterd.model import ExecCheck
from clusterd.probing.exchange import Done

MOST_RUNNING = 64  # further ones wait for their turn, and their time counts from there
_MOST_REMEMBERED = 10_000
_ENVIRONMENT = {"PATH": programs.PATH, "LANG": "C.UTF-8"}


_Identity = tuple[str, int, ExecCheck]


class Run:
    """A program that waits for its turn, or runs, or has ended."""

    def __init__(self, place: Place, check: ExecCheck, done: Done, begun: Callable[[], None] | None) -> None:
        self.place, self.check, self.done, self.begun = place, check, done, begun
        self.cancelled = False
        self.hung = False  # last time
        self.hangs = False
        self.task: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """Kill it without a word."""
        self.cancelled = True
        if self.task is not None:
            self.task.cancel()


class Programs:
    """Runs checks of type exec.

    Those that hung last time have half of the places, so that the others wait for them once and not for ever: n
    programs that begin to hang delay another one by n / MOST_RUNNING times their own time.
    """

    def __init__(self, most_running: int = MOST_RUNNING) -> None:
        self._most_running = most_running
        self._waiting: deque[Run] = deque()
        self._waiting_hung: deque[Run] = deque()
        self._running: dict[asyncio.Task[None], Run] = {}
        self._hung: set[_Identity] = set()

    def check(self, place: Place, check: ExecCheck, done: Done, begun: Callable[[], None] | None = None) -> Run:
        """Run a check's program, and call `done` with what it found out, and `begun` when it has its turn."""
        run = Run(place, check, done, begun)
        run.hung = _identity(run) in self._hung
        (self._waiting_hung if run.hung else self._waiting).append(run)
        self._begin()
        return run

    def close(self) -> None:
        """Kill all of them."""
        self._waiting.clear()
        self._waiting_hung.clear()
        for task in self._running:
            task.cancel()

    async def ended(self) -> None:
        """Return when none runs any more."""
        while self._running:
            await asyncio.wait(self._running)

    def _begin(self) -> None:
        while (run := self._next()) is not None:
            if not run.cancelled:
                if run.begun is not None:
                    run.begun()
                run.task = asyncio.create_task(self._observed(run))
                self._running[run.task] = run
                run.task.add_done_callback(self._ended)

    def _next(self) -> Run | None:
        if len(self._running) >= self._most_running:
            return None
        if self._waiting_hung and sum(run.hung for run in self._running.values()) < self._most_running // 2:
            return self._waiting_hung.popleft()
        return self._waiting.popleft() if self._waiting else None

    def _ended(self, task: "asyncio.Task[None]") -> None:
        del self._running[task]
        self._begin()

    async def _observed(self, run: Run) -> None:
        try:
            found = await _found(run)
        except Exception as error:  # noqa: BLE001 - a mistake in one kind of check must not end the checking
            found = Observation(False, f"the check itself failed: {error!r}", conclusive=False)
        if run.hangs and len(self._hung) < _MOST_REMEMBERED:
            self._hung.add(_identity(run))
        elif not run.hangs:
            self._hung.discard(_identity(run))
        if not run.cancelled:
            run.done(found)


def _identity(run: Run) -> _Identity:
    return run.place.address, run.place.port, run.check


async def _found(run: Run) -> Observation:
    place, check = run.place, run.check
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
        run.hangs = True
        return Observation(False, f"the program was killed after {check.timeout_s:g} s")
    return check_by_program.judged(check, outcome.status, outcome.output)
