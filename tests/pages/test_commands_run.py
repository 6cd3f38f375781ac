"""Every block of the kind `console`, on every page, does what it says: run in order, beside a real etcd."""

from pathlib import Path

import pytest

from tests.pages.blocks import PAGES, commands
from tests.pages.cluster import page_cluster
from tests.store.etcd_server import ETCD

WITH_COMMANDS = [page for page in PAGES if commands(page.read_text())]


def test_some_pages_have_commands() -> None:
    assert len(WITH_COMMANDS) > 3


@pytest.mark.etcd
@pytest.mark.skipif(ETCD is None, reason="the etcd program is not on PATH")
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_the_commands_of_a_page_end_as_it_says(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    typed = commands(text)
    begins = any(command.typed.startswith("clusterd init") for command in typed)
    with page_cluster(tmp_path, text, begun=not begins) as cluster:
        for command in typed:
            printed = cluster.run(command.typed, command.code)
            for heading in command.headings:
                assert heading in printed.split(), (
                    f"{page.name}:{command.line}: {command.typed} has no column {heading}"
                )
            if command.typed.startswith("clusterd init"):
                cluster.settle()
