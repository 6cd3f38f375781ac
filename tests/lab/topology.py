"""The manual's five-node cluster in network namespaces, with its client and the host that etcd runs on.

    client 1.2.3.100 --- pub --+-- r1 eth0 1.2.3.2   r1 eth1 192.168.1.252 --+-- priv --+-- rs1 192.168.1.1
                               +-- r2 eth0 1.2.3.3   r2 eth1 192.168.1.253 --+          +-- rs2 192.168.1.2
                                                                                        +-- rs3 192.168.1.3
    pub and priv are bridges in the namespace sw                                        +-- etcd 192.168.1.10

The virtual address 1.2.3.1 (eth0) and the gateway 192.168.1.254 (eth1), default route of the real servers, belong to
whichever router is active; nobody has them after `build`. Pulling a cable is a command
in the namespace sw. Routers are as a kernel starts them: forwarding and the like are what clusterd must set.

This module knows nothing of clusterd, IPVS or pytest.
"""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.lab import namespaces
from tests.lab.guest import ROOT
from tests.lab.holder import held
from tests.lab.namespaces import Process, call, ip

VIP, GATEWAY, CLIENT, ETCD = "1.2.3.1", "192.168.1.254", "1.2.3.100", "192.168.1.10"
ROUTERS = ("r1", "r2")
REAL_SERVERS = ("rs1", "rs2", "rs3")
SWITCH = "sw"
NODES: Mapping[str, tuple[tuple[str, str], ...]] = {  # node -> (bridge, address) of eth0, eth1
    "client": (("pub", CLIENT),),
    "r1": (("pub", "1.2.3.2"), ("priv", "192.168.1.252")),
    "r2": (("pub", "1.2.3.3"), ("priv", "192.168.1.253")),
    "rs1": (("priv", "192.168.1.1"),),
    "rs2": (("priv", "192.168.1.2"),),
    "rs3": (("priv", "192.168.1.3"),),
    "etcd": (("priv", ETCD),),
}
ECHO_PORT = 8080


def mac(node: str, device: str) -> str:
    """The hardware address of a node's interface; it survives a reboot, as a real card's does."""
    return f"02:00:00:00:{list(NODES).index(node) + 1:02x}:{int(device[-1]):02x}"


class Network:
    """The whole network. `directory` receives the log files and the nodes' own files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._processes: list[Process] = []

    def build(self) -> None:
        """Make the namespaces and cables; about 0.7 s in the guest. Raises RuntimeError with what `ip` says."""
        namespaces.NAMES.mkdir(parents=True, exist_ok=True)
        ip([f"netns add {SWITCH}"])
        bridges = [f"link add {b} type bridge forward_delay 0 mcast_snooping 0" for b in ("pub", "priv")]
        ip(["link set lo up", *bridges, "link set pub up", "link set priv up"], SWITCH)
        for node in NODES:
            self._plug_in(node)

    def close(self) -> None:
        """Kill what runs in the nodes and remove them."""
        for name in (*NODES, SWITCH):
            if (namespaces.NAMES / name).exists():
                namespaces.kill_all(name)
                ip([f"netns del {name}"])
        for process in self._processes:
            process.popen.wait()
        self._processes.clear()

    def _plug_in(self, node: str) -> None:
        ip([f"netns add {node}"])
        at_switch, at_node = [], ["link set lo up"]
        for i, (bridge, address) in enumerate(NODES[node]):
            port = f"{node}.{i}"
            hardware = mac(node, f"eth{i}")
            at_switch += [
                f"link add {port} type veth peer name eth{i} address {hardware} netns {node}",
                f"link set {port} master {bridge} up",
            ]
            at_node += [f"addr add {address}/24 dev eth{i}", f"link set eth{i} up"]
        if node in REAL_SERVERS:
            at_node.append(f"route add default via {GATEWAY}")
        ip(at_switch, SWITCH)
        call(node, _forget_inherited_forwarding)
        ip(at_node, node)

    def join_public(self, server: str, address: str) -> None:
        """Give a real server a second card, eth1, in the public network: it can answer clients itself."""
        ip(
            [f"link add {server}.1 type veth peer name eth1 netns {server}", f"link set {server}.1 master pub up"],
            SWITCH,
        )
        ip([f"addr add {address}/24 dev eth1", "link set eth1 up"], server)

    def run(
        self,
        node: str,
        *command: str,
        input_text: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end on a node. The operator types on the node called etcd."""
        return namespaces.run(node, command, input_text=input_text, env=env, timeout_s=timeout_s)

    def spawn(
        self, node: str, *command: str, name: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Process:
        """Start a long-lived program on a node; its log is `name`.log below the directory, appended to."""
        process = namespaces.spawn(node, command, log=self.directory / f"{name}.log", env=env, cwd=cwd)
        self._processes.append(process)
        return process

    def cut(self, *nodes: str) -> None:
        """Pull all cables of the nodes, at the switch's side: the node sees its carrier go."""
        self._ports(nodes, "down")

    def restore(self, *nodes: str) -> None:
        """Plug the cables in again."""
        self._ports(nodes, "up")

    def _ports(self, nodes: tuple[str, ...], state: str) -> None:
        ip([f"link set {node}.{i} {state}" for node in nodes for i in range(len(NODES[node]))], SWITCH)

    def power_off(self, node: str) -> None:
        """Pull all cables, then kill -9 everything on the node. Its kernel keeps addresses and rules: see `reboot`."""
        self.cut(node)
        namespaces.kill_all(node)

    def reboot(self, node: str) -> None:
        """Make the node anew: nothing runs, the kernel knows only the node's own addresses, cables are plugged in."""
        namespaces.kill_all(node)
        # The cables go first: the kernel takes its time over a namespace and its half of them.
        ip([f"link del {node}.{i}" for i in range(len(NODES[node]))], SWITCH)
        ip([f"netns del {node}"])
        self._plug_in(node)

    def addresses(self, node: str) -> tuple[str, ...]:
        """The node's IPv4 addresses without prefix length, loopback left out."""
        lines = self.run(node, "ip", "-brief", "-4", "address", "show", "up").stdout.splitlines()
        fields = [field for line in lines if not line.startswith("lo") for field in line.split()[2:]]
        return tuple(field.split("/")[0] for field in fields if "/" in field)

    def has(self, node: str, address: str) -> bool:
        """Whether the node has an address; a process that lists them costs 40 ms of an emulated processor."""
        return call(node, held, address)

    def serve_page(self, node: str, port: int = 80) -> Process:
        """Start a web server on the node whose only page is the node's name. `Process.kill` stops it."""
        folder = self.directory / f"web-{node}"
        folder.mkdir(exist_ok=True)
        (folder / "index.html").write_text(f"{node}\n")
        return self.spawn(node, "busybox", "httpd", "-f", "-p", str(port), "-h", str(folder), name=f"web-{node}")

    def serve_peer_address(self, node: str = "client", port: int = ECHO_PORT) -> Process:
        """Start a web server on the node whose page is the address that the request came from."""
        command = (sys.executable, "-m", "tests.lab.peer_address", str(port))
        return self.spawn(node, *command, name=f"peer-{node}", cwd=ROOT)


def _forget_inherited_forwarding() -> None:
    """Undo what a new namespace copies from a host that forwards itself, for example for its containers."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
