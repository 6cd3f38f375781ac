"""The page on security names tests that are there, and what it tells to type works."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from clusterd.keys import Keys
from clusterd.rights import roles
from tests.clusterd.examples import MANUAL
from tests.pages.blocks import blocks
from tests.store.etcd_server import Member

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text()
ADDRESS = "192.168.1.10:2379"


def test_every_threat_names_a_test() -> None:
    rows = re.findall(r"^\| (.+?) \| .+? \| (.+?) \|$", PAGE.partition("## Threats")[2], re.MULTILINE)[2:]
    assert len(rows) > 10
    for threat, named in rows:
        assert re.match(r"`test_\w+\.py`: `test_\w+`", named), threat


def test_the_roles_are_those_that_are_made() -> None:
    keys = Keys("C")
    for name, role in roles(keys, ["S"]).items():
        shown = name.replace("clusterd-C-", "…").replace("-S", "-<server>")
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{shown}`"))
        for each in role.permissions:
            key = each.key.removeprefix(keys.prefix)
            of_a_kind = each.access.name == "READ" or "secrets" in key or shown.startswith("…agent")
            commits = key in ("head", "config/", "history/", "staging/", "pending/")
            assert of_a_kind or commits or f"`{key}`" in row, f"{shown}: {each}"


STEPS = PAGE.partition("## Step by step")[2].partition("\n## ")[0]


@pytest.mark.etcd
def test_the_way_to_certificates_and_logins_works_as_it_is_written(tmp_path: Path) -> None:
    folder, bin_ = tmp_path / "safe", tmp_path / "bin"
    folder.mkdir()
    bin_.mkdir()
    (folder / "cluster.yaml").write_text(MANUAL)
    (bin_ / "clusterd").write_text(f'#!/bin/sh\nexec {sys.executable} -m clusterd "$@"\n')
    (bin_ / "clusterd").chmod(0o755)
    environment = {"PATH": f"{bin_}:{os.environ['PATH']}", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def typed(*texts: str) -> str:
        """Type it into a shell, with the address of this test's etcd; return what is printed."""
        text = "set -e\n" + "\n".join(texts).replace(ADDRESS, address)
        done = subprocess.run(["bash", "-c", text], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    certificates, accounts, enabling = (block.text for block in blocks(STEPS, "sh"))
    address = ""
    typed(certificates.replace("IP:192.168.1.10", "IP:127.0.0.1"))
    told = re.findall(r"^ETCD_(\w+)=(.*)$", blocks(STEPS, "ini")[0].text, re.MULTILINE)
    options = {name.lower().replace("_", "-"): value for name, value in told}
    words = [f"--{name}={folder / value if '.' in value else value}" for name, value in options.items()]
    with Member(tmp_path, extra=("--bcrypt-cost", "4", *words), scheme="https") as member:
        address = member.address
        typed(accounts)
        exported = accounts.partition("\n")[0]
        shown = typed(exported, enabling)
        assert "etcd asks for logins from now on" in shown
        assert re.search(r"clusterd-main-router: .*\n(?:  .*\n)*  users: clusterd-main-router-r1", shown)
        router = exported.replace("alice", "r1")
        assert "weight: 3" in typed(router, "clusterd show virtuals/web")
        refused = typed(router, "clusterd set virtuals/web/servers/rs1/weight=4 --yes 2>&1 || true")
        assert "permission denied" in refused
