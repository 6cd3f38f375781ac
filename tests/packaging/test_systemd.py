"""The services under a real systemd, with their units as they are packaged: started, restarted, hung, stopped."""

import subprocess
from pathlib import Path

import pytest

from tests.lab.guest import ROOT
from tests.store.etcd_server import ETCD

NAMESPACES = ("--pid", "--mount", "--uts", "--ipc", "--cgroup", "--net", "--fork", "--kill-child")
RAW, BOTH, NONE = "0000000000002000", "0000000000003000", "0000000000000000"
SERVICES = ("router", "agent", "undoer", "web")

pytestmark = [
    pytest.mark.etcd,
    pytest.mark.skipif(ETCD is None or not Path("/lib/systemd/systemd").exists(), reason="etcd or systemd is not here"),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What is seen under systemd, line by line."""
    folder = tmp_path_factory.mktemp("systemd")
    command = ("unshare", *NAMESPACES, "bash", str(ROOT / "tests" / "packaging" / "boot.sh"), str(folder), str(ROOT))
    booted = subprocess.run(["timeout", "-s", "KILL", "110", *command], capture_output=True, text=True)
    out = folder / "out"
    lines = out.read_text().splitlines() if out.exists() else []
    assert "the end" in lines, f"{booted.stderr[-2000:]}\n{lines}"
    return lines


def test_every_service_starts_with_a_user_and_the_rights_of_its_own(told: list[str]) -> None:
    for service, capabilities in (("router", BOTH), ("agent", NONE), ("undoer", NONE), ("web", NONE)):
        assert f"started {service}: active success" in told
        assert f"rights of {service}: clusterd-{service} {capabilities} {capabilities} 1 2 " in told


def test_checks_work_there_and_the_prober_cannot_change_the_kernel(told: list[str]) -> None:
    assert "real servers that are up: 2" in told, "one pinged, one asked by a program that runs as the service's user"
    assert f"rights of the prober: clusterd-router {RAW} {BOTH} 1 2 " in told


def test_the_console_answers_and_lets_its_user_in(told: list[str]) -> None:
    assert "a login to the console: 303 http://127.0.0.1:8480/" in told


def test_a_restart_is_clean_and_leaves_the_lease_to_the_next_process(told: list[str]) -> None:
    for service in SERVICES:
        assert f"restarted {service}: active success" in told
        assert f"{service} is the same process" not in told
    assert "lease's file: clusterd-router 600" in told


def test_a_router_that_hangs_is_started_again(told: list[str]) -> None:
    assert "hung, then started again: 1" in told


def test_a_stop_is_clean(told: list[str]) -> None:
    for service in SERVICES:
        assert f"stopped {service}: inactive success" in told
    assert "undoers and routers left in etcd: 0" in told
