"""The prober's schedule and memory, with checks whose results the test decides."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from clusterd.checks.dialogue import Through
from clusterd.health import Observation, Verdict
from clusterd.model import Check, TcpCheck
from watchers import prober
from watchers.prober import Prober
from watchers.prober_messages import Report, Target

UP = Verdict(True, 1700000000.0, "accepted a connection")
DOWN = Verdict(False, 1700000000.0, "connection refused")
BAD = Observation(False, "connection refused")


class Begun:
    """A check without a network, in progress."""

    def __init__(self, servers: "Servers", port: int, done: Callable[[Observation], None]) -> None:
        self.servers, self.port, self.done = servers, port, done
        servers.busy += 1
        servers.busiest = max(servers.busiest, servers.busy)
        self.timer = asyncio.get_running_loop().call_later(servers.takes_s, self.end)

    def end(self) -> None:
        self.servers.busy -= 1
        if self.servers.broken:
            self.done(Observation(False, "the check itself failed: a mistake", conclusive=False))
        else:
            self.done(BAD if self.port in self.servers.bad else Observation(True, "accepted a connection"))

    def cancel(self) -> None:
        self.timer.cancel()


class Servers:
    """Checks without a network: a port answers well unless it is in `bad`; every check is noted."""

    def __init__(self) -> None:
        self.bad: set[int] = set()
        self.checked: list[tuple[str, int]] = []
        self.through: list[Through | None] = []
        self.busy = self.busiest = 0
        self.takes_s = 0.0
        self.waits_s = 0.0
        self.broken = False

    def check(
        self,
        address: str,
        port: int,
        check: Check,
        done: Callable[[Observation], None],
        through: Through | None = None,
        begun: Callable[[], None] | None = None,
    ) -> Begun:
        self.checked.append((address, port))
        self.through.append(through)
        if begun is not None and self.waits_s:
            asyncio.get_running_loop().call_later(self.waits_s, begun)
        elif begun is not None:
            begun()
        return Begun(self, port, done)

    def count(self, port: int) -> int:
        return sum(1 for _, checked in self.checked if checked == port)


class Stage:
    """A prober, its servers, and what it reported."""

    def __init__(self) -> None:
        self.servers = Servers()
        self.reports: list[Report] = []
        self.prober = Prober(self.reports.append, self.servers)

    @property
    def news(self) -> list[tuple[str, bool]]:
        return [(report.identity[1], report.verdict.up) for report in self.reports]

    async def until(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not happened():
                await asyncio.sleep(0.005)

    async def checks(self, port: int, more: int) -> None:
        wanted = self.servers.count(port) + more
        await self.until(lambda: self.servers.count(port) >= wanted)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    stage.prober.assign([], [*stage.prober.watches])
    await asyncio.sleep(0)


def check(interval_s: float = 0.05, fall: int = 2, rise: int = 2) -> TcpCheck:
    return TcpCheck(type="tcp", interval_s=interval_s, timeout_s=1, fall=fall, rise=rise)


def target(server: str, port: int, verdict: Verdict | None = None, how: TcpCheck | None = None) -> Target:
    return Target(
        ("web", server),
        address=IPv4Address("10.1.0.1"),
        port=port,
        check=how or check(),
        verdict=verdict,
        entry=1,
    )


async def test_the_first_verdict_is_reported_and_then_only_changes(stage: Stage) -> None:
    stage.servers.bad = {2}
    before_s = time.time()
    stage.prober.assign([target("a", 1), target("b", 2)])
    await stage.checks(1, 4)
    assert sorted(stage.news) == [("a", True), ("b", False)]
    stage.servers.bad = {1}
    await stage.until(lambda: len(stage.news) == 4)
    assert sorted(stage.news[2:]) == [("a", False), ("b", True)]
    for report in stage.reports:
        assert before_s <= report.verdict.since_s <= time.time()
        assert report.entry == 1


async def test_a_known_verdict_is_not_reported_again(stage: Stage) -> None:
    stage.servers.bad = {2}
    stage.prober.assign([target("a", 1, UP), target("b", 2, DOWN)])
    await stage.checks(1, 3)
    await stage.checks(2, 3)
    assert stage.news == []


async def test_a_known_verdict_still_needs_fall_failures(stage: Stage) -> None:
    stage.servers.bad = {1}
    stage.prober.assign([target("a", 1, UP, check(fall=3))])
    await stage.until(lambda: bool(stage.news))
    assert stage.servers.count(1) == 3


async def test_editing_others_disturbs_no_count(stage: Stage) -> None:
    stage.servers.bad = {1}
    stage.prober.assign([target("a", 1, UP, check(fall=4))])
    for port in (2, 3, 4):
        await stage.checks(1, 1)
        stage.prober.assign([target("x", port), target("a", 1, None, check(fall=4))])
    await stage.until(lambda: ("a", False) in stage.news)
    assert stage.servers.count(1) == 4


async def test_another_check_keeps_the_verdict_and_counts_anew(stage: Stage) -> None:
    stage.prober.assign([target("a", 1)])
    await stage.until(lambda: bool(stage.news))
    stage.servers.bad = {1, 2}
    await stage.checks(1, 1)
    stage.prober.assign([target("a", 2, None, check(fall=3))])
    await stage.until(lambda: len(stage.news) == 2)
    assert stage.news == [("a", True), ("a", False)]
    assert stage.servers.count(2) == 3
    before = stage.servers.count(1)
    await stage.checks(2, 2)
    assert stage.servers.count(1) == before


async def test_a_target_that_left_is_not_checked_and_has_no_past_when_it_returns(stage: Stage) -> None:
    stage.prober.assign([target("a", 1), target("b", 2)])
    await stage.until(lambda: len(stage.news) == 2)
    stage.prober.assign([target("b", 2)], [("web", "a")])
    before = stage.servers.count(1)
    await stage.checks(2, 3)
    assert stage.servers.count(1) == before
    stage.prober.assign([target("a", 1), target("b", 2)])
    await stage.until(lambda: len(stage.news) == 3)
    assert stage.news[2] == ("a", True)


async def test_a_target_that_left_and_returned_unseen_begins_with_the_verdict_it_brings(stage: Stage) -> None:
    stage.prober.assign([target("a", 1)])
    await stage.until(lambda: bool(stage.news))
    stage.servers.bad = {1}
    stage.prober.assign([replace(target("a", 1, DOWN), entry=2)])
    await stage.checks(1, 4)
    assert len(stage.news) == 1


async def test_a_target_named_twice_is_checked_once_as_the_last_says(stage: Stage) -> None:
    stage.prober.assign([target("a", 1)])
    stage.prober.assign([target("a", 1), target("a", 2)])
    await stage.checks(2, 3)
    assert stage.servers.count(1) == 0


async def test_new_targets_are_checked_at_once_and_many_within_half_a_second(stage: Stage) -> None:
    began_s = time.monotonic()
    stage.prober.assign(target(f"s{port}", port, how=check(60)) for port in range(1, 2001))
    await stage.until(lambda: len(set(stage.servers.checked)) == 2000)
    assert time.monotonic() - began_s < 2
    assert stage.servers.busiest < 2000


async def test_known_targets_are_spread_over_their_first_interval(stage: Stage) -> None:
    stage.prober.assign(target(f"s{port}", port, UP, check(2)) for port in range(1, 201))
    await asyncio.sleep(0.4)
    assert 10 < len(stage.servers.checked) < 180


async def test_one_target_is_never_checked_twice_at_a_time(stage: Stage) -> None:
    stage.servers.takes_s = 0.12
    stage.prober.assign([target("a", 1, how=check(0.02))])
    await stage.checks(1, 4)
    assert stage.servers.busiest == 1


async def test_a_mistake_in_a_check_changes_no_verdict_and_ends_no_checking(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.prober.assign([target("a", 1)])
    await stage.until(lambda: bool(stage.news))
    stage.servers.broken = True
    await stage.checks(1, 4)
    assert stage.news == [("a", True)]
    assert "web/a was not checked: the check itself failed: a mistake" in caplog.text
    stage.servers.broken, stage.servers.bad = False, {1}
    await stage.until(lambda: len(stage.news) == 2)


async def test_a_new_server_counts_as_its_check_says_until_checks_say_otherwise(stage: Stage) -> None:
    stage.servers.bad = {1}
    timing = {"interval_s": 0.05, "fall": 3, "rise": 3}
    up, down = (TcpCheck.model_validate({"type": "tcp", "initial": word, **timing}) for word in ("up", "down"))
    stage.prober.assign([target("a", 1, how=up), target("b", 2, how=down)])
    assert stage.news == [("a", True), ("b", False)]
    await stage.until(lambda: len(stage.news) == 4)
    assert sorted(stage.news[2:]) == [("a", False), ("b", True)]
    assert stage.servers.count(1) >= 3
    assert stage.servers.count(2) >= 3


async def test_what_a_check_should_count_as_does_not_count_where_a_verdict_is_known(stage: Stage) -> None:
    down = TcpCheck(type="tcp", interval_s=0.05, initial="down")
    stage.prober.assign([target("a", 1, UP, down)])
    await stage.checks(1, 3)
    assert stage.news == []


async def test_lateness_is_counted_until_a_check_has_its_turn(stage: Stage) -> None:
    stage.prober.assign([target("a", 1)])
    await stage.checks(1, 3)
    assert stage.prober.lateness.total == stage.servers.count(1)
    assert stage.prober.lateness.worst_s < 0.2
    stage.servers.waits_s = 0.25
    await stage.until(lambda: stage.prober.lateness.worst_s > 0.24)


async def test_a_check_through_the_data_path_goes_to_the_vip_once_the_kernel_had_time_to_know_its_mark(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prober, "KERNEL_S", 0.3)
    began_s = time.monotonic()
    stage.prober.assign([replace(target("a", 1), vip=IPv4Address("10.0.0.9"), mark=7), target("b", 2)])
    await stage.checks(2, more=1)
    assert stage.servers.count(1) == 0
    await stage.checks(1, more=1)
    assert time.monotonic() - began_s >= 0.3
    place = stage.servers.checked.index(("10.0.0.9", 1))
    assert stage.servers.through[place] == Through(7, "10.1.0.1")
    assert stage.servers.through[stage.servers.checked.index(("10.1.0.1", 2))] is None


async def test_what_was_done_since_the_last_tally_is_told(stage: Stage) -> None:
    stage.servers.bad = {2}
    stage.prober.assign([target("a", 1), target("b", 2)])
    await stage.checks(2, 3)
    tally = stage.prober.tally()
    done = stage.servers.count(1) + stage.servers.count(2)
    assert set(tally.results) == {"tcp"}
    assert tally.results["tcp"]["passed"] >= 2
    assert tally.results["tcp"]["failed"] >= 2
    assert sum(tally.results["tcp"].values()) <= done == sum(tally.late)
    assert 0 <= tally.late_sum_s < 1
    assert stage.prober.tally().late_sum_s == 0
