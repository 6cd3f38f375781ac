"""The page on weights is true: its document is valid, its options are there, and it names every factor's key."""

import re
from pathlib import Path

from clusterd import document
from clusterd.model import Load
from watchers.agent import main

PAGE = (Path(__file__).parent.parent / "docs" / "weights.md").read_text()


def test_the_document_is_valid() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert document.parse(text).virtuals["web"].load.source == "agent"


def test_the_options_of_the_agent_are_there() -> None:
    known = {option for parameter in main.params for option in parameter.opts}
    assert {"--drain", "--undrain", "--server", "--linger-s", "-m"} <= known
    said = re.findall(r"clusterd-agent (.*?)`|^clusterd-agent (.*)$|taken back by `(.*?)`", PAGE, re.MULTILINE)
    assert {word for each in said for text in each for word in text.split() if word.startswith("-")} <= known


def test_every_source_and_what_steers_is_named() -> None:
    for name in ("agent", "ssh", "http", "rup", "ruptime"):
        assert f"`{name}`" in PAGE
    for name in set(Load.model_fields) - {"source", "timeout_s", "controller"}:
        assert name in PAGE, name
