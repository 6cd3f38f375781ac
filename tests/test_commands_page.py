"""The page on commands is about commands that there are, and about all exit codes."""

import re
from pathlib import Path

import click

from clusterd import document
from clusterd.commands import main
from clusterd.commands.exits import STOPPED, exit_code
from clusterd.errors import ConfigError, ConflictError, StoreUnavailable, UnsafeChange

PAGE = (Path(__file__).parent.parent / "docs" / "commands.md").read_text()
NAMED = re.compile(r"clusterd ([a-z-]+)")


def test_every_command_that_it_is_about_is_there() -> None:
    names = [name for line in re.findall(r"^## (clusterd .*)$", PAGE, re.MULTILINE) for name in NAMED.findall(line)]
    assert len(set(names)) > 6
    for name in names:
        assert main.get_command(click.Context(main), name), name


def test_the_programs_in_its_document_are_run_as_it_says() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert document.parse(text).settings.notify.user == "lvs-hooks"


def test_its_exit_codes_are_those_of_the_errors() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    errors = (ConfigError(()), ConflictError(), StoreUnavailable(), UnsafeChange())
    assert {exit_code(error) for error in errors} | {STOPPED} <= codes
