"""clusterd and keepalived with a cluster of a given size in the lab's network, and what they have made of the kernel.

All real servers are on the node rs1: it answers for their whole network.
"""

import asyncio
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from clusterd import configuration
from clusterd.configuration import Committed
from clusterd.dataplane import ipvs_messages as messages
from clusterd.dataplane.genetlink import GenericNetlink
from clusterd.dataplane.netlink import DUMP, HEAD
from clusterd.history import Author, Signature
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.store.etcd import EtcdStore
from tests.lab.bench.sizes import NETWORK, Size
from tests.lab.cluster import LabCluster, destinations
from tests.lab.guest import ROOT
from tests.lab.namespaces import Process, call, enter, ip
from tests.lab.topology import ROUTERS, Network

STEP_S = 0.005  # between two looks at a kernel: in the lab one takes a third of a millisecond from what is measured
LIMIT_S = 900.0
_SERVERS = "from tests.lab.bench.probes import serve; serve('tcp', 80)"


class Weight:
    """The weight of one real server in a router's kernel, read over a socket of its own: no process, few messages."""

    def __init__(self, router: str, size: Size) -> None:
        self._key = size.last()
        self._netlink = call(router, GenericNetlink, "IPVS")

    def __call__(self) -> int | None:
        """Return it, None where there is no such real server."""
        for answer in self._netlink.ask(messages.GET_DESTINATION, messages.which(self._key.service), DUMP, HEAD):
            if self._key.address.packed in answer:  # the others are not worth decoding
                return messages.destination(self._key.service, answer).weight
        return None

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()


async def until(what: str, condition: Callable[[], bool], step_s: float) -> None:
    """Wait until something holds. Raises AssertionError where that takes too long."""
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end_s, f"not yet: {what}"
        await asyncio.sleep(step_s)


async def shown(weights: Sequence[Weight], weight: int) -> None:
    """Wait until all these kernels have it."""
    for each in weights:
        await until(f"the weight is {weight}", lambda each=each: each() == weight, STEP_S)  # type: ignore[misc]


def serve_all(network: Network) -> None:
    """Let rs1 answer for all real servers, and the routers know the way there."""
    ip([f"route add local {NETWORK} dev lo"], "rs1")
    for router in ROUTERS:
        ip([f"route add {NETWORK} via 192.168.1.1"], router)
    network.spawn("rs1", sys.executable, "-c", _SERVERS, name="servers", cwd=ROOT)


def children(pid: int) -> list[int]:
    """The processes that a process has started: proc(5), children."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Clusterd:
    """The lab's routers under clusterd; commits are made in this process, which is on the node of etcd from now on."""

    def __init__(self, network: Network, size: Size) -> None:
        self.size, self._lab = size, LabCluster(network)
        self._lab.etcd.start()
        enter("etcd")
        self._store = EtcdStore([self._lab.etcd.endpoints], timeout_s=60)
        self._base: Committed | None = None
        self.routers: dict[str, Process] = {}

    async def commit(self, cluster: Cluster) -> None:
        """Make this the configuration."""
        signature = Signature(Author(user="bench", host="etcd"), datetime.now(UTC))
        self._base = await configuration.commit(self._store, Keys("main"), self._base, cluster, signature)

    def start(self, router: str, *program: str) -> None:
        """Start a router service, or another program that does its work."""
        self.routers[router] = self._lab.start_router(router, *program)

    def settled(self, servers: int) -> bool:
        """Whether all routers have so many real servers, and are ready: those were checked, nothing is under way."""
        for router in self.routers:
            if call(router, destinations) != servers or not self._lab.status(router).get("ready"):
                return False
        return True

    async def settle(self, servers: int) -> None:
        """Wait for that, and until all verdicts are in etcd, where they go after all the rest."""
        await until("the routers are ready", lambda: self.settled(servers), 1.0)
        end_s, revision, there = time.monotonic() + LIMIT_S, 0, 0
        while there < servers * len(self.routers):
            assert time.monotonic() < end_s, f"only {there} verdicts are in etcd"
            await asyncio.sleep(1.0)
            since = await self._store.since(Keys("main").health_prefix, revision)
            revision, there = since.revision, since.count

    async def close(self) -> None:
        """Stop all of it."""
        await self._store.close()
        for process in self.routers.values():
            process.kill()
        self._lab.etcd.kill()


class Checker:
    """keepalived on r1 with the same virtual servers and checks, without VRRP."""

    def __init__(self, network: Network, size: Size) -> None:
        self._size, self._path = size, network.directory / "keepalived.conf"
        self._path.write_text(size.keepalived())
        identity = [f"--{name}={network.directory}/{name}" for name in ("pid", "checkers_pid")]
        command = ("keepalived", "--dont-fork", "--check", f"--use-file={self._path}", *identity)
        self._process = network.spawn("r1", *command, name="keepalived")

    async def settle(self) -> None:
        """Wait until its kernel has all real servers, and a round of checks is over."""
        await until("keepalived built it", lambda: call("r1", destinations) == self._size.servers, 1.0)
        await asyncio.sleep(self._size.check_s)

    def reload(self, text: str) -> None:
        """Write its file anew and have it read."""
        new = self._path.with_suffix(".new")
        new.write_text(text)
        new.replace(self._path)
        self._process.popen.send_signal(signal.SIGHUP)

    def close(self) -> None:
        """Stop it."""
        self._process.stop()
