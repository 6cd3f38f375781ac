"""What was committed before, as whoever types a command sees it; etcd has forgotten its own old revisions."""

import json
import re

import pytest

from clusterd.document import parse
from tests.clusterd.command_line import CommandLine
from tests.clusterd.examples import MANUAL, manual
from tests.store.etcd_server import etcdctl

pytestmark = pytest.mark.etcd

RS1 = "virtuals/web/servers/rs1/weight"


@pytest.fixture
def past(clusterd: CommandLine) -> CommandLine:
    """The command, after four commits and a compaction."""
    clusterd.begin()
    clusterd("set", f"{RS1}=5", "--yes", "-m", "stronger now", SUDO_USER="alice")
    clusterd("set", "virtuals/web/servers/rs3=", "virtuals/web/port=81", "--yes")
    clusterd("set", "virtuals/web/port=82", "--yes", "-m", "red \x1b[31m")
    answer = json.loads(etcdctl(clusterd.endpoint, "get", clusterd.keys.head, "-w", "json"))
    etcdctl(clusterd.endpoint, "compact", "--physical", str(answer["header"]["revision"]))
    return clusterd


def rewrite(clusterd: CommandLine, number: int, old: str, new: str) -> None:
    """Alter a record by hand."""
    key = clusterd.keys.history(number)
    value = etcdctl(clusterd.endpoint, "get", "--print-value-only", key).rstrip("\n")
    assert old in value
    etcdctl(clusterd.endpoint, "put", key, value.replace(old, new))


def test_a_commit_is_shown_with_who_from_where_when_why_and_what(past: CommandLine) -> None:
    lines = past("show-commit", "2").out.splitlines()
    assert lines[0] == "commit 2"
    assert re.fullmatch(r"author:  alice@\S+ \(as \S+\)", lines[1])
    assert re.fullmatch(r"process: \d+ on \S+", lines[2])
    assert re.fullmatch(r"time:    \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", lines[3])
    assert lines[4] == "why:     stronger now"
    assert re.fullmatch(r"hash:    [0-9a-f]{64}", lines[5])
    assert lines[6:] == ["", f"~ {RS1}: 2 -> 5"]
    assert past("show-commit", "3").out.splitlines()[4] == "why:     (not said)"
    assert past("show-commit", "4").out.splitlines()[4] == "why:     red \\u001b[31m"
    found = past("show-commit", "2", "--json").json
    assert (found["number"], found["message"], found["author"]["sudo_user"]) == (2, "stronger now", "alice")
    assert found["diff"] == [{"path": RS1, "before": 2, "after": 5}]
    assert found["changes"]["virtuals/web"]["before"]["servers"]["rs1"]["weight"] == 2


def test_a_commit_that_never_was_or_whose_record_is_missing_is_told(past: CommandLine) -> None:
    for command in ("show-commit", "rollback"):
        ended = past(command, "9", *(["--yes"] if command == "rollback" else []))
        assert (ended.code, ended.err) == (1, "there is no commit 9; the last one is 4\n")
        assert past(command, "0").code == 2
    etcdctl(past.endpoint, "del", past.keys.history(2))
    assert past("show-commit", "2").err == "the record of commit 2 is missing; see `clusterd audit verify`\n"
    ended = past("rollback", "1", "--yes")
    assert (ended.code, "the record of commit 2 is missing, so what was before" in ended.err) == (1, True)
    assert past("rollback", "2", "--yes").code == 0


def test_diff_compares_commits_now_and_files(past: CommandLine) -> None:
    assert past("diff", "1", "2").out == f"~ {RS1}: 2 -> 5\n"
    assert past("diff", "2", "1").out == f"~ {RS1}: 5 -> 2\n"
    assert past("diff", "2").out == "~ virtuals/web/port: 80 -> 82\n- virtuals/web/servers/rs3\n"
    assert past("diff").out == "~ virtuals/web/port: 81 -> 82\n"
    assert past("diff", "4").out == ""
    assert past("diff", "0", "1").out.startswith("+ ") or "masquerade" in past("diff", "0", "1").out
    file = past.file("manual.yaml", MANUAL)
    assert past("diff", "1", file).out == ""
    assert f"~ {RS1}: 5 -> 2\n" in past("diff", file).out
    assert past("diff", "2", "-", "--json", given=MANUAL).json == {
        "from": "2",
        "to": "-",
        "changes": [{"path": RS1, "before": 5, "after": 2}],
    }
    assert past("diff", "1", "9").err == "there is no commit 9; the last one is 4\n"
    assert past("diff", "/no/such/file").code == 2
    assert past("diff", past.file("bad.yaml", "routers: 5")).err.startswith("line 1: routers: ")


