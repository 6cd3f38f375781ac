"""The README is true: its two commands are there. What else it shows is tried with all pages, in tests/pages."""

import os

from clusterd import document
from tests.pages.blocks import ROOT, blocks, manual

README = (ROOT / "README.md").read_text()


def test_the_two_commands_are_there_and_can_be_run() -> None:
    first = blocks(README, "sh")[0].text.splitlines()
    assert len(first) == 2
    for line in first:
        assert os.access(ROOT / line.split()[0], os.X_OK)


def test_its_document_is_the_manuals_cluster() -> None:
    assert set(document.parse(manual()).virtuals) == {"web"}
