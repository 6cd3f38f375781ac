"""One real etcd on the node called etcd, at http://192.168.1.10:2379; its data survive a restart."""

import http.client
import time

from tests.lab.namespaces import Process, call
from tests.lab.topology import ETCD, Network

PORT = 2379
ENDPOINT = f"http://{ETCD}:{PORT}"
_PEER = "http://127.0.0.1:2380"


class Etcd:
    """Starts, stops, kills and freezes the program."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._data = network.directory / "etcd-data"
        self.process: Process | None = None

    def start(self, timeout_s: float = 30) -> None:
        """Start it and return when it answers. Raises TimeoutError with its log."""
        self.process = self._network.spawn(
            *("etcd", "etcd", "--data-dir", str(self._data), "--listen-client-urls", ENDPOINT),
            *("--advertise-client-urls", ENDPOINT, "--listen-peer-urls", _PEER),
            *("--initial-advertise-peer-urls", _PEER, "--initial-cluster", f"default={_PEER}"),
            name="etcd",
        )
        end_s = time.monotonic() + timeout_s
        while not call("etcd", _healthy):
            if time.monotonic() > end_s or not self.process.running:
                raise TimeoutError(f"etcd does not answer: {self.process.output()[-2000:]}")
            time.sleep(0.05)

    def _running(self) -> Process:
        if self.process is None:
            raise RuntimeError("etcd was never started")
        return self.process

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._running().stop()

    def kill(self) -> None:
        self._running().kill()

    def pause(self) -> None:
        self._running().pause()

    def resume(self) -> None:
        self._running().resume()

    def ctl(self, *arguments: str) -> str:
        """Return what `etcdctl` prints. Raises RuntimeError with its complaint."""
        environment = {"ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": ENDPOINT}
        done = self._network.run("etcd", "etcdctl", *arguments, env=environment)
        if done.returncode:
            raise RuntimeError(f"etcdctl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout


def _healthy() -> bool:
    connection = http.client.HTTPConnection(ETCD, PORT, timeout=2)
    try:
        connection.request("GET", "/health")
        return b'"true"' in connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
