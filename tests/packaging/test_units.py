"""The units for systemd: it finds nothing wrong with them, and they give away as little as is agreed."""

import ctypes
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.lab.guest import ROOT

PACKAGING = ROOT / "packaging"
UNITS = sorted((PACKAGING / "systemd").glob("*.service"))
MOST_EXPOSED = 20  # tenths: systemd-analyze(1), security

with_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")


def analyzed(unit: Path, tmp_path: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run systemd-analyze on a copy whose program is there: the real one is where the package puts it."""
    copy = tmp_path / unit.name
    copy.write_text(re.sub(r"^(ExecStart=)\S+", r"\1/bin/true", unit.read_text(), flags=re.MULTILINE))
    return subprocess.run(["systemd-analyze", *command, str(copy)], capture_output=True, text=True, timeout=60)


def sections(unit: Path) -> dict[str, list[str]]:
    """Return the values of each key of a unit's service."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


@with_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_has_nothing_to_say_against_a_unit(unit: Path, tmp_path: Path) -> None:
    verified = analyzed(unit, tmp_path, "verify", "--man=no")
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


@with_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_service_gives_away_as_little_as_is_agreed(unit: Path, tmp_path: Path) -> None:
    judged = analyzed(unit, tmp_path, "security", "--offline=true", f"--threshold={MOST_EXPOSED}")
    assert judged.returncode == 0, judged.stdout


@with_systemd
def test_a_misspelt_setting_would_be_noticed(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong" / "clusterd-router.service"
    wrong.parent.mkdir()
    wrong.write_text(UNITS[0].read_text().replace("PrivateTmp=", "PrivateTemp="))
    assert "PrivateTemp" in analyzed(wrong, tmp_path, "verify", "--man=no").stderr


def test_every_service_has_a_unit_and_a_user_of_its_own() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    services = set(scripts) - {"clusterd"}
    assert {unit.stem for unit in UNITS} == services
    users = re.findall(r"^u (\S+)", (PACKAGING / "sysusers.d" / "clusterd.conf").read_text(), re.MULTILINE)
    assert {sections(unit)["User"][0] for unit in UNITS} == set(users) == services
    for unit in UNITS:
        assert sections(unit)["ExecStart"] == [f"/usr/bin/{unit.stem}"]


def test_the_console_alone_is_in_the_routers_group_whose_socket_it_reads() -> None:
    text = (PACKAGING / "sysusers.d" / "clusterd.conf").read_text()
    assert re.findall(r"^m (\S+) (\S+)", text, re.MULTILINE) == [("clusterd-web", "clusterd-router")]


def test_only_the_router_has_capabilities_and_only_two() -> None:
    for unit in UNITS:
        two = ["CAP_NET_ADMIN CAP_NET_RAW"] if unit.stem == "clusterd-router" else None
        assert sections(unit).get("AmbientCapabilities") == two
        assert sections(unit)["CapabilityBoundingSet"] == (two or [""])


def test_a_stop_hands_over_and_a_restart_does_not() -> None:
    router = sections(PACKAGING / "systemd" / "clusterd-router.service")
    assert router["RestartKillSignal"] == ["SIGHUP"]
    assert "KillSignal" not in router, "SIGTERM is the default"
    assert router["RuntimeDirectoryPreserve"] == ["yes"], "the lease's file is needed by the next process"


def test_settings_with_secrets_are_files_of_one_user_each() -> None:
    lines = (PACKAGING / "tmpfiles.d" / "clusterd.conf").read_text().splitlines()
    for line in (line for line in lines if line.startswith("z ")):
        _, path, mode, user, group, _ = line.split()
        assert (mode, user, group) == ("0400", f"clusterd-{Path(path).stem}", f"clusterd-{Path(path).stem}")


@pytest.mark.parametrize(
    "module",
    ["watchers.service", "watchers.prober", "watchers.agent", "watchers.undoing_service", "watchers.web.service"],
)
def test_a_service_works_where_no_memory_is_both_written_and_run(module: str) -> None:
    """MemoryDenyWriteExecute=, as the kernel has it: PR_SET_MDWE (65), which refuses what systemd's filter refuses."""
    if ctypes.CDLL(None).prctl(66, 0, 0, 0, 0) == -1:
        pytest.skip("this kernel has no PR_GET_MDWE (6.3)")
    program = (
        "import ctypes, mmap\n"
        "assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0\n"
        "try: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\n"
        "except PermissionError: pass\n"
        "else: raise SystemExit('memory can be both')\n"
        f"import asyncio, {module}\n"
        "from clusterd.store.etcd import EtcdStore\n"
        "from clusterd.store.endpoints import Credentials\n"
        "from clusterd.errors import StoreUnavailable\n"
        "from clusterd.document import parse\n"
        "parse('{}')\n"
        "async def ask():\n"
        "    store = EtcdStore(['https://127.0.0.1:1'], timeout_s=0.5)\n"
        "    try: await store.get('/a')\n"
        "    except StoreUnavailable: print('asked')\n"
        "    await store.close()\n"
        "asyncio.run(ask())\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert ended.stdout == "asked\n", ended.stderr
