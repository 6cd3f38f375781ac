"""Running things in network namespaces: a call, a command, a long-lived process.

A thread enters the namespace, does the thing and ends. What it starts or opens there stays there: a process inherits
the namespace of the thread that forks it, a socket belongs to the namespace in which it was made.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

NAMES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
P = ParamSpec("P")
R = TypeVar("R")


def enter(name: str) -> None:
    """Move the calling thread into a named network namespace. Raises OSError."""
    fd = os.open(NAMES / name, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(fd, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), name)
    finally:
        os.close(fd)


def call(name: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what `function` returns, or raise what it raises, when called inside the namespace."""
    results: list[R] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            enter(name)
            results.append(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 # carried over to the caller's thread and raised there
            errors.append(error)

    thread = threading.Thread(target=work, name=f"in {name}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def ip(commands: Sequence[str], name: str | None = None) -> None:
    """Run many `ip` commands in one process: starting one costs 40 ms where the processor is emulated."""
    where = ["-n", name] if name else []
    lines = "".join(command + "\n" for command in commands)
    done = subprocess.run(["ip", *where, "-batch", "-"], input=lines, text=True, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip in {name or 'the root namespace'}: {done.stderr.strip()}")


def process_ids(name: str) -> tuple[int, ...]:
    """Return the processes whose network namespace this is; a thread that only visits does not count."""
    there = (NAMES / name).stat()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                here = (entry / "ns" / "net").stat()
                if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
                    found.append(int(entry.name))
    return tuple(found)


def kill_all(name: str) -> None:
    """Kill every process in the namespace, at once and whatever its process group, until none is left."""
    while ids := process_ids(name):
        for number in ids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        for number in ids:
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, number, os.WEXITED | os.WNOWAIT)


@dataclass(frozen=True, slots=True)
class Process:
    """A long-lived program in a namespace, leader of a process group of its own; `log` has its output."""

    name: str
    log: Path
    popen: subprocess.Popen[bytes]

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def output(self) -> str:
        """What it has written so far."""
        return self.log.read_text(errors="replace")

    def signal(self, number: int) -> None:
        """Send a signal to it and to its children; one that has ended already is no error."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, number)

    def stop(self, timeout_s: float = 20) -> int:
        """Ask it to end and return its exit status. Raises TimeoutExpired, and kills it, when it does not."""
        if self.running:
            self.popen.terminate()
            try:
                self.popen.wait(timeout_s)
            finally:
                self.kill()
        return self.popen.returncode

    def kill(self) -> None:
        """kill -9, children too."""
        self.signal(signal.SIGKILL)
        self.popen.wait()

    def pause(self) -> None:
        """Freeze it and its children as a stalled machine would."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)


def run(
    name: str,
    command: Sequence[str],
    *,
    input_text: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 60,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in the namespace; `env` is added to this process's environment."""

    def work() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            input=input_text or "",
            env={**os.environ, **(env or {})},
            timeout=timeout_s,
            text=True,
            capture_output=True,
            check=False,
        )

    return call(name, work)


def spawn(
    name: str, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Process:
    """Start a long-lived program in the namespace; its output is appended to `log`."""

    def work() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )

    return Process(log.stem, log, call(name, work))
