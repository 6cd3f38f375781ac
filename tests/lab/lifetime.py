"""Processes that never outlive the one who started them, not even when that one is killed."""

import ctypes
import signal
import subprocess
from collections.abc import Sequence
from typing import IO, Any

INSIDE = "CLUSTERD_LAB_INSIDE"  # set in the environment of whatever runs on the lab's kernel
_PR_SET_PDEATHSIG = 1  # prctl(2)
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Let the kernel send this process a signal when the thread that started it ends."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)


def start(
    command: Sequence[str],
    *,
    stdout: IO[Any] | int | None = None,
    stderr: IO[Any] | int | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program that dies with us and does not hear the terminal's Ctrl-C: `end` is for that."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        start_new_session=True,
        preexec_fn=die_with_parent,
    )


def end(process: subprocess.Popen[Any]) -> None:
    """Kill a process if it still runs, and collect its status."""
    if process.poll() is None:
        process.kill()
    process.wait()
