"""Which members of etcd the tests break: processes on this host, or the containers of docker-compose.yml.

    --etcd=local    three processes on loopback
    --etcd=docker   the containers; where they cannot be had the run ends at once
    --etcd=auto     the containers where they can be had, else the processes; the summary tells which, and why

Tests marked `engine` need the containers. Elsewhere they are skipped, and the summary says how many.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store import engine
from tests.store.engine import ContainerMember
from tests.store.etcd_server import ETCD, Member, cluster, free_ports

QUICK = ("--heartbeat-interval", "50", "--election-timeout", "500")  # a cluster that recovers in half the time
_skipped: list[str] = []
_used: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.addoption(
        "--etcd",
        choices=("auto", "docker", "local"),
        default=os.environ.get("CLUSTERD_TEST_ETCD", "auto"),
        help="members of etcd that tests break: containers of docker-compose.yml, or processes of this host",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a run that asks for containers where there can be none."""
    if config.getoption("--etcd") == "docker" and engine.missing():
        raise pytest.UsageError(f"--etcd=docker was asked for, but: {engine.missing()}")


def why_local(config: pytest.Config) -> str:
    """Return why tests use processes of this host, "" where they use containers."""
    wanted = config.getoption("--etcd")
    if wanted == "docker":
        return ""
    return "--etcd=local was asked for" if wanted == "local" else engine.missing()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs an engine where tests run without one."""
    why = why_local(item.config) if item.get_closest_marker("engine") else ""
    if why:
        _skipped.append(item.nodeid)
        pytest.skip(f"it needs a Docker engine (script/test-docker): {why}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which etcd was used, and how many tests there was none for."""
    if _used or _skipped:
        why = why_local(config)
        where = f"processes of this host ({why})" if why else "the containers of docker-compose.yml"
        left = f"; skipped, since they need a Docker engine: {len(_skipped)}" if _skipped else ""
        terminalreporter.write_line(f"members of etcd: {where}{left}")


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    """Return the file that pytest-docker uses."""
    return str(engine.COMPOSE_FILE)


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    """Return the name of the project, one for every run."""
    return f"clusterd-test-{os.getpid()}"


@pytest.fixture(scope="session")
def docker_setup() -> list[str]:
    """Return what brings etcd up and nothing else: whoever counts revisions is alone with it."""
    return [f"up --detach --no-build --wait {' '.join(engine.NAMES)}"]


@pytest.fixture(scope="session")
def docker_cleanup() -> list[str]:
    """Return what ends everything, at once."""
    return ["kill", "down --volumes --remove-orphans"]


@pytest.fixture(scope="session")
def container_members(request: pytest.FixtureRequest, docker_compose_project_name: str) -> tuple[ContainerMember, ...]:
    """Three members in containers, on ports of this host that stay when they are started again."""
    ports = dict(zip(engine.NAMES, free_ports(len(engine.NAMES)), strict=True))
    with pytest.MonkeyPatch.context() as patch:
        for name, port in ports.items():
            patch.setenv(f"{name.upper()}_PORT", str(port))
        request.getfixturevalue("docker_services")
    return tuple(ContainerMember(docker_compose_project_name, name, port) for name, port in ports.items())


@pytest.fixture(scope="package")
def running_cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Member, ...]]:
    """Three members of etcd."""
    _used.append(request.node.nodeid)
    if not why_local(request.config):
        yield request.getfixturevalue("container_members")
        return
    if ETCD is None:
        raise pytest.UsageError("the etcd program is not on PATH (Debian: etcd-server)")
    with cluster(tmp_path_factory.mktemp("cluster"), 3, QUICK) as members:
        yield members


@pytest.fixture
def members(running_cluster: tuple[Member, ...]) -> Iterator[tuple[Member, ...]]:
    """Three members of etcd, all well before and after the test."""
    yield running_cluster
    for member in running_cluster:
        member.revive()
    for member in running_cluster:
        member.wait()


@pytest.fixture
def folder_for_snapshots(tmp_path: Path) -> Path:
    """Return a folder that other users can look into, as those in containers have to."""
    for each in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        each.chmod(each.stat().st_mode | 0o011)
    return tmp_path
