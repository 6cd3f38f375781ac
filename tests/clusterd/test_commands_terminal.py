import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.clusterd.command_line import PROGRAM, CommandLine
from tests.clusterd.terminal import LONG_S, Terminal
from tests.store.etcd_server import ETCD, Member, etcdctl

pytestmark = pytest.mark.etcd

NO_ROOM = "cannot write: No space left on device; `clusterd log` shows what is committed\n"


def started(file: Path) -> None:
    """Wait until a script made this file."""
    end_s = time.monotonic() + LONG_S
    while not file.exists():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_at_a_terminal_the_change_is_shown_and_asked_about(clusterd: CommandLine) -> None:
    clusterd.begin()
    with Terminal(clusterd, "set", "virtuals/web/port=81") as terminal:
        terminal.until("commit this? [y/N]")
        assert "~ virtuals/web/port: 80 -> 81" in terminal.seen
        terminal.type("y\n")
        assert terminal.end() == 0
        assert "commit 2: virtuals/web/port 80 -> 81" in terminal.seen


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04"])
def test_whoever_does_not_say_yes_commits_nothing(clusterd: CommandLine, answer: str) -> None:
    clusterd.begin()
    with Terminal(clusterd, "set", "virtuals/web/port=81") as terminal:
        terminal.until("commit this?")
        terminal.type(answer)
        assert terminal.end() == 130
        assert "stopped: nothing was committed" in terminal.seen
        assert clusterd("show", "virtuals/web/port").out == "80\n"


def test_saying_no_after_editing_keeps_the_text(clusterd: CommandLine) -> None:
    clusterd.begin()
    with Terminal(clusterd, "edit", EDITOR="sed -i s/80/81/") as terminal:
        terminal.until("commit this? [y/N]: ")
        terminal.interrupt()
        assert terminal.end() == 130
        assert f"your text stays in {clusterd.kept()[0]}" in terminal.seen
        assert "port: 81" in clusterd.kept()[0].read_text()
        assert "Traceback" not in terminal.seen


def test_an_invalid_text_is_edited_again_only_if_wanted(clusterd: CommandLine) -> None:
    clusterd.begin()
    with Terminal(clusterd, "edit", EDITOR="sed -i s/weight:.2/weight:\\ -2/") as terminal:
        terminal.until("this is not valid; edit again? [Y/n]")
        assert "virtuals/web/servers/rs1/weight: must be at least 0, not -2" in terminal.seen
        terminal.type("\n")
        terminal.until("[Y/n]: \r\n")
        terminal.until("edit again? [Y/n]: \r\nline")
        terminal.type("n\n")
        assert terminal.end() == 1
        assert "#!" not in clusterd.kept()[0].read_text()


def test_ctrl_c_in_the_editor_ends_with_130_and_keeps_what_was_typed(clusterd: CommandLine) -> None:
    clusterd.begin()
    ready = clusterd.folder / "ready"
    editor = clusterd.script(f'sed -i s/80/81/ "$1"; touch {ready}; exec sleep 60')
    process = clusterd.start(
        "edit",
        "--yes",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        variables={"EDITOR": editor},
    )
    started(ready)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=LONG_S)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "stopped"
    (kept,) = clusterd.kept()
    assert f"your text stays in {kept}" in err
    assert "port: 81" in kept.read_text()
    assert "Traceback" not in err


def test_an_editor_that_takes_ctrl_c_as_a_key_is_not_disturbed(clusterd: CommandLine) -> None:
    clusterd.begin()
    ready = clusterd.folder / "ready"
    editor = clusterd.script(f"trap '' INT; touch {ready}; sleep 1; sed -i s/80/81/ \"$1\"")
    with Terminal(clusterd, "edit", "--yes", EDITOR=editor) as terminal:
        started(ready)
        terminal.interrupt()
        assert terminal.end() == 0
        assert "commit 2: virtuals/web/port 80 -> 81" in terminal.seen


def test_waiting_shows_who_is_missing_and_ctrl_c_says_that_the_commit_is_done(clusterd: CommandLine) -> None:
    clusterd.begin()
    etcdctl(clusterd.endpoint, "put", clusterd.keys.router("r1"), '{"applied": 1}')
    with Terminal(clusterd, "set", "virtuals/web/port=81", "--yes", "--wait") as terminal:
        terminal.until("commit 2: r1 is at commit 1")
        terminal.interrupt()
        assert terminal.end() == 130
        assert "stopped waiting; commit 2 is done" in terminal.seen


def test_a_reader_that_goes_away_is_no_error(clusterd: CommandLine) -> None:
    clusterd.begin()
    with clusterd.start("show", "-o", "json", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.parametrize(
    "command", [("show",), ("show", "-o", "json"), ("log",), ("set", "virtuals/web/port=81", "-y")]
)
def test_output_that_finds_no_room_is_one_line_and_exit_code_1(clusterd: CommandLine, command: tuple[str, ...]) -> None:
    clusterd.begin()
    with Path("/dev/full").open("w") as full, clusterd.start(*command, stdout=full, stderr=subprocess.PIPE) as process:
        assert process.communicate()[1] == NO_ROOM
    assert process.returncode == 1


def test_without_a_stdout_nothing_is_done(clusterd: CommandLine) -> None:
    clusterd.begin()
    before = clusterd.state()
    for command in (("log",), ("set", "virtuals/web/port=81", "-y")):
        # a shell closes it: after a fork the child of a process that uses gRPC may print a complaint of gRPC's threads
        done = subprocess.run(
            ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM, *command],
            env=clusterd.environment,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (1, "nothing was done: stdout is closed\n")
    assert clusterd.state() == before


def test_etcd_lost_while_editing_is_exit_code_4_and_keeps_the_text(tmp_path: Path) -> None:
    if ETCD is None:
        pytest.skip("the etcd program is not on PATH (Debian: etcd-server)")
    with Member(tmp_path) as member:
        clusterd = CommandLine(member.endpoint, "lonely", tmp_path)
        clusterd.begin()
        ready, gone = tmp_path / "ready", tmp_path / "gone"
        editor = clusterd.script(f'sed -i s/80/81/ "$1"; touch {ready}; while [ ! -e {gone} ]; do sleep 0.05; done')
        process = clusterd.start("edit", "--yes", stderr=subprocess.PIPE, variables={"EDITOR": editor})
        started(ready)
        member.kill()
        gone.touch()
        before_s = time.monotonic()
        _, err = process.communicate(timeout=LONG_S)
        assert time.monotonic() - before_s < 10
        assert process.returncode == 4
        assert "nothing was written" in err
        (kept,) = clusterd.kept()
        assert f"your text stays in {kept}" in err
        member.start()
        ended = clusterd("apply", "-f", str(kept), "--yes")
        assert ended.out == "commit 2: virtuals/web/port 80 -> 81\n"
