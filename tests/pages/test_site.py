"""The site of the pages can be made, without a warning and without the network."""

import subprocess
from pathlib import Path

from tests.pages.blocks import DOCS, ROOT


def test_every_page_becomes_one_of_the_site(tmp_path: Path) -> None:
    done = subprocess.run([ROOT / "script" / "site", tmp_path], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    made = {file.stem for file in tmp_path.glob("*.html")}
    assert {page.stem for page in DOCS.glob("*.md")} <= made
    assert (tmp_path / "cluster.schema.json").exists()
