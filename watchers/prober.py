"""The prober: checks real servers in a process of its own, so that the router's lease never waits for a check.

`python -m watchers.prober` reads assignments from standard input and writes reports to standard output (see
`prober_messages`); its log goes to standard error. It ends when its input does, so none outlives its router. It knows
nothing of etcd and of the kernel, and weighs nothing: what a verdict means for a pool is decided elsewhere.

One task checks one target, one check at a time:

    check ──▶ step ──▶ report, if the verdict is new ──▶ pause ──▶ check …
"""

import asyncio
import faulthandler
import logging
import random
import resource
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from clusterd.checks import probe
from clusterd.health import Observation, Record, Verdict, step
from clusterd.model import Check, Timing
from watchers.prober_messages import Assignment, Identity, Report, Target

Probe = Callable[[str, int, Check], Awaitable[Observation]]

RECHECK_S = 0.2  # the soonest second look at a server that has just failed
SHORTEST_PAUSE_S = 0.05  # between two checks of one server, whatever its interval
SPREAD_S = 0.5  # first checks of many new servers are spread over this time,
APART_S = 0.001  # those of few over less
LINE_LIMIT_BYTES = 64 * 2**20
HANG_S = 10.0  # a regular expression can hold this process up for ever

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Watch:
    """A target, what is remembered of it (on the monotonic clock), and the task that checks it."""

    target: Target
    record: Record
    task: asyncio.Task[None] | None = field(default=None)

    def stop(self) -> None:
        """Check it no more."""
        if self.task is not None:
            self.task.cancel()


class Prober:
    """Checks what it was last assigned, and hands each new verdict to `report`."""

    def __init__(self, report: Callable[[Report], None], probe: Probe = probe) -> None:
        self._report = report
        self._probe = probe
        self._watches: dict[Identity, Watch] = {}

    def assign(self, targets: Iterable[Target]) -> None:
        """Check these targets from now on, and no others.

        A target already there goes on undisturbed. If its address, port or check is another now, it keeps its verdict
        and its counting starts anew. One that is new begins with the verdict it brings.
        """
        before, self._watches = self._watches, {}
        for target in targets:
            old = before.get(target.identity)
            if old is not None and old.target.entry == target.entry:
                self._watches[target.identity] = self._continued(old, target)
            else:
                self._watches[target.identity] = Watch(target, Record(_on_our_clock(target.verdict)))
        for identity, watch in before.items():
            if self._watches.get(identity) is not watch:
                watch.stop()
        self._start([watch for watch in self._watches.values() if watch.task is None])

    def _continued(self, old: Watch, target: Target) -> Watch:
        return old if old.target.same_check(target) else Watch(target, Record(old.record.verdict))

    def _start(self, watches: list[Watch]) -> None:
        """Start with those without a verdict; the others' first checks are spread over their first interval."""
        unknown = [watch for watch in watches if watch.record.verdict is None]
        apart_s = min(APART_S, SPREAD_S / max(1, len(unknown)))
        for number, watch in enumerate(unknown):
            watch.task = asyncio.create_task(self._keep_checking(watch, number * apart_s))
        for watch in watches:
            if watch.task is None:
                delay_s = random.uniform(0, watch.target.check.interval_s)  # noqa: S311 - spreads load, guards nothing
                watch.task = asyncio.create_task(self._keep_checking(watch, delay_s))

    async def _keep_checking(self, watch: Watch, pause_s: float) -> None:
        target = watch.target
        while True:
            await asyncio.sleep(pause_s)
            started_s = time.monotonic()
            observation = await self._observe(target)
            now_s = time.monotonic()
            self._learn(watch, observation, now_s)
            pause_s = pause_after(watch.record, target.check, now_s - started_s)

    async def _observe(self, target: Target) -> Observation:
        try:
            return await self._probe(str(target.address), target.port, target.check)
        except Exception as error:  # noqa: BLE001 - a mistake in one kind of check must not end the checking
            return Observation(False, f"the check itself failed: {error!r}", conclusive=False)

    def _learn(self, watch: Watch, observation: Observation, now_s: float) -> None:
        target, before = watch.target, watch.record
        watch.record = step(before, observation, target.check, now_s)
        if not observation.conclusive:
            log.warning("%s/%s was not checked: %s", target.virtual, target.server, observation.detail)
        verdict = watch.record.verdict
        if verdict is not None and verdict is not before.verdict:
            verdict = replace(verdict, since_s=time.time())
            self._report(Report(virtual=target.virtual, server=target.server, verdict=verdict, entry=target.entry))


def pause_after(record: Record, timing: Timing, took_s: float) -> float:
    """Return the seconds from the end of a check that took `took_s` to the beginning of the next.

    Checks begin `interval_s` apart; sooner once an up server has failed, so that `fall` failures are soon together.
    """
    if record.doubtful:
        return max(min(max(timing.interval_s / 4 - took_s, RECHECK_S), timing.interval_s), SHORTEST_PAUSE_S)
    return max(timing.interval_s - took_s, SHORTEST_PAUSE_S)


def _on_our_clock(verdict: Verdict | None) -> Verdict | None:
    return verdict and replace(verdict, since_s=verdict.since_s - time.time() + time.monotonic())


async def _serve() -> None:
    """Take assignments until the input ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=LINE_LIMIT_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin.buffer)
    out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sys.stdout.buffer)
    alive = asyncio.create_task(_stay_alive())
    prober = Prober(lambda report: out.write(report.model_dump_json().encode() + b"\n"))
    while not lines.at_eof():
        try:
            line = await lines.readline()
            if line:
                prober.assign(Assignment.model_validate_json(line).targets)
        except ValidationError as error:
            log.error("an assignment was not understood, the last one still holds: %s", error)
        except ValueError as error:  # of readline
            log.error("an assignment was too long, the last one still holds: %s", error)
    alive.cancel()


async def _stay_alive() -> None:
    """End the process, with its stack in the log, when nothing has moved for a while: the link starts another."""
    while True:
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        await asyncio.sleep(HANG_S / 10)


def main() -> None:
    """Run until standard input ends."""
    logging.basicConfig(format="prober: %(message)s", level=logging.INFO)
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the router, where they reach the whole group: a
        signal.signal(number, signal.SIG_IGN)  # terminal's Ctrl-C, systemd's stop. The end of its input ends a prober.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a check in progress is an open socket
    asyncio.run(_serve())


if __name__ == "__main__":
    main()
