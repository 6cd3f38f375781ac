"""The Debian package, installed, upgraded and purged on a host with systemd: `script/package --test` runs this.

The host is a container. Where its kernel has no IPVS the router is run dry there.
"""

import json
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusterd import __version__
from tests.store.engine import ROOT, docker

OLD, NEW = f"{__version__}-1", f"{__version__}-2"
ASK_THE_CONSOLE = (
    r"""bash -c 'exec 3<>/dev/tcp/127.0.0.1/8480; printf "GET /login HTTP/1.0\r\n\r\n" >&3; head -n 1 <&3'"""
)
UNITS = ("clusterd-router", "clusterd-agent", "clusterd-undoer", "clusterd-web")
CGROUPS = Path("/sys/fs/cgroup")

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        not (ROOT / "dist" / f"clusterd_{NEW}_amd64.deb").exists(), reason="script/package --test makes the packages"
    ),
]


class Host:
    """The container."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, command: str, check: bool = True) -> str:
        return docker("exec", self._name, "sh", "-c", command, check=check).strip()

    def copy(self, file: Path, to: str) -> None:
        docker("cp", str(file), f"{self._name}:{to}")

    def install(self, version: str) -> str:
        """Install a version as apt would, with all that dpkg says."""
        return self(f"DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i /root/clusterd_{version}_amd64.deb 2>&1")

    def until(self, claim: Callable[[], bool]) -> None:
        end_s = time.monotonic() + 60
        while not claim():
            assert time.monotonic() < end_s, self("journalctl --no-pager -n 40; systemctl --failed", check=False)
            time.sleep(0.5)

    def running(self, unit: str) -> str:
        """Return the process of a unit, 0 where there is none."""
        return self(f"systemctl show --property MainPID --value {unit}")


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """A host with the old version installed, and the new one's file."""
    docker("build", "--network", "host", "--quiet", "--tag", "clusterd-host:local", str(ROOT / "packaging"))
    name = f"clusterd-package-{time.monotonic_ns()}"
    volumes = ["--volume", f"{CGROUPS}:{CGROUPS}:ro", "--volume", f"{CGROUPS}/systemd:{CGROUPS}/systemd:rw"]
    if (CGROUPS / "cgroup.controllers").exists():  # version 2 of cgroups
        volumes = ["--cgroupns", "host", "--volume", f"{CGROUPS}:{CGROUPS}:rw"]
    rights = ["--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--security-opt", "seccomp=unconfined"]
    places = ["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp"]
    docker("run", "--detach", "--network", "none", "--name", name, *rights, *places, *volumes, "clusterd-host:local")
    try:
        made = Host(name)
        made.until(lambda: made("systemctl is-system-running", check=False) in ("running", "degraded"))
        for version in (OLD, NEW):
            made.copy(ROOT / "dist" / f"clusterd_{version}_amd64.deb", "/root/")
        made.copy(ROOT / "docker" / "cluster.yaml", "/root/")
        yield made
    finally:
        docker("rm", "--force", "--volumes", name)


def test_installed_it_has_programs_users_manual_pages_and_completion_and_starts_nothing(host: Host) -> None:
    host.install(OLD)
    assert host("clusterd --version") == f"clusterd, version {__version__}"
    for unit in UNITS:
        assert host(f"systemctl is-enabled {unit}", check=False) == "disabled"
        assert host.running(unit) == "0"
        assert host(f"id --user --name {unit}") == unit
        assert host(f"man --warnings --where {unit}").endswith(f"{unit}.8.gz")
    assert host("man --warnings clusterd 2>&1 >/dev/null") == ""
    assert "_clusterd_completion" in host(
        "bash -c '. /usr/share/bash-completion/completions/clusterd; complete -p clusterd'"
    )
    assert host("dpkg --verify clusterd") == ""


def test_systemd_has_nothing_to_say_about_the_units(host: Host) -> None:
    units = " ".join(f"/lib/systemd/system/{unit}.service" for unit in UNITS)
    assert host(f"systemd-analyze verify --man=no {units} 2>&1") == ""


def test_upgraded_in_place_its_settings_stay_and_its_running_services_are_restarted_without_a_stop(host: Host) -> None:
    host("systemctl start etcd")
    host("clusterd init -f /root/cluster.yaml --yes")
    host("clusterd set cluster/heartbeat/deadtime_s=20 --yes")  # a restart takes seconds on a busy machine
    dry = "" if Path("/proc/net/ip_vs").exists() else 'data_plane = "dry_run"\n'
    settings = f'router = "r1"\n{dry}'
    host(f"printf %s {shlex.quote(settings)} >>/etc/clusterd/clusterd.toml")
    host("systemctl start clusterd-router")

    def applied() -> bool:
        out = host("clusterd status --json", check=False)
        view = json.loads(out) if out.startswith("{") else {}
        return "routers" in view and view["routers"][0]["applied"] == 2

    host.until(applied)
    host("systemctl stop clusterd-router && systemctl start clusterd-router")  # its next lease is as long as that
    host.until(applied)
    host("systemctl start clusterd-web")  # which ends when the console answers
    before = {unit: host.running(unit) for unit in ("clusterd-router", "clusterd-web")}
    host.install(NEW)
    assert host("dpkg-query --show --showformat '${Version}' clusterd") == NEW
    assert settings in host("cat /etc/clusterd/clusterd.toml") + "\n"
    for unit, process in before.items():
        assert host.running(unit) not in (process, "0")
    host.until(lambda: "200 OK" in host(ASK_THE_CONSOLE, check=False))
    assert host.running("clusterd-agent") == "0"
    host.until(applied)
    log = host("journalctl --no-pager --unit clusterd-router")
    assert log.count("going on with lease") == 1, "it was restarted, and not stopped and started"
    assert host("dpkg --verify clusterd | grep -v clusterd.toml", check=False) == ""


def test_purged_it_leaves_its_users_and_the_administrators_files(host: Host) -> None:
    host("touch /etc/clusterd/router.key; systemctl enable clusterd-router")
    host("dpkg --purge clusterd 2>&1")
    assert host("systemctl is-active clusterd-router", check=False) in ("inactive", "unknown")
    left = host("find / -xdev ! -path '/proc/*' ! -path '/root/*' ! -path '/var/log/*' -name '*clusterd*'", check=False)
    assert left.splitlines() == ["/etc/clusterd"]
    assert host("ls /etc/clusterd") == "router.key"
