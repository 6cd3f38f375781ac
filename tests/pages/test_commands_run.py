"""Every block of the kind `console`, on every page, does what it says: run in order, beside a real etcd."""

import re
from pathlib import Path

import pytest

from tests.pages.blocks import PAGES, Command, commands
from tests.pages.cluster import page_cluster
from tests.store.etcd_server import ETCD

LIVE = re.compile(r"clusterd (status|explain|top|plan|events|switchover|pause|show-commit)|--wait|--confirmed")
BEGIN = Command("clusterd init -f cluster.yaml --yes", 0, 0)
WITH_COMMANDS = [page for page in PAGES if commands(page.read_text())]


def test_some_pages_have_commands() -> None:
    assert len(WITH_COMMANDS) > 3


@pytest.mark.etcd
@pytest.mark.skipif(ETCD is None, reason="the etcd program is not on PATH")
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_the_commands_of_a_page_end_as_it_says(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    typed = commands(text)
    if not any(command.typed.startswith("clusterd init") for command in typed):
        typed.insert(0, BEGIN)
    live = any(LIVE.search(command.typed) for command in typed)
    with page_cluster(tmp_path, text, live) as cluster:
        for command in typed:
            printed = cluster.run(command.typed, command.code)
            assert command.headings <= set(printed.split()), f"{page.name}:{command.line}: {printed}"
            assert printed.strip() or not command.shown, f"{page.name}:{command.line}: says nothing"
            if live and command.typed.startswith("clusterd init"):
                cluster.settle()
