"""The manual's cluster run by clusterd: the real services on the lab's nodes, and how to ask them things."""

import json
import os
import pwd
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from clusterd.document import parse
from renderers import real_server
from tests.lab.etcd import Etcd
from tests.lab.guest import ROOT
from tests.lab.namespaces import Process, call
from tests.lab.topology import GATEWAY, REAL_SERVERS, ROUTERS, VIP, Network

DOCUMENT = """\
cluster:
  forwarding: nat
  nat_router: {address: 192.168.1.254/24, interface: eth1}
  masquerade: [{source: 192.168.1.0/24, interface: eth0}]
  heartbeat: {keepalive_s: 1, deadtime_s: 3}
routers:
  r1: {public: 1.2.3.2, private: 192.168.1.252, priority: 100}
  r2: {public: 1.2.3.3, private: 192.168.1.253, priority: 50}
virtuals:
  web:
    address: 1.2.3.1/24
    interface: eth0
    port: 80
    protocol: tcp
    scheduler: wlc
    check: {type: http, interval_s: 2, timeout_s: 1, fall: 2, rise: 2, path: /, status: [200]}
    servers:
      rs1: {address: 192.168.1.1, weight: 2}
      rs2: {address: 192.168.1.2}
      rs3: {address: 192.168.1.3}
"""
_STARTING_S = 60.0


