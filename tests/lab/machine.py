"""Runs one command where there is a real IPVS kernel, and nothing it does stays.

Where the running kernel has IPVS that is a set of private namespaces (network, mounts, processes, an empty /run).
Elsewhere it is a guest, see guest.py. By hand, from the top of the checkout:

    python -m tests.lab.machine -- ip -br link
    python -m tests.lab.machine --mode fast --timing -- .venv/bin/python -m pytest tests/lab -x
"""

import argparse
import compileall
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from tests.lab import guest, lifetime

CANNOT_START = 126
_ENTER = 'mount -t tmpfs -o mode=0755 run /run && ip link set lo up && "$@"; exit $?'


def kernel_has_ipvs() -> bool:
    """Say whether this process may use IPVS in a network namespace of its own, loading the module if need be."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    if modprobe := shutil.which("modprobe", path=path):
        subprocess.run([modprobe, "-q", "ip_vs"], check=False, capture_output=True)
    probe = ["unshare", "--net", "test", "-e", "/proc/net/ip_vs"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


def inside() -> bool:
    """Say whether this process was started by `run` and is already where the lab's kernel is."""
    return lifetime.INSIDE in os.environ


def emulated() -> bool:
    """Say whether this runs in a guest, whose clock and kernel are nobody else's."""
    return "lab.share=" in Path("/proc/cmdline").read_text()


def run(command: Sequence[str], *, limit_s: float, on_line: Callable[[str], None] = print, mode: str = "steady") -> int:
    """Run `command` on a kernel with IPVS, give each line of its output to `on_line`, return its exit status.

    125 stands for a machine that died or took more than `limit_s` seconds of wall time.
    Raises MachineError when there is no such kernel here.
    """
    for package in (
        "clusterd",
        "renderers",
        "watchers",
    ):  # else an emulated processor does it at each start
        compileall.compile_dir(guest.ROOT / package, quiet=2)
    if kernel_has_ipvs():
        return _run_in_namespaces(command, limit_s, on_line)
    return guest.boot(command, limit_s=limit_s, on_line=on_line, mode=mode)


def _run_in_namespaces(command: Sequence[str], limit_s: float, on_line: Callable[[str], None]) -> int:
    output, inlet = os.pipe()
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    namespaces = ["unshare", "--net", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]
    enter = ["--mount-proc", "env", f"{lifetime.INSIDE}=1", f"PATH={path}", "sh", "-c", _ENTER, "sh"]
    process = lifetime.start([*namespaces, *enter, *command], stdout=inlet, stderr=inlet)
    os.close(inlet)
    try:
        end_s = time.monotonic() + limit_s
        for line in guest.lines(output, end_s):
            on_line(line)
        return process.wait(max(0.0, end_s - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        on_line(f"lab: the command reached its limit of {limit_s:.0f} s")
        return guest.DIED
    finally:
        lifetime.end(process)
        os.close(output)


def _say(line: str) -> None:
    print(line, flush=True)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.machine", description="Run a command on an IPVS kernel.")
    parser.add_argument("--mode", choices=guest.MODES, default="steady", help="how a guest's clock runs")
    parser.add_argument("--limit", type=float, default=1200, metavar="SECONDS", help="of wall time, then it is killed")
    parser.add_argument("--timing", action="store_true", help="say how long it took")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    lifetime.die_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGTERM, _terminate)
    start_s = time.monotonic()
    try:
        status = run(options.command, limit_s=options.limit, on_line=_say, mode=options.mode)
    except guest.MachineError as error:
        print(f"lab: {error}", file=sys.stderr)
        return CANNOT_START
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    if options.timing:
        print(f"lab: {time.monotonic() - start_s:.1f} s, exit status {status}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
