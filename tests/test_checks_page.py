"""The page on checks has an example of every type, and each of them is valid."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from clusterd import document
from clusterd.checks import kinds

PAGE = (Path(__file__).parent.parent / "docs" / "checks.md").read_text()
EXAMPLES: list[str] = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
WEB = "virtuals:\n  web:\n    address: 10.0.0.1/24\n    interface: eth0\n    port: 80\n"


def check(example: str) -> Any:
    indented = "".join(f"    {line}\n" for line in example.splitlines())
    return document.parse(WEB + indented).virtuals["web"].check


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_valid(example: str) -> None:
    assert check(example).interval_s > 0


def test_every_type_of_check_has_an_example() -> None:
    types = {name for kind in kinds() for name in get_args(kind.model_fields["type"].annotation)}
    assert types - {check(example).type for example in EXAMPLES} == {"http"}
    assert "## http and https" in PAGE
