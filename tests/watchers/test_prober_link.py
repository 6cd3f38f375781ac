"""The link: whatever happens to the prober, verdicts stay and changes arrive."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from clusterd.health import Verdict
from clusterd.model import TcpCheck
from tests.clusterd.checks.servers import free_port, saying, serving
from watchers.prober_link import ProberLink
from watchers.prober_messages import Report, Target

UP = Verdict(True, 1700000000.0, "accepted a connection")


def target(server: str, port: int, verdict: Verdict | None = None, fall: int = 2) -> Target:
    check = TcpCheck(type="tcp", interval_s=0.1, timeout_s=5, fall=fall, rise=1)
    return Target(("web", server), address=IPv4Address("127.0.0.1"), port=port, check=check, verdict=verdict)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until(happened: Callable[[], bool], within_s: float = 5) -> None:
    async with asyncio.timeout(within_s):
        while not happened():
            await asyncio.sleep(0.01)


def watching(one: ProberLink, targets: Iterable[Target]) -> None:
    """Check these from now on, and no others."""
    there = tuple(targets)
    one.watch(there, one.identities - {target.identity for target in there})
    one.start()


@asynccontextmanager
async def link(*command: str) -> AsyncIterator[tuple[ProberLink, "asyncio.Queue[Report]"]]:
    reports: asyncio.Queue[Report] = asyncio.Queue()
    one = ProberLink(reports.put_nowait, command) if command else ProberLink(reports.put_nowait)
    try:
        yield one, reports
    finally:
        await one.close()


async def next_of(reports: "asyncio.Queue[Report]") -> tuple[str, bool]:
    report = await asyncio.wait_for(reports.get(), 5)
    return report.identity[1], report.verdict.up


async def test_verdicts_arrive_and_are_known() -> None:
    async with link() as (one, reports), serving(saying()) as port:
        refused = free_port()
        watching(one, [target("a", port), target("b", refused)])
        assert {await next_of(reports), await next_of(reports)} == {("a", True), ("b", False)}
        assert one.verdicts["web", "b"].detail == "connection refused"
        assert abs(one.verdicts["web", "a"].since_s - time.time()) < 5


async def test_a_killed_prober_is_replaced_and_no_verdict_is_lost_or_told_twice() -> None:
    async with link() as (one, reports):
        async with serving(saying()) as port:
            watching(one, [target("a", port), target("b", free_port())])
            await next_of(reports)
            await next_of(reports)
            before, killed = one.verdicts, one.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            await until(lambda: one.pid not in (None, killed))
            await asyncio.sleep(0.5)
            assert one.verdicts == before
            assert reports.empty()
        assert await next_of(reports) == ("a", False)


async def test_what_happens_while_there_is_no_prober_is_found_afterwards() -> None:
    async with link() as (one, reports):
        async with serving(saying()) as port:
            watching(one, [target("a", port)])
            assert await next_of(reports) == ("a", True)
            assert one.pid is not None
            os.kill(one.pid, signal.SIGKILL)
        watching(one, [target("a", port), target("b", port)])
        assert {await next_of(reports), await next_of(reports)} == {("a", False), ("b", False)}


async def test_a_new_list_keeps_what_is_known_and_forgets_what_left() -> None:
    async with link() as (one, reports), serving(saying()) as port:
        watching(one, [target("a", port), target("b", port)])
        await next_of(reports)
        await next_of(reports)
        since_s = one.verdicts["web", "a"].since_s
        stale = Verdict(False, 1.0, "what the caller believed")
        watching(one, [target("a", port, stale), target("c", port)])
        assert await next_of(reports) == ("c", True)
        assert one.verdicts["web", "a"].since_s == since_s
        assert ("web", "b") not in one.verdicts
        watching(one, [target("a", port), target("b", port), target("c", port)])
        assert await next_of(reports) == ("b", True)


async def test_a_verdict_of_before_is_taken_over() -> None:
    async with link() as (one, reports), serving(saying()) as port:
        watching(one, [target("a", port, UP), target("b", port)])
        assert await next_of(reports) == ("b", True)
        await asyncio.sleep(0.2)
        assert one.verdicts["web", "a"] == UP
        assert reports.empty()


def script(text: str) -> tuple[str, ...]:
    return sys.executable, "-c", "import json, sys, time\n" + text


SAY = """
def say(server, up, entry):
    verdict = {"up": up, "since_s": 1.0, "detail": "x"}
    print(json.dumps({"identity": ["web", server], "verdict": verdict, "entry": entry}), flush=True)
