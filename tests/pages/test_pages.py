"""What the pages say is there is there: documents, settings, commands, options, scripts, pages, headings and tests."""

import re
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest
import yaml

from clusterd import document, settings
from clusterd.commands import main
from tests.pages.blocks import DOCS, PAGES, ROOT, blocks

TEXTS = {page: page.read_text() for page in PAGES}
SOURCES = [(file.name, file.read_text()) for file in (ROOT / "tests").rglob("test_*.py")]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def headings(page: Path) -> set[str]:
    """The anchors of a page, as forges make them of its headings."""
    lines = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in lines}


def unknown(words: list[str]) -> str:
    """What of a call of clusterd is not there, "" where all is."""
    command: click.Command = main
    options = {option: each for each in command.params for option in each.opts}
    left = iter(words)
    for word in left:
        if word in ("-", "-h", "--help") or word.isupper():
            continue
        if word.startswith("-"):
            name, equals, _ = word.partition("=")
            if name not in options:
                return word
            option = options[name]
            if isinstance(option, click.Option) and not option.is_flag and not option._flag_needs_value and not equals:
                next(left, "")
        elif isinstance(command, click.Group):
            found = command.get_command(click.Context(command), word)
            if found is None:
                return word
            command = found
            options |= {option: each for each in command.params for option in each.opts}
    return ""


def calls(text: str) -> list[str]:
    """The calls of clusterd in a text: in blocks that are typed, and between backticks."""
    lines = [
        line.removeprefix("$ ") for block in blocks(text, "sh", "console", "text") for line in block.text.splitlines()
    ]
    prose = re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += re.findall(r"`(clusterd [^`\n]+)`", prose)
    return [re.split(r"[|>#;…]| && ", line)[0] for line in lines if line.startswith("clusterd ")]


@every_page
def test_every_command_has_the_options_that_are_named(page: Path) -> None:
    for call in calls(TEXTS[page]):
        assert not unknown(call.replace("'", "").replace('"', "").split()[1:]), f"{page.name}: {call}"


def test_a_command_or_an_option_that_is_not_there_is_noticed() -> None:
    assert unknown(["stauts"]) == "stauts"
    assert unknown(["auth", "steup"]) == "steup"
    assert unknown(["status", "--wach"]) == "--wach"
    assert unknown(["auth", "setup", "--operator", "alice"]) == ""
    assert calls("```sh\nclusterd a --b # c\nother\n```\nas `clusterd d` does") == ["clusterd a --b ", "clusterd d"]


@every_page
def test_every_document_is_valid(page: Path) -> None:
    for block in blocks(TEXTS[page], "yaml"):
        data = yaml.safe_load(block.text)
        if isinstance(data, dict) and {"cluster", "routers", "virtuals"} & data.keys():
            assert document.parse(block.text), f"{page.name}:{block.line}"


@every_page
def test_every_example_of_settings_is_valid(page: Path, tmp_path: Path) -> None:
    for block in blocks(TEXTS[page], "toml"):
        file = tmp_path / "clusterd.toml"
        file.write_text(block.text)
        assert settings.read(environ={settings.FILE_VARIABLE: str(file)})


@every_page
def test_every_page_heading_picture_and_script_that_is_pointed_to_is_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        name, _, anchor = target.partition("#")
        if name.startswith(("http:", "https:")):
            continue
        file = (page.parent / name) if name else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in headings(file), f"{page.name}: {target}"
    for script in set(re.findall(r"\bscript/[\w-]+", TEXTS[page])):
        assert (ROOT / script).exists(), f"{page.name}: {script}"


def test_every_page_is_named_in_the_index() -> None:
    named = TEXTS[DOCS / "index.md"]
    for page in DOCS.glob("*.md"):
        entries = re.findall(r"^[\w.*\[\]-]+$", named, re.MULTILINE)
        assert page.stem == "index" or any(fnmatch(page.stem, entry) for entry in entries), page.name


@every_page
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    named = 0
    for file, rest in re.findall(r"`(test_\w+\.py)`((?:[:,]? *`test_\w+`)*)", TEXTS[page]):
        for test in re.findall(r"`(test_\w+)`", rest):
            assert any(f"def {test}(" in source for each, source in SOURCES if each == file), f"{page.name}: {test}"
            named += 1
    assert named > 15 or page.name not in ("failures.md", "security.md")


def test_every_failure_says_what_clients_see_what_routers_do_what_to_do_and_who_tries_it() -> None:
    rows = [line for line in TEXTS[DOCS / "failures.md"].splitlines() if line.startswith("|")]
    failures = [row for row in rows if not row.startswith(("| ---", "| failure "))]
    assert len(failures) > 30
    for row in failures:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 5, row
        assert all(cells), row
        assert re.search(r"`test_\w+\.py`: `test_\w+`", cells[4]), row