class LabCluster:
    """Two routers under clusterd, etcd, and web servers on the real servers.

    With `user` the routers run as that one, with the capabilities that the unit for systemd gives them; else as root.
    """

    def __init__(self, network: Network, *, members: int = 1, user: str = "") -> None:
        self.network, self._user = network, user
        self.etcd = Etcd(network, members)
        self.routers: dict[str, Process] = {}
        self.webs: dict[str, Process] = {}
        self._pool = 0  # how many real servers the document has

    def start(self, document: str = DOCUMENT) -> None:
        """Start everything, commit the document, and return when one router serves all real servers."""
        self.etcd.start()
        self._pool = sum(len(virtual.servers) for virtual in parse(document).virtuals.values())
        for server in REAL_SERVERS:
            self.start_web(server)
        done = self.clusterd("init", "-f", "-", "--yes", "-m", "the manual's example", input_text=document)
        if done.returncode:
            raise RuntimeError(f"clusterd init: {done.stdout}{done.stderr}")
        for router in ROUTERS:
            self.start_router(router)
        try:
            wait_for("both routers applied the first commit", self.settled, _STARTING_S)
        except AssertionError as error:
            told = "\n".join(f"{name}: {self.status(name)}\n{self.routers[name].output()}" for name in ROUTERS)
            raise AssertionError(f"{error}\n{told}") from None

    def settled(self) -> bool:
        """Whether all running routers applied the last commit and are ready, all pools are full, and one is active."""
        head = json.loads(self.etcd.value("/clusterd/main/head"))["number"]
        running = [name for name, process in self.routers.items() if process.running]
        states = [self.status(name) for name in running]
        applied = all(s.get("applied") == head and s.get("ready") for s in states)
        full = all(call(name, destinations) == self._pool for name in running)
        return applied and full and len(self.holders()) == 1

    @contextmanager
    def logs_shown(self) -> Iterator[None]:
        """Print what the routers log meanwhile: pytest shows it of a test that fails."""
        before = {router: len(self.routers[router].output()) for router in ROUTERS}
        yield
        for router in ROUTERS:
            print(f"--- {router}\n{self.routers[router].output()[before[router] :]}")

    def environment(self, router: str) -> Mapping[str, str]:
        """Return the settings of one router, with directories of its own."""
        own = self.network.directory / router
        return {
            "CLUSTERD_ENDPOINTS": self.etcd.endpoints,
            "CLUSTERD_ROUTER": router,
            "CLUSTERD_STATE_DIR": str(own / "state"),
            "CLUSTERD_RUN_DIR": str(own / "run"),
        }

    def start_router(self, router: str, *program: str, code: Path = ROOT) -> Process:
        """Start the router service, or another program that does its work, of this checkout or of other `code`."""
        command = (*self._as_user(router), sys.executable, "-m", *(program or ("watchers", "router")))
        process = self.network.spawn(router, *command, name=router, env=self.environment(router), cwd=code)
        self.routers[router] = process
        return process

    def _as_user(self, router: str) -> tuple[str, ...]:
        """Return what runs a router's service as its unit does: as the user, with two capabilities for good."""
        if not self._user:
            return ()
        who, own = pwd.getpwnam(self._user), self.network.directory / router
        own.mkdir(exist_ok=True)
        os.chown(own, who.pw_uid, who.pw_gid)
        kept = "-all,+net_admin,+net_raw,+dac_read_search"  # the last one to reach this checkout, wherever it is
        capabilities = [f"--{which}={kept}" for which in ("inh-caps", "ambient-caps", "bounding-set")]
        become = (f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups", "--no-new-privs")
        return ("setpriv", *become, *capabilities, "--")

    def start_web(self, server: str) -> None:
        """Start the web server of a real server."""
        self.webs[server] = self.network.serve_page(server)

    def stop_web(self, server: str) -> None:
        """Stop the web server of a real server."""
        self.webs[server].kill()

    def clusterd(
        self, *arguments: str, input_text: str | None = None, env: Mapping[str, str] | None = None
    ) -> CompletedProcess[str]:
        """Run `clusterd` as the operator."""
        command = (sys.executable, "-m", "clusterd", "--endpoints", self.etcd.endpoints, *arguments)
        environment = {"PYTHONPATH": str(ROOT), **(env or {})}
        return self.network.run("etcd", *command, input_text=input_text, env=environment)

    def status(self, router: str) -> dict[str, Any]:
        """Return the router's status key; {} where there is none."""
        text = self.etcd.value(f"/clusterd/main/routers/{router}")
        return json.loads(text) if text else {}

    def health(self, server: str, observer: str) -> dict[str, Any]:
        """Return what a router found of a real server; {} where it found nothing yet."""
        text = self.etcd.value(f"/clusterd/main/health/web/{server}/{observer}")
        return json.loads(text) if text else {}

    def ipvsadm(self, router: str) -> str:
        """Return `ipvsadm -Sn` of a router."""
        return self.network.run(router, "ipvsadm", "-Sn").stdout

    def holders(self, address: str = VIP) -> list[str]:
        """Return the routers that have an address."""
        return [router for router in ROUTERS if self.network.has(router, address)]

    def active(self) -> str:
        """Return the router that has both floating addresses. Raises AssertionError where that is not one."""
        holders = self.holders()
        assert len(holders) == 1, f"the VIP is on {holders}"
        assert self.holders(GATEWAY) == holders
        return holders[0]

    def backup(self) -> str:
        """Return the other router."""
        return next(router for router in ROUTERS if router != self.active())

    def state_file(self, router: str, name: str) -> Path:
        """Return a file of a router's state directory."""
        return Path(self.environment(router)["CLUSTERD_STATE_DIR"]) / name


def prepare(network: Network, text: str, virtual: str, server: str) -> None:
    """Make a node what `clusterd render real-server` says that the document's real server of its name needs."""
    script = real_server.render(parse(text), virtual, server).text
    done = network.run(server, "sh", input_text=script)
    if done.returncode:
        raise RuntimeError(f"{script}: {done.stderr}")


def destinations() -> int:
    """Return how many destinations IPVS has where this is called."""
    return Path("/proc/thread-self/net/ip_vs").read_text().count("  -> ") - 1  # one is in the heading


def wait_for(what: str, condition: Callable[[], bool], limit_s: float = 20, step_s: float = 0.1) -> float:
    """Return how many seconds it took until the condition held. Raises AssertionError when it does not."""
    began_s = time.monotonic()
    while not condition():
        if time.monotonic() - began_s > limit_s:
            raise AssertionError(f"after {limit_s:g} s not yet: {what}")
        time.sleep(step_s)
    return time.monotonic() - began_s
