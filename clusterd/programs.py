"""Runs a program for this service: as another user, in a process group of its own, without a shell, for a limited time.

It gets nothing of this service's environment, no terminal and no input. What has not ended in time is killed with all
that it started, and so is what it left behind that still holds its output open. A service that may not become another
user, as one that has no more capabilities than it needs, runs it as its own user; without capabilities in any case.
"""

import asyncio
import os
import pwd
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BECOME = 1 << 6 | 1 << 7  # CAP_SETGID, CAP_SETUID: linux/capability.h
_CHUNK_BYTES = 65536
_KILLED_S = 1.0  # for what was killed to be gone


class CannotRun(Exception):
    """A program could not even be started. The text says why."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms programs run. Of the output `kept_bytes` are kept; what prints more than `most_bytes` is killed."""

    user: str
    timeout_s: float
    kept_bytes: int
    most_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended: `status` is as in subprocess.Popen.returncode, None where it was killed by us."""

    output: bytes
    status: int | None
    flooded: bool = False  # it printed too much, and was killed for that
    escaped: bool = False  # something that it started has left its process group and goes on


async def run(command: tuple[str, ...], terms: Terms, environment: Mapping[str, str]) -> Outcome:
    """Run a program to its end. Raises CannotRun. When this is cancelled, the program is killed."""
    async with _pipe() as (output, theirs):
        try:
            process = _started(command, terms.user, environment, theirs)
        except (OSError, KeyError, ValueError) as error:
            raise CannotRun(f"there is no user {terms.user}" if isinstance(error, KeyError) else str(error)) from error
        finally:
            os.close(theirs)
        kept = bytearray()
        following = asyncio.create_task(_followed(process, output, kept, terms))
        try:
            ended, _ = await asyncio.wait([following], timeout=terms.timeout_s)
        except asyncio.CancelledError:
            await _killed(process, following)
            raise
        if ended and (status := following.result()) is not None:
            return Outcome(bytes(kept), status)
        escaped = await _killed(process, following)
        return Outcome(bytes(kept), None, flooded=bool(ended), escaped=escaped)


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


def _started(
    command: tuple[str, ...], user: str, environment: Mapping[str, str], output: int
) -> "subprocess.Popen[bytes]":
    who = pwd.getpwnam(user)
    if who.pw_uid == 0:
        raise ValueError(f"{user} is root")
    if not may_become_another():
        who = pwd.getpwuid(os.geteuid())
    return subprocess.Popen(
        [*_as(who), *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd="/",
        env={**environment, "HOME": who.pw_dir, "USER": who.pw_name, "LOGNAME": who.pw_name},
        start_new_session=True,
    )


def may_become_another() -> bool:
    """Whether this process may run something as another user: it needs CAP_SETUID and CAP_SETGID for that."""
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return effective is not None and int(effective[1], 16) & _BECOME == _BECOME


def _as(who: pwd.struct_passwd) -> tuple[str, ...]:
    """Return what runs a command as somebody (setpriv(1)), without the capabilities of this service.

    Were the user given to the subprocess, it would be forked, and the fork handlers of gRPC abort it; as it is, it is
    made by vfork, for which there are no handlers.
    """
    same = who.pw_uid == os.geteuid()
    become = () if same else (f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--init-groups")
    return ("setpriv", *become, "--inh-caps=-all", "--ambient-caps=-all", "--")


async def _followed(
    process: "subprocess.Popen[bytes]", output: asyncio.StreamReader, kept: bytearray, terms: Terms
) -> int | None:
    """Keep what a program prints. Return its status when nobody can print any more, None when there is too much."""
    size = 0
    while data := await output.read(_CHUNK_BYTES):
        kept += data[: terms.kept_bytes - len(kept)]
        size += len(data)
        if terms.most_bytes is not None and size > terms.most_bytes:
            return None
    return await _status(process)


async def _status(process: "subprocess.Popen[bytes]") -> int:
    """Wait for a process by its pidfd_open(2); asyncio in Python 3.11 would keep a thread for each."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    watched = os.pidfd_open(process.pid)
    loop.add_reader(watched, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(watched)
        os.close(watched)
    return process.wait()


async def _killed(process: "subprocess.Popen[bytes]", following: "asyncio.Task[int | None]") -> bool:
    """Kill a program with its group, and tell whether something of it goes on."""
    if process.returncode is None:  # not waited for, so the number is still its own
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    _, beyond = await asyncio.wait([following], timeout=_KILLED_S)
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
    if process.returncode is None:
        await _status(process)
    return bool(beyond)
