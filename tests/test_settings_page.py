"""The page on settings names each of them, and its example is valid."""

import re
from pathlib import Path

from clusterd import settings

PAGE = (Path(__file__).parent.parent / "docs" / "settings.md").read_text()


def test_every_setting_is_named_with_its_variable() -> None:
    for name in settings.Settings.model_fields:
        assert f"`{name}`" in PAGE, name
        assert f"`{settings.PREFIX}{name.upper()}`" in PAGE, name


def test_the_example_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "clusterd.toml"
    file.write_text(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0])
    assert settings.read(environ={settings.FILE_VARIABLE: str(file)}).router == "r1"
