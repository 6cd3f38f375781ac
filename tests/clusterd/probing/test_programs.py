"""Checks that are programs: real ones, as another user."""

import asyncio
import os
import pwd
import time
from pathlib import Path
from typing import Any

import pytest

from clusterd.checks.dialogue import Place
from clusterd.checks.exec import command
from clusterd.health import Observation
from clusterd.model import ExecCheck
from clusterd.probing import probe
from clusterd.probing.engine import Engine
from clusterd.probing.programs import Programs
from tests.watchers.test_hooks import gone, me


def check(script: str, *arguments: str, timeout_s: float = 10, **more: Any) -> ExecCheck:
    said = {"type": "exec", "command": ["/bin/sh", "-c", script, *arguments], "user": me(), "timeout_s": timeout_s}
    return ExecCheck.model_validate(said | more)


async def found(script: str, *arguments: str, timeout_s: float = 10, **more: Any) -> Observation:
    return await probe("192.0.2.1", 8080, check(script, *arguments, timeout_s=timeout_s, **more))


def test_address_and_port_are_put_into_arguments_and_not_into_the_program() -> None:
    how = ExecCheck(type="exec", command=("/bin/%h", "%h:%p", "100%%p", "%x"))
    assert command(Place("192.0.2.1", 80), how) == ("/bin/%h", "192.0.2.1:80", "100%p", "%x")


@pytest.mark.parametrize(
    ("script", "more", "ok", "detail"),
    [
        ("exit 0", {}, True, "the program ended with status 0"),
        ("echo oh; echo no >&2; exit 3", {}, False, 'the program ended with status 3: "no"'),
        ("kill -TERM $$", {}, False, "the program was killed by signal 15"),
        ("echo UP now; exit 1", {"expect": "UP"}, True, "the program printed what is expected"),
        ("echo is UP", {"expect": "UP"}, False, r'the program printed "is UP\n", expected UP'),
        ("echo is UP", {"expect": "U[P]", "regex": True}, True, "the program printed what is expected"),
        ("true", {"expect": "*"}, False, "the program printed nothing, expected *"),
        ("yes", {}, False, "the program was killed: it printed more than 64 KiB"),
        ("yes", {"expect": "y"}, False, "the program was killed: it printed more than 64 KiB"),
    ],
)
async def test_a_program_is_judged_by_its_status_or_its_output(
    script: str, more: dict[str, Any], ok: bool, detail: str
) -> None:
    assert await found(script, **more) == Observation(ok, detail)


async def test_it_is_told_of_the_server_and_of_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTERD_PASSWORD_FILE", "/secret")
    script = 'test "$CLUSTERD_CHECK_ADDRESS:$CLUSTERD_CHECK_PORT:$0" = 192.0.2.1:8080:8080 && ! env | grep PASSWORD'
    assert (await found(script, "%p")).ok


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a program as somebody else")
async def test_it_runs_as_the_user_that_the_check_names() -> None:
    uid = pwd.getpwnam("nobody").pw_uid
    assert (await found(f"test $(id -u) = {uid} && test $(ps -o sid= -p $$) = $$")).ok


@pytest.mark.parametrize(
    ("how", "detail"),
    [
        ({"command": ("/no/such/program",)}, ""),
        ({"command": ("/bin/true",), "user": "nosuchuser"}, "/bin/true could not be run: there is no user nosuchuser"),
    ],
)
async def test_what_cannot_be_run_says_nothing_about_the_server(how: dict[str, object], detail: str) -> None:
    seen = await probe(
        "192.0.2.1", 80, ExecCheck.model_validate({"type": "exec", "timeout_s": 10, "user": me(), **how})
    )
    assert not seen.ok
    if detail:
        assert seen == Observation(False, detail, conclusive=False)


async def test_what_hangs_is_killed_with_its_children(folder: Path) -> None:
    pids = folder / "pids"
    began_s = time.monotonic()
    seen = await found(f"trap '' TERM; sleep 60 & echo $! $$ > {pids}; sleep 60", timeout_s=0.5)
    assert seen == Observation(False, "the program was killed after 0.5 s")
    assert time.monotonic() - began_s < 10
    await gone(*pids.read_text().split())


async def test_a_check_that_is_cancelled_kills_its_program_and_says_nothing(folder: Path) -> None:
    pids = folder / "pids"
    engine, seen = Engine(), list[Observation]()
    attempt = engine.check("192.0.2.1", 80, check(f"echo $$ > {pids}; sleep 60"), seen.append)
    while not pids.exists() or not pids.read_text():
        await asyncio.sleep(0.02)
    attempt.cancel()
    engine.close()
    await engine.ended()
    await gone(pids.read_text().strip())
    assert seen == []


async def test_no_more_than_so_many_run_at_a_time_and_each_has_its_whole_time(folder: Path) -> None:
    programs, seen = Programs(most_running=2), list[Observation]()
    script = f"echo x >> {folder}/running; sleep 0.3; test $(wc -l < {folder}/running) -le $0"
    for most in ("3", "3", "4", "4"):
        programs.check(Place("192.0.2.1", 80), check(script, most, timeout_s=5), seen.append)
    waiting = programs.check(Place("192.0.2.1", 80), check(f"touch {folder}/never"), seen.append)
    waiting.cancel()
    async with asyncio.timeout(20):
        while len(seen) < 4:
            await asyncio.sleep(0.02)
    await programs.ended()
    assert [each.ok for each in seen] == [True] * 4
    assert not (folder / "never").exists()


async def test_programs_that_hang_delay_another_one_once_and_not_for_ever(folder: Path) -> None:
    programs, hangs, well = Programs(most_running=4), check("sleep 60", timeout_s=1), check("exit 0", timeout_s=5)
    waited_s: list[float] = []
    ended: list[Observation] = []

    def hang(number: int) -> None:
        programs.check(Place(f"192.0.2.{number}", 80), hangs, lambda _: hang(number))

    async def looked() -> None:
        asked_s, before = time.monotonic(), len(ended)
        programs.check(
            *(Place("192.0.2.99", 80), well, ended.append), lambda: waited_s.append(time.monotonic() - asked_s)
        )
        while len(ended) == before:
            await asyncio.sleep(0.01)

    for number in range(8):
        hang(number)
    async with asyncio.timeout(30):
        for _ in range(5):
            await looked()
    programs.close()
    await programs.ended()
    assert 1.5 < waited_s[0] < 4, "two rounds of four"
    assert max(waited_s[1:]) < 0.5
    assert all(each.ok for each in ended)
