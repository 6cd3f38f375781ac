"""The page on deployment names scripts, services and files that there are."""

import os
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "deploy.md").read_text()
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_every_script_is_there() -> None:
    scripts = set(re.findall(r"\bscript/[\w-]+", PAGE))
    assert len(scripts) > 5
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK), script


def test_every_service_of_the_compose_file_is_there() -> None:
    named = re.findall(r"^docker compose (?:exec (?:-u \w+ )?|kill )(\w+)", PAGE, re.MULTILINE)
    assert len(named) > 3
    assert set(named) <= set(SERVICES)


def test_every_page_that_it_points_to_is_there_with_the_heading() -> None:
    for page, heading in re.findall(r"\]\(([\w.-]+\.md)(?:#([\w-]+))?\)", PAGE):
        text = (ROOT / "docs" / page).read_text()
        headings = {line.strip("# ").lower().replace(" ", "-") for line in text.splitlines() if line.startswith("#")}
        assert not heading or heading in headings, (page, heading)
