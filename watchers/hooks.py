"""Runs the programs of `cluster/notify` when this router becomes active in a group, or stops being so.

A takeover never waits for them: `changed` only leaves a note. They run one after the other for each group, as another
user, in a process group of their own, without a shell and with nothing of this service's environment. Of changes that
come while one runs only the last one counts. What has not ended in time is killed with all that it started.
"""

import asyncio
import logging
import os
import pwd
import re
import signal
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from clusterd.model import Notify
from watchers.problems import Problems

log = logging.getLogger("clusterd.router")

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOGGED_BYTES = 4096  # of what a program prints; the rest is read and thrown away
_LOGGED_LINES = 20
_CHUNK_BYTES = 65536
_KILLED_S = 1.0  # for what was killed to be gone


@dataclass(frozen=True, slots=True)
class Change:
    """This router became active in a group, or stopped being so. `token` is the lock's, 0 when it is gone."""

    group: str
    active: bool
    token: int


class Hooks:
    """The programs of the router `me`. `notify` tells which ones are configured now."""

    def __init__(self, me: str, notify: Callable[[], Notify], problems: Problems) -> None:
        self._me, self._notify, self._problems = me, notify, problems
        self._waiting: dict[str, Change] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    def changed(self, change: Change) -> None:
        """Have the program for a change run, soon."""
        self._waiting[change.group] = change
        if change.group not in self._running:
            task = asyncio.create_task(self._run(change.group))
            self._running[change.group] = task
            task.add_done_callback(lambda _: self._running.pop(change.group, None))

    async def end(self) -> None:
        """Return when all that was to be run has ended, or was killed."""
        while self._running:
            await asyncio.wait(self._running.values())

    async def _run(self, group: str) -> None:
        while group in self._waiting:
            change, notify = self._waiting.pop(group), self._notify()
            command = notify.active_cmd if change.active else notify.inactive_cmd
            if command:
                failed = await run(said(command, self._me, change), notify, self._environment(change))
                what = f"cluster/notify/{'active_cmd' if change.active else 'inactive_cmd'}"
                self._problems.about(f"notify {group}", *([f"{what}: {failed}"] if failed else []))

    def _environment(self, change: Change) -> dict[str, str]:
        return {
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "CLUSTERD_NOTIFY_ROUTER": self._me,
            "CLUSTERD_NOTIFY_GROUP": change.group,
            "CLUSTERD_NOTIFY_TOKEN": str(change.token),
            "CLUSTERD_NOTIFY_ROLE": "active" if change.active else "inactive",
        }


def said(command: tuple[str, ...], router: str, change: Change) -> tuple[str, ...]:
    """Return the command with what stands for router, group and token put in; the program's path stays as it is."""
    values = {"%r": router, "%g": change.group, "%t": str(change.token), "%%": "%"}
    program, *arguments = command
    return (program, *(re.sub("%[rgt%]", lambda found: values[found[0]], argument) for argument in arguments))


async def run(command: tuple[str, ...], notify: Notify, environment: Mapping[str, str]) -> str:
    """Run a program as the user of `notify`; return why it failed, "" where it did not. Its output goes to the log."""
    async with _pipe() as (output, theirs):
        try:
            process = await _started(command, notify.user, environment, theirs)
        except (OSError, KeyError, ValueError) as error:
            reason = f"there is no user {notify.user}" if isinstance(error, KeyError) else str(error)
            return f"{command[0]} could not be run: {reason}"
        finally:
            os.close(theirs)
        log.info("runs %s as %s", " ".join(command), notify.user)
        following = asyncio.create_task(_followed(process, output))
        ended, _ = await asyncio.wait([following], timeout=notify.timeout_s)
        if ended:
            failed = following.result()
            return f"{command[0]} {failed}" if failed else ""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        _, beyond = await asyncio.wait([following], timeout=_KILLED_S)
        following.cancel()
        left = "; something that it started has left its process group and goes on" if beyond else ""
        return f"{command[0]} was killed after {notify.timeout_s:g} s{left}"


@asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    """Give a pipe to read from, and its other end. A process's own would stay open as long as anybody has it."""
    ours, theirs = os.pipe()
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb", 0)
    )
    try:
        yield reader, theirs
    finally:
        transport.close()


async def _started(command: tuple[str, ...], user: str, environment: Mapping[str, str], output: int) -> Process:
    who = pwd.getpwnam(user)
    if who.pw_uid == 0:
        raise ValueError(f"{user} is root")
    others = () if who.pw_uid == os.geteuid() else _as(who)
    return await asyncio.create_subprocess_exec(
        *others,
        *command,
        stdin=DEVNULL,
        stdout=output,
        stderr=STDOUT,
        cwd="/",
        env={**environment, "HOME": who.pw_dir, "USER": user, "LOGNAME": user},
        start_new_session=True,
    )


def _as(who: pwd.struct_passwd) -> tuple[str, ...]:
    """Return what runs a command as somebody else (setpriv(1)), without the capabilities of this service.

    Were the user given to the subprocess, it would be forked, and the fork handlers of gRPC abort it; as it is, it is
    made by vfork, for which there are no handlers.
    """
    capabilities = ("--inh-caps=-all", "--ambient-caps=-all")
    return ("setpriv", f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--init-groups", *capabilities, "--")


async def _followed(process: Process, output: asyncio.StreamReader) -> str:
    """Log what a program prints, and return why it failed when it has ended and nobody can print any more."""
    kept = b""
    while data := await output.read(_CHUNK_BYTES):
        kept += data[: LOGGED_BYTES - len(kept)]
    text = kept.decode(errors="replace")
    lines = ["".join(c if c.isprintable() else "?" for c in line) for line in text.splitlines()][:_LOGGED_LINES]
    for line in lines:
        log.info("it says: %s", line)
    status = await process.wait()
    return f"ended with status {status}" + (f": {lines[-1]}" if lines else "") if status else ""
