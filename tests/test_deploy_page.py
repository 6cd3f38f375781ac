"""The page on deployment names services of the compose file that there are."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "deploy.md").read_text()
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_every_service_of_the_compose_file_is_there() -> None:
    named = re.findall(r"^docker compose (?:exec (?:-u \w+ )?|kill )(\w+)", PAGE, re.MULTILINE)
    assert len(named) > 3
    assert set(named) <= set(SERVICES)
