"""Programs that are run when a router becomes active, or stops being so: real ones, as another user."""

import asyncio
import logging
import os
import pwd
import time
from pathlib import Path

import pytest

from clusterd.model import Notify
from clusterd.store.etcd import EtcdStore
from tests.store.etcd_server import Member
from watchers.hooks import LOGGED_BYTES, Change, Hooks, run, said
from watchers.problems import Problems

ACTIVE, INACTIVE = Change("default", True, 7), Change("default", False, 0)
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a program as somebody else")


def me() -> str:
    """Somebody as whom these tests can run programs."""
    return "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def shell(script: str, *arguments: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script, *arguments)


def alive(pid: str) -> bool:
    """Whether a process is there, and more than an entry that nobody has asked for."""
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


async def gone(*pids: str) -> None:
    """Wait until processes have ended: their files are closed a moment before."""
    async with asyncio.timeout(5):
        while any(map(alive, pids)):
            await asyncio.sleep(0.01)


def hooks(problems: Problems | None = None, **notify: object) -> Hooks:
    made = Notify.model_validate({"user": me(), **notify})
    return Hooks("r1", lambda: made, problems or Problems())


async def ended(made: Hooks) -> None:
    async with asyncio.timeout(20):
        await made.end()


async def running(script: str, **notify: object) -> str:
    async with asyncio.timeout(20):
        return await run(shell(script), Notify.model_validate({"user": me(), **notify}), {"PATH": os.environ["PATH"]})


def test_router_group_and_token_are_put_into_arguments_and_not_into_the_program() -> None:
    command = ("/bin/%r", "%r", "group=%g", "%t%%", "%x %", "100%%r")
    assert said(command, "r1", ACTIVE) == ("/bin/%r", "r1", "group=default", "7%", "%x %", "100%r")


async def test_each_change_runs_its_program(folder: Path) -> None:
    told = folder / "told"
    made = hooks(
        active_cmd=shell(f'echo "$0 $1 $2" >> {told}', "%r", "%g", "%t"),
        inactive_cmd=shell(f'echo "$CLUSTERD_NOTIFY_ROUTER is $CLUSTERD_NOTIFY_ROLE" >> {told}'),
    )
    made.changed(ACTIVE)
    await ended(made)
    made.changed(INACTIVE)
    await ended(made)
    assert told.read_text() == "r1 default 7\nr1 is inactive\n"


async def test_without_a_program_nothing_is_run() -> None:
    problems = Problems()
    made = hooks(problems)
    made.changed(ACTIVE)
    await ended(made)
    assert problems.all() == ()


@root
async def test_it_runs_as_another_user_without_our_groups_environment_and_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUSTERD_PASSWORD_FILE", "/secret")
    told = folder / "told"
    made = hooks(
        user="nobody", active_cmd=shell(f"{{ id -u; id -G; pwd; env; ps -o sid= -p $$; echo $$; cat; }} > {told}")
    )
    made.changed(ACTIVE)
    await ended(made)
    nobody = pwd.getpwnam("nobody")
    user, groups, place, *rest = told.read_text().splitlines()
    assert (user, groups, place) == (str(nobody.pw_uid), str(nobody.pw_gid), "/")
    assert not any("PASSWORD" in line for line in rest)
    assert "USER=nobody" in rest
    assert rest[-1].strip() == rest[-2].strip()  # a session of its own
    assert told.stat().st_uid == nobody.pw_uid


