"""The README is true: its document is valid, its commands do what they say."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from clusterd import document
from tests.store.etcd_server import Member

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert len(found) >= 1
    return str(found[0])


def test_the_two_commands_are_there_and_can_be_run() -> None:
    for line in block("sh").splitlines():
        assert os.access(ROOT / line.split()[0], os.X_OK)


def test_the_document_is_valid() -> None:
    assert set(document.parse(block("yaml")).virtuals) == {"web"}


@pytest.mark.etcd
def test_the_commands_do_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(block("yaml"))
    with Member(tmp_path / "etcd") as etcd:
        environment = {**os.environ, "CLUSTERD_ENDPOINTS": etcd.endpoint, "PYTHONPATH": str(ROOT)}
        for line in block("console").splitlines():
            program, *arguments = shlex.split(line.removeprefix("$ "))
            assert program == "clusterd"
            command = [sys.executable, "-m", "clusterd", *arguments]
            done = subprocess.run(
                command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=30
            )
            assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
            assert done.stdout.strip(), f"{line} says nothing"
