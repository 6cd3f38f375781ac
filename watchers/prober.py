"""The prober: checks real servers in a process of its own, so that the router's lease never waits for a check.

`python -m watchers.prober` reads assignments from standard input and writes reports to standard output (see
`prober_messages`); its log goes to standard error. It ends when its input does, so none outlives its router. It knows
nothing of etcd and of the kernel, and weighs nothing: what a verdict means for a pool is decided elsewhere.

Everything happens in one thread, by calls that never wait:

    schedule ──▶ engine: check … found out ──▶ step ──▶ report, if the verdict is new ──▶ schedule …
"""

import asyncio
import faulthandler
import logging
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

from pydantic import ValidationError

from clusterd.checks.dialogue import Through
from clusterd.health import Observation, Record, Verdict, begun, step
from clusterd.metrics.histogram import SHORT_S, Histogram
from clusterd.model import Check
from clusterd.probing.engine import MOST_OPEN, Attempt, Engine
from clusterd.timetable import next_place_s, next_start_s, phase_s
from watchers import logs
from watchers.lateness import Lateness
from watchers.logs import tagged
from watchers.prober_messages import Assignment, Identity, Report, Tally, Target, misread
from watchers.schedule import Entry, Schedule

KERNEL_S = 1.0  # before a new server is checked through IPVS: what leads there is made meanwhile
APART_S = 0.00025  # between the first checks of new servers: 10,000 in 2.5 s
LINE_LIMIT_BYTES = 64 * 2**20
HANG_S = 10.0  # a regular expression can hold this process up for ever
RESERVED_FILES = 512  # descriptors for everything that is not a check's socket: programs, the log, libraries
LATE_S = 0.2  # checks that begin later than that, one in a hundred, are worth a line in the log
LOOKED_AT_S = 60.0
TALLY_S = 5.0

log = logging.getLogger(__name__)


class Checks(Protocol):
    """What begins checks: an Engine."""

    def check(
        self,
        address: str,
        port: int,
        check: Check,
        done: Callable[[Observation], None],
        through: Through | None = None,
        begun: Callable[[], None] | None = None,
    ) -> Attempt:
        """Begin a check, and call `done` with what it found out; `begun` when it had its turn."""


@dataclass(slots=True, eq=False)
class Watch:
    """A target, what is remembered of it (on the loop's clock), and what is under way for it."""

    target: Target
    record: Record
    entry: "Entry[Watch] | None" = field(default=None)
    attempt: Attempt | None = field(default=None)

    @property
    def phase_s(self) -> float:
        """Its place in the interval, which takes less time than memory."""
        return phase_s(self.target.identity, self.target.check)

    def stop(self) -> None:
        """Check it no more."""
        for each in (self.entry, self.attempt):
            if each is not None:
                each.cancel()