"""


async def test_reports_on_others_and_of_an_earlier_stay_are_dropped_and_garbage_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    liar = SAY + "sys.stdin.readline(); say('z', True, 1); say('a', True, 7); print('garbage'); print('x' * 99999)\n"
    async with link(*script(liar + "say('a', False, 1); sys.stdin.read()")) as (one, reports):
        watching(one, [target("a", 9)])
        assert await next_of(reports) == ("a", False)
        assert one.verdicts == {("web", "a"): Verdict(False, 1.0, "x")}
        assert caplog.text.count("a report was not understood") >= 2


ECHO = """
watched = {}
for line in sys.stdin:
    told = json.loads(line)
    for _, server in told["gone"]:
        del watched[server]
    watched |= {target["identity"][1]: target["entry"] for target in told["targets"]}
    for server, entry in watched.items():
        say(server, True, entry)
"""


async def test_a_target_keeps_the_entry_it_came_in_by_until_it_leaves() -> None:
    async with link(*script(SAY + ECHO)) as (one, reports):
        seen = []
        for names in ("a", "ab", "b", "ba"):
            watching(one, [target(name, 9) for name in names])
            told = [await asyncio.wait_for(reports.get(), 5) for _ in names]
            seen.append([(report.identity[1], report.entry) for report in told])
    assert seen == [[("a", 1)], [("a", 1), ("b", 2)], [("b", 2)], [("b", 2), ("a", 4)]]


async def test_a_prober_that_dies_with_its_report_is_heard() -> None:
    async with link(*script(SAY + "sys.stdin.readline(); say('a', True, 1); sys.exit(3)")) as (one, reports):
        watching(one, [target("a", 9)])
        assert await next_of(reports) == ("a", True)


async def test_one_that_cannot_be_started_is_tried_again_ever_more_slowly(caplog: pytest.LogCaptureFixture) -> None:
    async with link("/nonexistent/prober") as (one, _):
        watching(one, [])
        await until(lambda: "another prober is started in 0.8 s" in caplog.text)
        assert "another prober is started in 0.2 s" in caplog.text
        assert "no prober could be started: " in caplog.text
        assert one.pid is None


async def test_close_ends_the_prober_and_is_harmless_twice_or_before_the_start() -> None:
    async with link() as (one, reports), serving(saying()) as port:
        await one.close()
        watching(one, [target("a", port)])
        await next_of(reports)
        pid = one.pid
        assert pid is not None
        began_s = time.monotonic()
        await one.close()
        assert time.monotonic() - began_s < 0.9
        assert not running(pid)
        await one.close()


async def test_close_kills_a_prober_that_does_not_end() -> None:
    async with link(*script(SAY + "say('a', True, 1); time.sleep(60)")) as (one, reports):
        watching(one, [target("a", 9)])
        await next_of(reports)
        pid = one.pid
        assert pid is not None
        began_s = time.monotonic()
        await one.close()
        assert 0.9 < time.monotonic() - began_s < 3
        assert not running(pid)


async def test_a_prober_that_does_not_read_holds_up_nobody() -> None:
    async with link(*script("time.sleep(60)")) as (one, _):
        many = [target(f"server-{number}", 9) for number in range(600)]
        for _ in range(5):
            watching(one, many)
            await asyncio.sleep(0)


PARENT = """
import asyncio
from tests.watchers.test_prober_link import target, watching
from watchers.prober_link import ProberLink

async def run():
    link = ProberLink(lambda report: print(link.pid, flush=True))
    watching(link, [target("a", 1)])
    await asyncio.sleep(60)

asyncio.run(run())
"""


async def test_a_router_that_is_killed_leaves_no_prober() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=PIPE)
    assert parent.stdout is not None
    try:
        pid = int(await asyncio.wait_for(parent.stdout.readline(), 10))
        assert running(pid)
    finally:
        parent.kill()
        await parent.communicate()
    await until(lambda: not running(pid), within_s=2)


TALLY = """
tally = {"results": {"tcp": {"passed": 3, "failed": 1}}, "late": [4] + [0] * 12, "late_sum_s": 0.5}
print(json.dumps(tally), flush=True)
"""


async def test_what_probers_did_is_added_up_over_all_of_them() -> None:
    async with link(*script(TALLY)) as (one, reports):
        watching(one, [target("a", 1)])
        await until(lambda: one.tallies.starts == 2 and one.tallies.all().lateness.total == 8)
        done = one.tallies.all()
        assert done.results == {("tcp", "passed"): 6, ("tcp", "failed"): 2}
        assert (done.lateness.sum, done.starts) == (1.0, 2)
        assert reports.empty()
