"""Which etcd a run of tests uses: never another one than was asked for, and never a skip that nobody is told of."""

import subprocess
import sys
from pathlib import Path

from tests.store.engine import ROOT

INNER = """
import pytest

@pytest.mark.engine
def test_that_needs_an_engine():
    raise AssertionError("it was run")

def test_that_does_not():
    pass
"""


def run(folder: Path, wanted: str) -> "subprocess.CompletedProcess[str]":
    """Run the two tests where there is no engine."""
    (folder / "test_inner.py").write_text(INNER)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = engine\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.store.plugin", f"--etcd={wanted}", "-rs", str(folder)]
    environment = {"PATH": "/nowhere", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_containers_that_are_asked_for_and_cannot_be_had_end_the_run(tmp_path: Path) -> None:
    ended = run(tmp_path, "docker")
    assert ended.returncode == 4
    assert "--etcd=docker was asked for, but: " in ended.stderr
    assert "script/engine brings an engine" in ended.stderr


def test_without_an_engine_what_needs_one_is_skipped_counted_and_explained(tmp_path: Path) -> None:
    ended = run(tmp_path, "auto")
    assert ended.returncode == 0
    assert "1 passed, 1 skipped" in ended.stdout
    assert "it needs a Docker engine (script/test-docker): [Errno 2]" in ended.stdout
    assert "script/engine brings an engine); skipped, since they need a Docker engine: 1" in ended.stdout
