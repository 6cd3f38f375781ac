"""The page on commands names commands that there are, with options that they have, and its document is valid."""

import re
from pathlib import Path

import click

from clusterd import document
from clusterd.commands import main
from clusterd.commands.exits import STOPPED, exit_code
from clusterd.errors import ConfigError, ConflictError, StoreUnavailable, UnsafeChange

PAGE = (Path(__file__).parent.parent / "docs" / "commands.md").read_text()


def command(name: str) -> click.Command:
    found = main.get_command(click.Context(main), name)
    assert found, name
    return found


def test_every_command_that_it_is_about_is_there() -> None:
    names = re.findall(r"^\$ clusterd (\S+)", PAGE, re.MULTILINE)
    for line in re.findall(r"^## (clusterd .*)$", PAGE, re.MULTILINE):
        names += re.findall(r"clusterd ([a-z-]+)", line)
    assert len(set(names)) > 6
    for name in names:
        command(name)


def test_the_options_in_its_examples_are_those_of_the_commands() -> None:
    for name, rest in re.findall(r"^\$ clusterd (\S+)(.*)$", PAGE, re.MULTILINE):
        known = {option for parameter in command(name).params for option in parameter.opts}
        assert {word for word in rest.partition("|")[0].split() if word.startswith("-")} <= known


def test_the_document_in_it_is_valid() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert document.parse(text).settings.notify.user == "lvs-hooks"


def test_its_exit_codes_are_those_of_the_errors() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    errors = (ConfigError(()), ConflictError(), StoreUnavailable(), UnsafeChange())
    assert {exit_code(error) for error in errors} | {STOPPED} <= codes
