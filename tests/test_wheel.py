"""The wheel works by itself: built from this checkout, in an environment of its own, with its commands and data."""

import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from clusterd import __version__

ROOT = Path(__file__).parent.parent
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")


def run(*command: str | Path, cwd: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd)}  # and no PYTHONPATH
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel, and beside it the packages that were locked for this one."""
    folder = tmp_path_factory.mktemp("wheel")
    for each in ("pyproject.toml", "README.md", "LICENSE", "clusterd", "renderers", "watchers"):
        (folder / "source").mkdir(exist_ok=True)
        (folder / "source" / each).symlink_to(ROOT / each)
    run(*PIP, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", folder, folder / "source", cwd=folder)
    (wheel,) = folder.glob("clusterd-*.whl")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    run(*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    (packages / "locked.pth").write_text(
        sysconfig.get_path("purelib") + "\n"
    )  # plain: this checkout is not found by it
    where = run(python, "-c", "import clusterd; print(clusterd.__file__)", cwd=folder)
    assert where.startswith(str(packages))
    return python.parent


def test_every_program_tells_its_version(programs: Path, tmp_path: Path) -> None:
    for program in importlib.metadata.entry_points(group="console_scripts"):
        if program.value.split(".")[0] in ("clusterd", "watchers"):
            assert __version__ in run(programs / program.name, "--version", cwd=tmp_path), program.name
    assert "--release" in run(programs / "clusterd-router", "--help", cwd=tmp_path)


def data(root: Path) -> set[str]:
    """Return the files below the packages that are no code."""
    files = (file for package in ("clusterd", "renderers", "watchers") for file in (root / package).rglob("*.*"))
    return {str(file.relative_to(root)) for file in files if file.is_file() and file.suffix not in (".py", ".pyc")}


def test_templates_and_all_other_data_come_along(programs: Path, tmp_path: Path) -> None:
    document = ROOT / "docker" / "cluster.yaml"
    assert "virtual web {" in run(programs / "clusterd", "render", "lvs.cf", "-f", document, cwd=tmp_path)
    (installed,) = programs.parent.glob("lib/python*/site-packages")
    assert "renderers/templates/lvs.cf.j2" in data(ROOT)
    assert data(installed) == data(ROOT)


def locked(file: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+==\S+)", (ROOT / file).read_text(), re.MULTILINE))


def test_what_is_deployed_is_what_was_tested() -> None:
    runtime = locked("requirements-runtime.lock")
    assert runtime
    assert runtime <= locked("requirements.lock")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[ ;<>=!~\[]", text, maxsplit=1)[0] for text in project["dependencies"]}
    assert {name.lower().replace("_", "-") for name in needed} <= {each.split("==")[0] for each in runtime}
