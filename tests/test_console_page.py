"""The page on the console names commands, panels, roles and settings that there are, and shows its pictures."""

import re
from pathlib import Path

import click

from clusterd import settings
from clusterd.commands.console import user
from clusterd.console_users import ROLES
from watchers.web.drawing import HERE

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "console.md").read_text()


def test_its_pictures_are_there_and_say_what_is_on_them() -> None:
    pictures = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", PAGE)
    assert len(pictures) >= 4
    assert all(text and (DOCS / name).exists() for text, name in pictures)


def test_its_commands_are_there_with_their_options() -> None:
    named = re.findall(r"clusterd console user (\w+)([^`\n]*)", PAGE)
    assert {name for name, _ in named} >= {"add"}
    for name, rest in named:
        command = user.get_command(click.Context(user), name)
        assert command
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest.split() if word.startswith("--")} <= known


def test_every_panel_and_role_is_named() -> None:
    base = (HERE / "templates" / "base.html").read_text()
    panels = [text for _, _, text in re.findall(r'\("(\w+)", "(/\w*)", "([^"]+)"\)', base)]
    assert len(panels) == 8
    for panel in (*panels, "Users"):
        assert f"| {panel} |" in PAGE
    for role in ROLES:
        assert f"| {role} |" in PAGE


def test_its_settings_are_valid(tmp_path: Path) -> None:
    for number, text in enumerate(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)):
        file = tmp_path / f"{number}.toml"
        file.write_text(text)
        assert settings.read(environ={settings.FILE_VARIABLE: str(file)})
