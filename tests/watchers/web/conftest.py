"""Fixtures: a console upon a store in memory."""

from pathlib import Path

import pytest

from tests.watchers.web.rig import Rig


@pytest.fixture
async def rig(tmp_path: Path) -> Rig:
    """The manual's cluster, with a user of each role who is called like it."""
    made = Rig(tmp_path)
    await made.begin()
    return made
