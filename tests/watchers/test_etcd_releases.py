"""A router warns of releases of etcd with faults that matter: once in its log, and in its status while it is so."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from clusterd.doctor.facts import MemberFacts
from clusterd.errors import ConfigError
from watchers import etcd_releases
from watchers.etcd_releases import EtcdReleases

Look = Sequence[MemberFacts] | ConfigError


def member(name: str, version: str) -> MemberFacts:
    return MemberFacts(endpoint=f"{name}:2379", name=name, version=version, problem="" if version else "no answer")


async def told(*looks: Look) -> list[list[str]]:
    """What the status says after each look."""
    left, found, over = list(looks), list[list[str]](), asyncio.Event()

    async def look() -> Sequence[MemberFacts]:
        if not left:
            over.set()
            await asyncio.sleep(60)
        seen = left.pop(0)
        if isinstance(seen, ConfigError):
            raise seen
        return seen

    def tell(warnings: tuple[str, ...]) -> None:
        found.append([warning.partition(":")[0] for warning in warnings])

    task = asyncio.create_task(EtcdReleases(look, False, tell).run())
    async with asyncio.timeout(10):
        await over.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return found


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_S", "EVERY_S", "AGAIN_S"):
        monkeypatch.setattr(etcd_releases, name, 0.0)


async def test_a_warning_is_logged_once_and_ends_with_the_upgrade(caplog: pytest.LogCaptureFixture) -> None:
    old, new = (member("e1", "3.4.23"), member("e2", "3.5.33")), (member("e1", "3.5.33"), member("e2", "3.5.33"))
    assert await told(old, old, new) == [["etcd 3.4.23 (e1)"], ["etcd 3.4.23 (e1)"], []]
    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert record.message.startswith("etcd 3.4.23 (e1): ")


async def test_what_a_member_told_last_counts_while_it_does_not_answer() -> None:
    silent = (member("e1", ""), member("e2", "3.5.33"))
    assert await told((member("e1", "3.4.23"),), silent, ConfigError(()), ()) == [["etcd 3.4.23 (e1)"]] * 4
    assert await told(silent, ()) == [[], []]


async def test_a_member_that_was_removed_is_forgotten() -> None:
    both, one = (member("e1", "3.4.23"), member("e2", "3.5.33")), (member("e2", "3.5.33"),)
    assert await told(both, one) == [["etcd 3.4.23 (e1)"], []]


async def test_a_member_that_did_not_answer_is_asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd_releases, "EVERY_S", 3600.0)
    assert await told((member("e1", ""),), (), (member("e1", ""),)) == [[], [], []]
