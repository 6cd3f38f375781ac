"""Real etcd members on this host, for tests: each in a folder of its own, on free loopback ports."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

ETCD = shutil.which("etcd")
STARTUP_S = 30.0


def etcdctl(endpoint: str, *arguments: str) -> str:
    """Run etcdctl against an endpoint, and return what it prints."""
    command = ["etcdctl", "--endpoints", endpoint, *arguments]
    environment = {"ETCDCTL_API": "3", "PATH": os.environ["PATH"]}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=30).stdout


def free_ports(number: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class Member:
    """One etcd process. As a context manager it runs inside the `with` block.

    `extra` are more command line options; `scheme` is that of the client URL (https needs TLS options in `extra`).
    """

    def __init__(self, folder: Path, name: str = "m0", extra: Sequence[str] = (), scheme: str = "http") -> None:
        client_port, peer_port = free_ports(2)
        self.name = name
        self.address = f"127.0.0.1:{client_port}"
        self.endpoint = f"{scheme}://{self.address}"
        self.advertised = self.endpoint  # to clients, by itself
        self.peer = f"http://127.0.0.1:{peer_port}"
        self.initial_cluster = f"{name}={self.peer}"
        self._folder = folder / name
        self._extra = tuple(extra)
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start the process, and do not wait until it serves."""
        assert ETCD is not None, "the etcd program is not on PATH"
        self._folder.mkdir(parents=True, exist_ok=True)
        client = ("--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint)
        peer = ("--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer)
        cluster = ("--initial-cluster", self.initial_cluster, "--name", self.name)
        data = ("--data-dir", str(self._folder / "data"), "--logger", "zap", "--log-level", "warn")
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [ETCD, *client, *peer, *cluster, *data, *self._extra], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def wait(self, timeout_s: float = STARTUP_S) -> None:
        """Wait until the member answers and knows a leader (over TLS: until it listens)."""
        end_s = time.monotonic() + timeout_s
        while not self._serves():
            if self.ended() or time.monotonic() > end_s:
                raise RuntimeError(f"etcd did not start: {self.log()}")
            time.sleep(0.05)

    def ended(self) -> bool:
        """Return whether the member does not run."""
        return self._process is None or self._process.poll() is not None

    def log(self) -> str:
        """Return the end of what the member has said."""
        return (self._folder / "log").read_text()[-2000:]

    def _serves(self) -> bool:
        try:
            if self.endpoint.startswith("https"):
                host, _, port = self.address.partition(":")
                socket.create_connection((host, int(port)), 1).close()
                return True
            with urllib.request.urlopen(f"{self.endpoint}/health", timeout=1) as answer:  # noqa: S310 - always http
                return b"true" in answer.read()
        except OSError:
            return False

    def start(self) -> None:
        """Start the member, with the data of an earlier run if there was one, and wait until it serves."""
        self.launch()
        self.wait()

    def metrics(self) -> str:
        """Return etcd's measures of itself, as Prometheus reads them (plaintext members only)."""
        with urllib.request.urlopen(f"{self.endpoint}/metrics", timeout=5) as answer:  # noqa: S310 - always http
            text: str = answer.read().decode()
            return text

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "the member was never started"
        self._process.send_signal(number)

    def kill(self) -> None:
        """End the member at once, as a crash would (SIGKILL)."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def finish(self) -> None:
        """End the member in good order (SIGTERM)."""
        self._signal(signal.SIGTERM)
        assert self._process is not None
        self._process.wait()

    def pause(self) -> None:
        """Freeze the member, and wait until it is frozen: its connections stay, and it is silent (SIGSTOP)."""
        self._signal(signal.SIGSTOP)
        assert self._process is not None
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def resume(self) -> None:
        """Let a frozen member go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def revive(self) -> None:
        """Let the member run again, frozen or dead as it may be, and do not wait until it serves."""
        if self.ended():
            self.launch()
        self.resume()

    def stop(self) -> None:
        """End the member, in whatever state it is. Its data stays."""
        if not self.ended():
            self.kill()

    def restore(self, snapshot: Path) -> None:
        """Replace the data of a member that has ended by a snapshot's."""
        shutil.rmtree(self._folder / "data")
        cluster = ("--initial-cluster", self.initial_cluster, "--initial-advertise-peer-urls", self.peer)
        data = ("--data-dir", str(self._folder / "data"), "--name", self.name)
        etcdctl(self.endpoint, "snapshot", "restore", str(snapshot), *data, *cluster)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextmanager
def cluster(folder: Path, size: int = 3, extra: Sequence[str] = ()) -> Iterator[tuple[Member, ...]]:
    """Run a cluster of members, all serving when the block begins."""
    members = tuple(Member(folder, f"m{number}", extra) for number in range(size))
    initial = ",".join(member.initial_cluster for member in members)
    with ExitStack() as stack:
        for member in members:
            member.initial_cluster = initial
            stack.callback(member.stop)
            member.launch()
        for member in members:
            member.wait()
        yield members
