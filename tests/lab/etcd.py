"""Real etcd on the node called etcd, one member or several, from http://192.168.1.10:2379 on. Data survive."""

import base64
import contextlib
import http.client
import json
import time
from collections.abc import Callable

from tests.lab.namespaces import Process, call
from tests.lab.topology import ETCD, Network

PORT = 2379
ENDPOINT = f"http://{ETCD}:{PORT}"
_PEER_PORT = 12380


class Member:
    """One etcd process of a cluster of `size`."""

    def __init__(self, network: Network, number: int, size: int) -> None:
        self._network, self._number, self._size = network, number, size
        self._data = network.directory / f"etcd-data-{number}"
        self.process: Process | None = None

    @property
    def endpoint(self) -> str:
        return f"http://{ETCD}:{PORT + self._number}"

    def start(self) -> None:
        peers = [f"http://127.0.0.1:{_PEER_PORT + number}" for number in range(self._size)]
        self.process = self._network.spawn(
            *("etcd", "etcd", "--name", f"m{self._number}", "--data-dir", str(self._data)),
            *("--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint),
            *("--listen-peer-urls", peers[self._number], "--initial-advertise-peer-urls", peers[self._number]),
            *("--initial-cluster", ",".join(f"m{number}={peer}" for number, peer in enumerate(peers))),
            name=f"etcd-{self._number}",
        )

    @property
    def running(self) -> Process:
        """Its process. Raises RuntimeError where it was never started."""
        if self.process is None:
            raise RuntimeError("etcd was never started")
        return self.process

    def healthy(self) -> bool:
        """Whether it says that its cluster has a leader."""
        try:
            return b'"true"' in self._answer("GET", "/health")
        except (OSError, http.client.HTTPException):
            return False

    def value(self, key: str) -> bytes:
        """Return a key's value, b"" where there is none. Raises OSError where it does not answer."""
        question = json.dumps({"key": base64.b64encode(key.encode()).decode()})
        answer = json.loads(self._answer("POST", "/v3/kv/range", question))
        return b"".join(base64.b64decode(found["value"]) for found in answer.get("kvs", ()))

    def written(self, prefix: str, since: int) -> list[str]:
        """Return which keys below a prefix were put after a revision, each as often as it was."""
        first, end = prefix.encode(), prefix[:-1].encode() + bytes([ord(prefix[-1]) + 1])
        wish = {"key": first, "range_end": end}
        asked = {name: base64.b64encode(value).decode() for name, value in wish.items()}
        question = json.dumps({"create_request": {**asked, "start_revision": since + 1}})
        connection = http.client.HTTPConnection(ETCD, PORT + self._number, timeout=1)
        keys: list[str] = []
        with contextlib.closing(connection), contextlib.suppress(TimeoutError):  # it tells what was, and then it waits
            connection.request("POST", "/v3/watch", question)
            for line in connection.getresponse():
                events = json.loads(line)["result"].get("events", ())
                keys += [base64.b64decode(e["kv"]["key"]).decode() for e in events if e.get("type") != "DELETE"]
        return keys

    def revision(self) -> int:
        """Return the revision that it is at. Raises OSError where it does not answer."""
        nothing = json.dumps({"key": base64.b64encode(b"-").decode()})
        return int(json.loads(self._answer("POST", "/v3/kv/range", nothing))["header"]["revision"])

    def leases(self) -> dict[str, int]:
        """Return how many keys each lease has. Raises OSError where it does not answer."""
        found = json.loads(self._answer("POST", "/v3/lease/leases", "{}")).get("leases", ())
        asked = [json.dumps({"ID": lease["ID"], "keys": True}) for lease in found]
        answers = [json.loads(self._answer("POST", "/v3/lease/timetolive", question)) for question in asked]
        return {answer["ID"]: len(answer.get("keys", ())) for answer in answers if int(answer.get("TTL", -1)) > 0}

    def _answer(self, method: str, path: str, body: str | None = None) -> bytes:
        connection = http.client.HTTPConnection(ETCD, PORT + self._number, timeout=2)
        with contextlib.closing(connection):
            connection.request(method, path, body)
            return connection.getresponse().read()


class Etcd:
    """Starts, stops, kills and freezes the programs, all at once."""

    def __init__(self, network: Network, size: int = 1) -> None:
        self._network = network
        self.members = tuple(Member(network, number, size) for number in range(size))

    @property
    def endpoints(self) -> str:
        """Where the members are, as clusterd and etcdctl take it."""
        return ",".join(member.endpoint for member in self.members)

    def start(self, timeout_s: float = 30) -> None:
        """Start it and return when it answers. Raises TimeoutError with its log."""
        for member in self.members:
            member.start()
        end_s = time.monotonic() + timeout_s
        for member in self.members:
            while not call("etcd", member.healthy):
                if time.monotonic() > end_s or not member.running.running:
                    raise TimeoutError(f"etcd does not answer: {member.running.output()[-2000:]}")
                time.sleep(0.05)

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._each(Process.stop)

    def kill(self) -> None:
        """kill -9."""
        self._each(Process.kill)

    def pause(self) -> None:
        """Freeze it."""
        self._each(Process.pause)

    def resume(self) -> None:
        """Let it go on."""
        self._each(Process.resume)

    def _each(self, act: Callable[[Process], object]) -> None:
        for member in self.members:
            act(member.running)

    def leader(self) -> Member:
        """Return the member that leads. Raises RuntimeError where none does."""
        for member in self.members:
            (answer,) = json.loads(self.ctl("endpoint", "status", "-w", "json", f"--endpoints={member.endpoint}"))
            if answer["Status"]["header"]["member_id"] == answer["Status"]["leader"]:
                return member
        raise RuntimeError("no member leads")

    def value(self, key: str) -> str:
        """Return a key's value, "" where there is none: as etcdctl, but without a process.

        Raises OSError where the first member that runs does not answer.
        """
        member = next(member for member in self.members if member.running.running)
        return call("etcd", member.value, key).decode()

    def leases(self) -> dict[str, int]:
        """Return how many keys each lease has."""
        return call("etcd", self.members[0].leases)

    def revision(self) -> int:
        """Return the revision that it is at."""
        return call("etcd", self.members[0].revision)

    def written(self, prefix: str, since: int) -> list[str]:
        """Return which keys below a prefix were put after a revision, each as often as it was."""
        return call("etcd", self.members[0].written, prefix, since)

    def ctl(self, *arguments: str) -> str:
        """Return what `etcdctl` prints. Raises RuntimeError with its complaint."""
        environment = {"ETCDCTL_API": "3"}
        if not any(argument.startswith("--endpoints") for argument in arguments):
            environment["ETCDCTL_ENDPOINTS"] = self.endpoints
        done = self._network.run("etcd", "etcdctl", *arguments, env=environment)
        if done.returncode:
            raise RuntimeError(f"etcdctl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout
