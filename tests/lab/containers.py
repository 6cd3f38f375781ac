"""A Docker engine of its own on the lab's kernel, with the images that script/images has made.

Loading them would cost an emulated processor minutes and a guest its memory, so no layer is copied: the engine's folder
is a new one in memory, and what each layer holds is mounted there from the folder of the engine that built it, where
nothing is written.
"""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

from tests.lab import machine
from tests.lab.cluster import wait_for
from tests.lab.guest import ROOT

IMAGES = Path(os.environ.get("CLUSTERD_TEST_IMAGES", ROOT / ".lab" / "docker" / "data"))  # of an engine with overlay2
_FOLDER = Path("/var/lib/docker")
_HOST = Path("/run/host")
_STARTING_S = 60.0


def start_engine(directory: Path) -> subprocess.Popen[bytes]:
    """Start the engine, as a host's is without any settings; `docker` finds it. Raises RuntimeError with its log."""
    _prepare(_built())
    _install_compose(directory)
    log = directory / "dockerd.log"
    with log.open("wb") as output:
        process = subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"dockerd has ended: {log.read_text()[-2000:]}")
        return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0

    wait_for("the engine answers", answers, _STARTING_S, step_s=0.2)
    return process


def _built() -> Path:
    """Return the folder of the engine that built the images, as it is on its host.

    A guest's own root file system will not do: that is an overlay, which takes the marks by which a layer hides what is
    below it for marks of its own.
    """
    if not machine.emulated():
        return IMAGES
    _HOST.mkdir(exist_ok=True)
    _mount("-t", "virtiofs", "-o", "ro", "hostroot", str(_HOST))
    return _HOST / IMAGES.relative_to("/")


def _prepare(built: Path) -> None:
    """Make a folder for the engine that has all images of another."""
    if not (built / "image" / "overlay2" / "repositories.json").exists():
        raise RuntimeError(f"{IMAGES} is not the folder of an engine with images in overlay2; script/images makes one")
    _FOLDER.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "engine", str(_FOLDER))
    shutil.copytree(built / "image", _FOLDER / "image")
    layers = _FOLDER / "overlay2"
    (layers / "l").mkdir(parents=True)
    for layer in (built / "overlay2").iterdir():
        if (layer / "link").exists():  # "l" is not one
            _show(layer, layers)


def _show(layer: Path, layers: Path) -> None:
    """Let one layer be among the engine's: three small files about it, its short name, and what it holds."""
    shown = layers / layer.name
    (shown / "diff").mkdir(parents=True)
    for name in ("link", "lower", "committed"):
        if (layer / name).exists():
            shutil.copy(layer / name, shown)
    (layers / "l" / (layer / "link").read_text()).symlink_to(f"../{layer.name}/diff")
    _mount("--bind", str(layer / "diff"), str(shown / "diff"))


def _install_compose(directory: Path) -> None:
    """Let `docker compose` be the program that script/engine uses where there is none."""
    package = importlib.util.find_spec("compose")
    if package is None or package.origin is None:
        raise RuntimeError("there is no Docker Compose; run script/install")
    plugins = directory / "config" / "cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-compose").symlink_to(Path(package.origin).with_name("docker-compose"))
    os.environ["DOCKER_CONFIG"] = str(plugins.parent)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
