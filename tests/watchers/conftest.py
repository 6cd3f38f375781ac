"""Fixtures for the tests of the services."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which anybody may write."""
    for each in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        each.chmod(each.stat().st_mode | 0o011)
    tmp_path.chmod(0o777)
    return tmp_path
