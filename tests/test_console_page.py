"""The page on the console names panels and roles that there are, and shows its pictures."""

import re
from pathlib import Path

from clusterd.console_users import ROLES
from watchers.web.drawing import HERE

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "console.md").read_text()


def test_its_pictures_are_there_and_say_what_is_on_them() -> None:
    pictures = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", PAGE)
    assert len(pictures) >= 4
    assert all(text and (DOCS / name).exists() for text, name in pictures)


def test_every_panel_and_role_is_named() -> None:
    base = (HERE / "templates" / "base.html").read_text()
    panels = [text for _, _, text in re.findall(r'\("(\w+)", "(/\w*)", "([^"]+)"\)', base)]
    assert len(panels) == 8
    for panel in (*panels, "Users"):
        assert f"| {panel} |" in PAGE
    for role in ROLES:
        assert f"| {role} |" in PAGE