@pytest.mark.skipif(os.geteuid() != 0, reason="the user root2 is looked up as if it were there")
async def test_a_user_that_is_root_by_another_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = pwd.struct_passwd(("toor", "x", 0, 0, "", "/", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _: other)
    assert await running("true", user="toor") == "/bin/sh could not be run: toor is root"


async def test_what_hangs_is_killed_with_its_children(folder: Path) -> None:
    pids = folder / "pids"
    began_s = time.monotonic()
    failed = await running(f"trap '' TERM; sleep 60 & echo $! $$ > {pids}; sleep 60", timeout_s=0.5)
    assert failed == "/bin/sh was killed after 0.5 s"
    assert time.monotonic() - began_s < 10
    await gone(*pids.read_text().split())


async def test_a_child_that_holds_the_output_open_is_killed_too(folder: Path) -> None:
    pids = folder / "pids"
    assert await running(f"sleep 60 & echo $! > {pids}", timeout_s=0.5) == "/bin/sh was killed after 0.5 s"
    await gone(pids.read_text().strip())


async def test_what_escapes_is_told_and_does_not_hold_us_up() -> None:
    began_s = time.monotonic()
    failed = await running("setsid sleep 7", timeout_s=0.3)
    assert failed.endswith("has left its process group and goes on")
    assert time.monotonic() - began_s < 6


async def test_output_is_logged_and_there_is_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert await running("printf 'a\\033[31mb\\n'; echo oops >&2; yes | head -c 3000000") == ""
    lines = [record.getMessage() for record in caplog.records]
    assert "it says: a?[31mb" in lines
    assert "it says: oops" in lines
    assert sum(map(len, lines)) < 2 * LOGGED_BYTES
    assert len(lines) <= 21


@pytest.mark.parametrize(
    ("command", "user", "problem"),
    [
        (["/no/such/program"], None, "No such file or directory"),
        (["/bin/false"], None, "/bin/false ended with status 1"),
        (["/bin/ls", "/no/such/file"], None, "cannot access '/no/such/file': No such file or directory"),
        (["/bin/true"], "nosuchuser", "/bin/true could not be run: there is no user nosuchuser"),
    ],
)
async def test_what_fails_is_a_problem_until_it_works(command: list[str], user: str | None, problem: str) -> None:
    problems = Problems()
    made = hooks(problems, active_cmd=command, inactive_cmd=["/bin/true"], user=user or me())
    made.changed(ACTIVE)
    await ended(made)
    (told,) = problems.all()
    assert told.startswith("cluster/notify/active_cmd: ")
    assert problem in told
    if user is None:
        made.changed(INACTIVE)
        await ended(made)
        assert problems.all() == ()


async def test_changes_never_wait_and_only_the_last_of_those_that_came_meanwhile_counts(folder: Path) -> None:
    told = folder / "told"
    made = hooks(
        active_cmd=shell(f"echo $0 >> {told}; while [ ! -e {folder}/go ]; do sleep 0.05; done", "%t"),
        inactive_cmd=shell(f"echo inactive >> {told}"),
    )
    began_s = time.monotonic()
    made.changed(ACTIVE)
    while not told.exists():
        await asyncio.sleep(0.02)
    for token in (0, 8, 0, 9):
        made.changed(Change("default", token > 0, token))
    assert time.monotonic() - began_s < 5
    (folder / "go").touch()
    await ended(made)
    assert told.read_text() == "7\n9\n"


async def test_groups_do_not_wait_for_each_other(folder: Path) -> None:
    made = hooks(
        active_cmd=shell(
            f"touch {folder}/$0; while [ ! -e {folder}/blue ] || [ ! -e {folder}/default ]; do sleep 0.05; done", "%g"
        ),
        timeout_s=15,
    )
    made.changed(ACTIVE)
    made.changed(Change("blue", True, 9))
    await ended(made)
    assert (folder / "blue").exists()


@pytest.mark.etcd
async def test_programs_run_while_this_process_speaks_with_etcd(folder: Path) -> None:
    """gRPC has handlers for fork() that abort the child while other threads use it."""
    with Member(folder) as member:
        store = EtcdStore([member.endpoint])
        watching = asyncio.create_task(anext(store.watch("/", 1)))
        for _ in range(5):
            lease = await store.grant(5)
            busy = asyncio.gather(*(store.refresh(lease.lease_id) for _ in range(20)))
            assert await running("echo well") == ""
            await busy
        watching.cancel()
        await asyncio.wait([watching])
        await store.close()