def test_rollback_brings_an_earlier_document_back_as_a_new_commit(past: CommandLine) -> None:
    dry = past("rollback", "1", "--dry-run")
    assert f"~ {RS1}: 5 -> 2\n" in dry.out
    ended = past("rollback", "1", "--yes")
    assert ended.code == 0
    assert ended.out.startswith("commit 5: ")
    assert parse(past("show").out) == manual()
    assert past("log", "-n", "1").out.rstrip().endswith("back to commit 1")
    assert past("rollback", "4", "--yes", "-m", "after all").code == 0
    assert past("diff", "4").out == ""
    assert past("log", "-n", "1").out.rstrip().endswith("after all")
    assert past("rollback", "6", "--yes").out == "nothing to change: this is what commit 6 left\n"


def test_rollback_asks_and_has_the_brakes(clusterd: CommandLine) -> None:
    assert clusterd("init").code == 0
    assert clusterd("apply", "-f", "-", "--yes", given=MANUAL).code == 0
    mail = "virtuals/mail={address: 1.2.3.5/24, interface: eth0, port: 25}"
    assert clusterd("set", mail, "--yes").code == 0
    assert clusterd("rollback", "1").code == 2
    ended = clusterd("rollback", "1", "--yes")
    assert (ended.code, "this takes 3 of 3 real servers out of service" in ended.err) == (5, True)
    assert clusterd("rollback", "1", "--yes", "--force").code == 0
    assert clusterd("show").out == "{}\n"


def test_blame_names_the_last_commit_of_each_field(past: CommandLine) -> None:
    lines = past("blame", "virtuals/web").out.splitlines()
    by_path = {line.split("  ")[-2 if line.endswith(")") else -1].partition(":")[0]: line for line in lines}
    assert by_path["virtuals/web/port"].startswith("   4  ")
    assert by_path["virtuals/web/port"].endswith("virtuals/web/port: 82  (red \\u001b[31m)")
    assert by_path["virtuals/web/interface"].startswith("   1  ")
    assert "alice@" in by_path[RS1]
    assert not any("rs3" in line for line in lines)
    assert [(each["path"], each["commit"], each["value"]) for each in past("blame", RS1, "--json").json] == [
        (RS1, 2, 5)
    ]
    assert past("blame", "/virtuals/web/servers/rs3/").out.endswith("- virtuals/web/servers/rs3\n")
    assert past("blame", "virtuals/web/scheduler").out.endswith("  virtuals/web/scheduler: wlc\n")
    assert past("blame").out.count("\n") > len(lines)


def test_blame_of_what_nobody_ever_set_or_what_never_was(past: CommandLine) -> None:
    ended = past("blame", "cluster/on_store_loss")
    assert (ended.code, ended.err) == (1, "cluster/on_store_loss: nobody ever set it: failsafe is the default\n")
    ended = past("blame", "virtuals/wbe")
    assert (ended.code, ended.err) == (1, "virtuals/wbe: is not there; did you mean web?\n")
    ended = past("blame", "virtuals/web/prot")
    assert (ended.code, ended.err) == (1, "virtuals/web/prot: is not there; did you mean port?\n")
    etcdctl(past.endpoint, "del", past.keys.history(2))
    assert "warning: records are missing" in past("blame", RS1).err


def test_a_whole_history_is_told(past: CommandLine) -> None:
    assert past("audit", "verify").out == "the history is whole: 4 commits\n"
    assert past("audit", "verify", "--json").json == {"whole": True, "commits": 4, "findings": []}


def test_an_altered_a_missing_and_an_unreadable_record_are_named(past: CommandLine) -> None:
    rewrite(past, 2, "stronger now", "weaker now")
    ended = past("audit", "verify")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "record 2 was altered: its hash is not that of its content\n"
    assert past("--json", "audit", "verify").json["findings"] == [ended.err.strip()]
    rewrite(past, 2, "weaker now", "stronger now")
    assert past("audit", "verify").code == 0
    etcdctl(past.endpoint, "del", past.keys.history(3))
    ended = past("audit", "verify")
    assert (ended.code, ended.err) == (1, "record 3 is missing\n")
    etcdctl(past.endpoint, "put", past.keys.history(3), "oops")
    ended = past("audit", "verify")
    assert ended.code == 1
    assert ended.err.startswith(f"record 3 was altered: {past.keys.history(3)}: not a")


def test_a_head_that_is_missing_or_no_head_is_named(past: CommandLine) -> None:
    etcdctl(past.endpoint, "put", past.keys.head, "oops")
    assert past("audit", "verify").err == f"{past.keys.head}: not a head that clusterd wrote\n"
    etcdctl(past.endpoint, "del", past.keys.head)
    ended = past("audit", "verify")
    assert (ended.code, ended.err.startswith(f"{past.keys.head}: is not there")) == (1, True)