class Prober:
    """Checks what it was last assigned, and hands each new verdict to `report`. To be made in a running loop."""

    def __init__(self, report: Callable[[Report], None], checks: Checks) -> None:
        self._report = report
        self._checks = checks
        self._time_s = asyncio.get_running_loop().time
        self.watches: dict[Identity, Watch] = {}
        self._same: dict[str, Check] = {}  # each check once, by its words: there are many targets for each
        self.lateness = Lateness()
        self._results, self._late = Counter[tuple[str, str]](), Histogram(SHORT_S)
        self._schedule = Schedule(self._begin)

    def assign(self, targets: Iterable[Target], gone: Iterable[Identity] = ()) -> None:
        """Check these targets as they are now, and those that are gone no more; all others go on.

        A target already there goes on undisturbed. If its address, port or check is another now, it keeps its verdict
        and its counting starts anew. One that is new begins with the verdict it brings, or as its check says.
        """
        for identity in gone:
            if identity in self.watches:
                self.watches.pop(identity).stop()
        fresh: list[Watch] = []
        now_s = self._time_s()
        for target in targets:
            old = self.watches.get(target.identity)
            if old is None or old.target.entry != target.entry or not old.target.same_check(target):
                self.watches[target.identity] = watch = self._fresh(old, target, now_s)
                fresh.append(watch)
                if old is not None:
                    old.stop()
        self._start([watch for watch in fresh if self.watches[watch.target.identity] is watch])

    def _fresh(self, old: Watch | None, target: Target, now_s: float) -> Watch:
        target = replace(target, check=self._same.setdefault(target.check.model_dump_json(), target.check))
        if old is not None and old.target.entry == target.entry:
            return Watch(target, Record(old.record.verdict))
        known = _on_our_clock(target.verdict, now_s)
        watch = Watch(target, begun(known, target.check, now_s))
        if known is None:
            self._tell(watch)
        return watch

    def _start(self, watches: list[Watch]) -> None:
        """Start with those of which nothing is known; the others wait for their places in the interval."""
        now_s = due_s = self._time_s()
        for watch in watches:
            if watch.target.verdict is None:
                self._plan(watch, due_s + (KERNEL_S if watch.target.vip else 0))
                due_s += APART_S
            else:
                self._plan(watch, next_place_s(watch.phase_s, watch.target.check, now_s))

    def _plan(self, watch: Watch, due_s: float) -> None:
        watch.entry = self._schedule.at(due_s, watch)

    def _begin(self, watch: Watch, started_s: float) -> None:
        target = watch.target
        address, through = str(target.address), None
        if target.vip:
            address, through = str(target.vip), Through(target.mark, str(target.address))
        watch.attempt = self._checks.check(
            address,
            target.port,
            target.check,
            lambda found: self.learn(watch, found, started_s),
            through,
            lambda: self._began(self._time_s() - started_s),
        )

    def learn(self, watch: Watch, found: Observation, started_s: float) -> None:
        """Take in what a check found out that was to begin at `started_s`, and plan the next."""
        target, before, now_s = watch.target, watch.record, self._time_s()
        watch.record, watch.attempt = step(before, found, target.check, now_s), None
        result = ("passed" if found.ok else "failed") if found.conclusive else "inconclusive"
        self._results[target.check.type, result] += 1
        if not found.conclusive:
            virtual, server = target.identity
            about = tagged("not checked", virtual=virtual, server=server)
            log.warning("%s/%s was not checked: %s", virtual, server, found.detail, extra=about)
        if watch.record.verdict is not before.verdict:
            self._tell(watch)
        self._plan(watch, next_start_s(watch.record, target.check, watch.phase_s, started_s, now_s))

    def tally(self) -> Tally:
        """Return what was counted since this was asked last."""
        results: dict[str, dict[str, int]] = {}
        for (kind, result), count in self._results.items():
            results.setdefault(kind, {})[result] = count
        late, self._late, self._results = self._late, Histogram(SHORT_S), Counter()
        return Tally(results=results, late=tuple(late.counts), late_sum_s=late.sum)

    def _began(self, late_s: float) -> None:
        self.lateness.add(late_s)
        self._late.add(late_s)

    def _tell(self, watch: Watch) -> None:
        target, verdict = watch.target, watch.record.verdict
        if verdict is not None:
            verdict = replace(verdict, since_s=time.time())
            self._report(Report(identity=target.identity, verdict=verdict, entry=target.entry))


def _on_our_clock(verdict: Verdict | None, now_s: float) -> Verdict | None:
    return verdict and replace(verdict, since_s=verdict.since_s - time.time() + now_s)


async def _serve() -> None:
    """Take assignments until the input ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=LINE_LIMIT_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin.buffer)
    out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout.buffer)
    alive = asyncio.create_task(_stay_alive())
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    engine = Engine(min(MOST_OPEN, max(files - RESERVED_FILES, files // 2)))

    def tell(message: Report | Tally) -> None:
        out.write(message.model_dump_json().encode() + b"\n")

    prober = Prober(tell, engine)
    looking = asyncio.create_task(_look_at_lateness(prober))
    telling = asyncio.create_task(_tell_tallies(prober, tell))
    while not lines.at_eof():
        try:
            line = await lines.readline()
            if line:
                assignment = Assignment.model_validate_json(line)
                prober.assign(assignment.targets, assignment.gone)
        except ValidationError as error:
            told = "an assignment was not understood, those before it still hold: %s"
            log.error(told, misread(error), extra=tagged("message"))
        except ValueError as error:  # of readline
            log.error("an assignment was too long, those before it still hold: %s", error, extra=tagged("message"))
    alive.cancel()
    looking.cancel()
    telling.cancel()
    engine.close()
    await engine.ended()


async def _tell_tallies(prober: Prober, tell: Callable[[Tally], None]) -> None:
    while True:
        await asyncio.sleep(TALLY_S)
        tell(prober.tally())


async def _look_at_lateness(prober: Prober) -> None:
    """Say so when there are more checks than this process can make in time."""
    while True:
        await asyncio.sleep(LOOKED_AT_S)
        seen, prober.lateness = prober.lateness, Lateness()
        late_s = seen.at_most_s(0.99)
        if late_s > LATE_S:
            about = tagged("checks late", checks=seen.total, late_s=late_s, worst_s=round(seen.worst_s, 3))
            told = "checks begin late: 1 %% of %d more than %g s, one %.3f s"
            log.warning(told, seen.total, late_s, seen.worst_s, extra=about)


async def _stay_alive() -> None:
    """End the process, with its stack in the log, when nothing has moved for a while: the link starts another."""
    while True:
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        await asyncio.sleep(HANG_S / 10)


def main() -> None:
    """Run until standard input ends."""
    logs.begin("prober", text="prober: %(message)s")
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the router, where they reach the whole group: a
        signal.signal(number, signal.SIG_IGN)  # terminal's Ctrl-C, systemd's stop. The end of its input ends a prober.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a check in progress is an open socket
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
