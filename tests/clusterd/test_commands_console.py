"""`clusterd console user`: the console's users, as whoever types the command meets them."""

import pytest

from clusterd.console_users import User, fits
from tests.clusterd import live
from tests.clusterd.command_line import CommandLine, Ended
from tests.clusterd.terminal import Terminal

pytestmark = pytest.mark.etcd


def kept(clusterd: CommandLine, name: str) -> User:
    return User.model_validate(live.value(clusterd, clusterd.keys.console_user(name)))


def with_password(clusterd: CommandLine, word: str, *arguments: str) -> Ended:
    return clusterd("console", "user", *arguments, "--password-file", clusterd.file("word", f"{word}\n"))


def test_a_user_is_added_shown_changed_and_removed(clusterd: CommandLine) -> None:
    assert with_password(clusterd, "correct horse", "add", "alice", "--role", "admin").code == 0
    assert clusterd("console", "user", "add", "bob", "--no-password").code == 0
    assert fits(kept(clusterd, "alice"), "correct horse")
    shown = clusterd("console", "user", "list").out.splitlines()
    assert shown[0].startswith("alice  admin  since ")
    assert shown[1].endswith(", by the proxy only")
    listed = clusterd("console", "user", "list", "--json").json
    assert [(one["name"], one["role"]) for one in listed] == [("alice", "admin"), ("bob", "viewer")]
    assert "hash" not in listed[0]
    assert clusterd("console", "user", "set", "bob", "--role", "operator").code == 0
    assert with_password(clusterd, "another horse", "set", "alice").code == 0
    assert fits(kept(clusterd, "alice"), "another horse")
    assert clusterd("console", "user", "remove", "bob").code == 0
    assert [one["name"] for one in clusterd("console", "user", "list", "--json").json] == ["alice"]


def test_the_password_is_asked_for_at_a_terminal_and_not_shown(clusterd: CommandLine) -> None:
    with Terminal(clusterd, "console", "user", "add", "alice", "--role", "admin") as terminal:
        terminal.until("password: ")
        terminal.type("correct horse\n")
        terminal.until("Repeat for confirmation: ")
        terminal.type("correct horse\n")
        assert terminal.end() == 0
    assert "horse" not in terminal.seen
    assert fits(kept(clusterd, "alice"), "correct horse")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("add", "alice"), 2, "use --password-file"),
        (("add", "alice", "--password-file", "/nowhere"), 2, "cannot read /nowhere"),
        (("add", "boss", "--no-password"), 1, "there is a user boss already"),
        (("set", "boss"), 2, "nothing to change"),
        (("set", "carol", "--role", "viewer"), 1, "there is no user carol"),
        (("remove", "boss"), 1, "boss is the only admin"),
    ],
)
def test_what_cannot_be_done_is_told(clusterd: CommandLine, arguments: tuple[str, ...], code: int, told: str) -> None:
    clusterd("console", "user", "add", "boss", "--role", "admin", "--no-password")
    before = clusterd.state()
    ended = clusterd("console", "user", *arguments)
    assert (ended.code, told in ended.err) == (code, True)
    assert clusterd.state() == before
