"""One real server goes out of service, and comes back."""

from datetime import UTC, datetime, timedelta

import pytest

from clusterd.pending import parsed
from tests.clusterd.command_line import CommandLine
from tests.clusterd.terminal import Terminal
from tests.store.etcd_server import etcdctl

pytestmark = pytest.mark.etcd

RS1 = "virtuals/web/servers/rs1"


def test_a_server_is_drained_disabled_and_enabled_again(clusterd: CommandLine) -> None:
    clusterd.begin()
    assert clusterd("drain", "web/rs1", "--yes", "-m", "new kernel").out == f"commit 2: {RS1}/drain false -> true\n"
    assert clusterd("disable", "web/rs1", "--yes").out == f"commit 3: {RS1}/enabled true -> false\n"
    ended = clusterd("enable", RS1, "--yes", "--json")
    assert {change["path"]: change["after"] for change in ended.json["changes"]} == {
        f"{RS1}/enabled": True,
        f"{RS1}/drain": False,
    }
    assert clusterd("enable", "web/rs1", "--yes").out == "nothing to change: this is what commit 4 left\n"


def test_it_is_asked_about_like_every_edit(clusterd: CommandLine) -> None:
    clusterd.begin()
    assert clusterd("drain", "web/rs1").code == 2
    assert clusterd("drain", "web/rs1", "--dry-run").out.startswith(f"~ {RS1}/drain: false -> true\n")
    with Terminal(clusterd, "drain", "web/rs1") as terminal:
        terminal.until("commit this? [y/N]")
        terminal.type("y\n")
        assert terminal.end() == 0


def test_for_a_time_only_leaves_a_key_for_the_routers(clusterd: CommandLine) -> None:
    clusterd.begin()
    etcdctl(clusterd.endpoint, "put", clusterd.keys.router("r1"), "{}")  # who will undo it
    ended = clusterd("drain", "web/rs1", "--for", "1h30m", "--yes")
    key = clusterd.keys.pending(2)
    pending = parsed(key, etcdctl(clusterd.endpoint, "get", "--print-value-only", key).encode())
    assert abs(pending.due - datetime.now(UTC) - timedelta(minutes=90)) < timedelta(seconds=20)
    assert pending.reason == "expire"
    assert ended.out.splitlines()[-1] == pending.told()


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("wbe/rs1",), 1, "virtuals/wbe: is not there; did you mean web?"),
        (("web/rs9",), 1, "virtuals/web/servers/rs9: is not there; did you mean rs"),
        (("web",), 2, "write VIRTUAL/SERVER, such as web/rs1, not 'web'"),
        (("routers/web/servers/rs1",), 2, "write VIRTUAL/SERVER"),
        (("web/rs1", "--for", "10"), 2, "'10' has no unit: write 30s, 10m"),
        (("web/rs1", "--for", "10m", "--confirmed", "60"), 2, "--for and --confirmed exclude each other"),
    ],
)
def test_what_is_wrong_is_named(clusterd: CommandLine, arguments: tuple[str, ...], code: int, problem: str) -> None:
    clusterd.begin()
    ended = clusterd("drain", *arguments, "--yes")
    assert (ended.code, ended.out) == (code, "")
    assert problem in ended.err
