"""sshd on the lab's nodes, and the files with which somebody gets in: a key, and what the hosts are known by."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.lab.topology import Network

_CONFIG = """\
HostKey {folder}/host
AuthorizedKeysFile {folder}/client.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
"""


class Ssh:
    """One key for whoever asks, and one host key for all nodes, which are one host in truth."""

    def __init__(self, network: Network) -> None:
        self._network, self._folder = network, network.directory / "ssh"
        self.key_file, self.known_hosts = self._folder / "client", self._folder / "known_hosts"
        self._folder.mkdir(mode=0o700)
        for name in ("host", "client"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._folder / name)]
            subprocess.run(make, check=True)
        (self._folder / "config").write_text(_CONFIG.format(folder=self._folder))
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)

    def start(self, node: str, addresses: Iterable[str]) -> None:
        """Let root in on a node, which is known by these addresses from now on."""
        kind, key, *_ = (self._folder / "host.pub").read_text().split()
        with self.known_hosts.open("a") as known:
            known.writelines(f"{address} {kind} {key}\n" for address in addresses)
        program = shutil.which("sshd", path="/usr/sbin:/sbin") or "sshd"
        self._network.spawn(node, program, "-D", "-e", "-f", str(self._folder / "config"), name=f"sshd-{node}")
