"""Boots Debian's kernel in QEMU and runs one command in it.

Nothing is installed for it and there is no disk image: the guest's root file system is this machine's, seen through
virtiofs, with a tmpfs on top. Python, the virtual environment and the checkout are therefore there, and what the
command writes is gone afterwards. Three things come back: its output, line by line through a virtio-serial port, its
exit status, through a shared directory, and when the guest dies the end of its console.

Modes:

- steady: the guest's clock counts instructions, 1 ns each, while its processor is busy, and follows the clock of this
  machine while it is idle. A slow or busy machine makes the run longer, not the guest's timers late.
- fast: two emulated processors on this machine's clock, about twice the work per second of wall time.

This module must not know about pytest or the network inside.
"""

import contextlib
import os
import select
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.lab import lifetime

ROOT = Path(__file__).resolve().parents[2]
KERNEL = ROOT / ".lab" / "kernel"
VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
QEMU = "qemu-system-x86_64"
MODES = {
    "steady": "-accel tcg,thread=single -cpu max -smp 1 -icount shift=0,sleep=on",
    "fast": "-accel tcg,thread=multi -cpu max -smp 2",
}
MODULES = "ip_vs veth bridge dummy nf_tables nft_masq"
PASSED_ON = ("PYTHON", "CLUSTERD_")  # beginnings of the environment variables that the command in the guest gets
DIED = 125
MEMORY = "2G"
BOOTS = 3


class MachineError(Exception):
    """The lab machine cannot be started; the message says what to do."""


def boot(command: Sequence[str], *, limit_s: float, on_line: Callable[[str], None], mode: str) -> int:
    """Run `command` in a guest and return its exit status, or 125 with the end of the console when the guest died.

    A kernel that dies while it boots, as happens now and then on two emulated processors, is booted again.
    Raises MachineError when something that the guest needs is not installed.
    """
    machine = ["-kernel", str(_kernel_image()), *shlex.split(MODES[mode])]
    end_s = time.monotonic() + limit_s
    boots = 0
    while True:
        boots += 1
        with contextlib.ExitStack() as stack:
            # No blanks in this path: it goes on the kernel's command line.
            share = Path(tempfile.mkdtemp(prefix="clusterd-lab.", dir="/tmp"))
            stack.callback(shutil.rmtree, share, ignore_errors=True)
            _write_job(share, command)
            late = _run(stack, share, machine, on_line, end_s)
            if late or boots == BOOTS or (share / "trace").exists():
                return _result(share, late, limit_s, on_line)
            on_line("lab: the machine died before its first process, and is started again")


def _run(
    stack: contextlib.ExitStack, share: Path, machine: Sequence[str], on_line: Callable[[str], None], end_s: float
) -> bool:
    """Start the machine, pass its output on until it ends, and return whether it did not end in time."""
    socket = _share_root(stack, share, end_s)
    output, process = _start(stack, share, machine, socket)
    try:
        for line in lines(output, end_s):
            on_line(line)
        process.wait(max(0.0, end_s - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        return True
    return False


def _kernel_image() -> Path:
    if os.geteuid() != 0:
        raise MachineError("the lab needs root (network namespaces, virtiofs); run the tests with sudo")
    images = sorted(KERNEL.glob("boot/vmlinuz-*"))
    missing = [program for program in (QEMU, VIRTIOFSD) if not shutil.which(program)]
    if missing or not images:
        what = ", ".join([*missing, *([] if images else [f"the kernel in {KERNEL}"])])
        raise MachineError(f"this kernel has no IPVS, and for a guest that has {what} is missing; run script/install")
    return images[-1]


def _write_job(share: Path, command: Sequence[str]) -> None:
    init = share / "init"
    shutil.copy(Path(__file__).with_name("guest-init.sh"), init)
    init.chmod(0o755)
    settings = {"TREE": str(KERNEL), "CWD": str(Path.cwd()), "MODULES": MODULES}
    (share / "job.conf").write_text("".join(f"{key}={shlex.quote(value)}\n" for key, value in settings.items()))
    environment = {key: value for key, value in os.environ.items() if key.startswith(PASSED_ON)}
    environment |= {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
    environment[lifetime.INSIDE] = "1"
    exports = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in environment.items())
    (share / "job.sh").write_text(exports + "exec " + shlex.join(command) + "\n")


def _share_root(stack: contextlib.ExitStack, share: Path, end_s: float) -> Path:
    """Start the daemon that shows this machine's root file system to the guest and return its socket."""
    socket, log = share / "virtiofsd.sock", share / "virtiofsd.log"
    options = ["source=/", "cache=always", "sandbox=chroot", "log_level=err"]
    with log.open("w") as errors:
        daemon = lifetime.start(
            [VIRTIOFSD, f"--socket-path={socket}", *(word for option in options for word in ("-o", option))],
            stdout=errors,
            stderr=errors,
        )
    stack.callback(lifetime.end, daemon)
    while not socket.exists():
        if daemon.poll() is not None or time.monotonic() > end_s:
            raise MachineError(f"virtiofsd does not start: {log.read_text()}")
        time.sleep(0.01)
    return socket


def _start(
    stack: contextlib.ExitStack, share: Path, machine: Sequence[str], socket: Path
) -> tuple[int, subprocess.Popen[bytes]]:
    output, inlet = os.pipe()
    stack.callback(os.close, output)
    try:
        process = lifetime.start(
            [
                *(QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", *machine, "-m", MEMORY),
                *("-object", f"memory-backend-memfd,id=mem,size={MEMORY},share=on", "-numa", "node,memdev=mem"),
                *("-chardev", f"socket,id=fs,path={socket}"),
                *("-device", "vhost-user-fs-pci,chardev=fs,tag=hostroot,queue-size=1024"),
                *("-serial", f"file:{share}/console.log", "-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
                # A pipe, not stdio: QEMU closes a stdio channel when its standard input ends, and the guest blocks.
                *("-add-fd", f"fd={inlet},set=1", "-chardev", "file,id=out,path=/dev/fdset/1,append=on"),
                *("-device", "virtserialport,chardev=out,name=lab.out"),
                "-append",
                "console=ttyS0 quiet panic=-1 rootfstype=virtiofs root=hostroot rw "
                f"init={share}/init lab.share={share}",
            ],
            pass_fds=(inlet,),
        )
    finally:
        os.close(inlet)
    stack.callback(lifetime.end, process)
    return output, process


def lines(fd: int, end_s: float) -> Iterator[str]:
    """Yield the lines that arrive until the other side closes. Raises TimeoutError at `end_s`."""
    rest = b""
    while True:
        if not select.select([fd], [], [], max(0.0, end_s - time.monotonic()))[0]:
            raise TimeoutError
        data = os.read(fd, 65536)
        *complete, rest = (rest + data).split(b"\n")
        for line in complete:
            yield line.decode(errors="replace")
        if not data:
            if rest:
                yield rest.decode(errors="replace")
            return


def _result(share: Path, late: bool, limit_s: float, on_line: Callable[[str], None]) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int((share / "rc").read_text())
    console = share / "console.log"
    tail = console.read_text(errors="replace")[-3000:] if console.exists() else ""
    reason = f"reached its limit of {limit_s:.0f} s" if late else "stopped without a result"
    for line in (f"lab: the machine {reason}; the end of its console:", *tail.splitlines()):
        on_line(line)
    return DIED
