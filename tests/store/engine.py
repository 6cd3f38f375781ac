"""Whether there is a Docker engine for tests, and members of etcd in it: those of docker-compose.yml.

`script/engine` brings an engine, `script/images` the images; nothing is built or started behind a test's back.
"""

import functools
import json
import subprocess
from pathlib import Path

from tests.store.etcd_server import Member

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
IMAGE = "clusterd-etcd:local"
NAMES = ("etcd1", "etcd2", "etcd3")
_NEEDED = (
    (("docker", "version"), "script/engine brings an engine"),
    (("docker", "compose", "version"), "script/engine brings Docker Compose"),
    (("docker", "image", "inspect", IMAGE), "script/images builds the images"),
)


@functools.cache
def missing() -> str:
    """Return what is missing for containers, "" where nothing is."""
    for command, remedy in _NEEDED:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{error}; {remedy}"
        if done.returncode != 0:
            return f"{' '.join(done.stderr.split())}; {remedy}"
    return ""


def docker(*arguments: str, check: bool = True) -> str:
    """Run a command of the engine, and return what it prints."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=180, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


class ContainerMember(Member):
    """A member of etcd in a container of the project. `port` of this host is its client port."""

    def __init__(self, project: str, name: str, port: int) -> None:  # it has neither a folder nor a process here
        self.name = name
        self.address = f"127.0.0.1:{port}"
        self.endpoint = f"http://{self.address}"
        self.advertised = f"http://{name}:2379"  # to the other containers: this host does not know that name
        self._project = project
        self._container = f"{project}-{name}-1"

    def launch(self) -> None:
        """Start the container."""
        docker("start", self._container)

    def log(self) -> str:
        """Return the end of what the member has said."""
        return docker("logs", "--tail", "20", self._container)

    def ended(self) -> bool:
        """Return whether the container does not run."""
        return not self._state()["Running"]

    def kill(self) -> None:
        """End the member at once, as a crash would (SIGKILL)."""
        docker("kill", self._container)

    def finish(self) -> None:
        """End the member in good order (SIGTERM)."""
        docker("stop", "--time", "20", self._container)

    def pause(self) -> None:
        """Freeze the container."""
        docker("pause", self._container)

    def resume(self) -> None:
        """Let a frozen container go on."""
        docker("unpause", self._container)

    def revive(self) -> None:
        """Let the member run again with all its networks, and do not wait until it serves."""
        state = self._state()
        if state["Paused"]:
            self.resume()
        if not state["Running"]:
            self.launch()
        if self._peer_network not in docker("inspect", self._container):
            self.join_peers()

    def stop(self) -> None:
        """Leave the end to the project's."""

    def leave_peers(self) -> None:
        """Cut the member off from the others; its clients still reach it."""
        docker("network", "disconnect", self._peer_network, self._container)

    def join_peers(self) -> None:
        """Let the member see the others again."""
        docker("network", "connect", "--alias", f"{self.name}-peer", self._peer_network, self._container)

    def restore(self, snapshot: Path) -> None:
        """Replace the data of a member that has ended by a snapshot's."""
        script = (
            "rm -rf $ETCD_DATA_DIR && etcdctl snapshot restore /snapshot --data-dir $ETCD_DATA_DIR --name $ETCD_NAME"
            " --initial-cluster $ETCD_INITIAL_CLUSTER"
            " --initial-advertise-peer-urls $ETCD_INITIAL_ADVERTISE_PEER_URLS"
        )
        snapshot.chmod(0o644)  # etcd's user in the container reads it
        compose = ("compose", "--project-name", self._project, "--file", str(COMPOSE_FILE))
        once = ("run", "--rm", "--no-deps", "--volume", f"{snapshot}:/snapshot:ro", self.name)
        docker(*compose, *once, "sh", "-c", script)

    @property
    def _peer_network(self) -> str:
        return f"{self._project}_peer"

    def _state(self) -> dict[str, bool]:
        state: dict[str, bool] = json.loads(docker("inspect", "--format", "{{json .State}}", self._container))
        return state
