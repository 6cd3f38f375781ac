"""Commits that are to be confirmed, and what was written past the commits, as whoever types a command meets them."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from clusterd.pending import parsed
from tests.clusterd.command_line import CommandLine
from tests.store.etcd_server import etcdctl

pytestmark = pytest.mark.etcd

CHANGE = ("set", "virtuals/web/servers/rs1/weight=5", "--yes")


def begin(clusterd: CommandLine) -> None:
    """Make the first commit, and have a router alive."""
    clusterd.begin()
    etcdctl(clusterd.endpoint, "put", clusterd.keys.router("r1"), "{}")


def key(clusterd: CommandLine, name: str) -> str:
    return etcdctl(clusterd.endpoint, "get", "--print-value-only", clusterd.keys.prefix + name).strip()


def test_a_commit_to_be_confirmed_says_until_when_and_leaves_a_key_for_the_routers(clusterd: CommandLine) -> None:
    begin(clusterd)
    ended = clusterd(*CHANGE, "--confirmed", "60")
    assert ended.code == 0
    pending = parsed("", key(clusterd, "pending/00000002").encode())
    assert abs(pending.due - datetime.now(UTC) - timedelta(seconds=60)) < timedelta(seconds=20)
    assert pending.reason == "confirm"
    assert ended.out.splitlines()[-1] == pending.told()


def test_confirm_keeps_it(clusterd: CommandLine) -> None:
    begin(clusterd)
    clusterd(*CHANGE, "--confirmed", "60")
    wrong = clusterd("confirm", "1")
    assert (wrong.code, wrong.err) == (1, "commit 1 does not wait for confirmation; these do: 2\n")
    ended = clusterd("confirm")
    assert (ended.code, ended.out) == (0, "commit 2 stays\n")
    assert key(clusterd, "pending/00000002") == ""


def test_confirm_tells_programs_what_it_kept(clusterd: CommandLine) -> None:
    begin(clusterd)
    clusterd(*CHANGE, "--confirmed", "60")
    assert clusterd("--json", "confirm", "2").json == {"confirmed": 2}


def test_where_several_wait_confirm_wants_to_know_which(clusterd: CommandLine) -> None:
    begin(clusterd)
    clusterd(*CHANGE, "--confirmed", "60")
    clusterd("set", "virtuals/web/servers/rs1/weight=6", "--yes", "--confirmed", "60")
    ended = clusterd("confirm")
    assert (ended.code, ended.err) == (1, "commits 2, 3 wait for confirmation: say which one is to stay\n")
    assert clusterd("confirm", "3").out == "commit 3 stays\n"


def test_where_no_router_is_alive_nothing_is_promised(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd(*CHANGE, "--confirmed", "60")
    assert ended.code == 5
    assert "no router is alive, so nobody would undo it" in ended.err
    assert clusterd(*CHANGE, "--confirmed", "1", "--force").code == 0
    time.sleep(1.1)
    assert "its time was over at" in clusterd("confirm").out


def test_without_a_commit_that_waits_confirm_says_so(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd("confirm")
    assert (ended.code, ended.out) == (1, "")
    assert "no commit waits for confirmation" in ended.err


def test_a_dry_run_and_an_unchanged_document_leave_nothing_pending(clusterd: CommandLine) -> None:
    clusterd.begin()
    assert clusterd(*CHANGE, "--confirmed", "60", "--dry-run").code == 0
    assert clusterd("set", "virtuals/web/servers/rs1/weight=2", "--yes", "--confirmed", "60").code == 0
    assert key(clusterd, "pending/00000002") == ""


def alter(clusterd: CommandLine, weight: object) -> None:
    """Change an object with etcdctl, past the commits."""
    web = json.loads(key(clusterd, "config/1/virtuals/web"))
    web["servers"]["rs1"]["weight"] = weight
    etcdctl(clusterd.endpoint, "put", clusterd.keys.prefix + "config/1/virtuals/web", json.dumps(web))


def test_adopt_commits_what_somebody_wrote_past_the_commits(clusterd: CommandLine) -> None:
    clusterd.begin()
    alter(clusterd, 9)
    assert "weight: 2" in clusterd("show").out
    ended = clusterd("adopt", "--yes", "-m", "it was meant")
    assert (ended.code, ended.out) == (0, "commit 2: virtuals/web/servers/rs1/weight 2 -> 9\n")
    assert ended.err == (
        "warning: virtuals/web in etcd is not what was committed; the value in etcd becomes committed\n"
    )
    assert clusterd("--json", "log", "-n", "1").json[0]["message"] == "it was meant"
    assert "weight: 9" in clusterd("show").out
    assert clusterd("set", "virtuals/web/scheduler=rr", "--yes").err == ""


def test_adopt_undo_writes_the_committed_values_back(clusterd: CommandLine) -> None:
    clusterd.begin()
    alter(clusterd, 9)
    ended = clusterd("adopt", "--undo", "--yes")
    assert ended.code == 0
    assert "a commit writes the committed value back" in ended.err
    assert ended.out == "commit 2: writes back virtuals/web\n"
    assert clusterd("--json", "log", "-n", "1").json[0]["message"] == "writes back virtuals/web"
    assert json.loads(key(clusterd, "config/1/virtuals/web"))["servers"]["rs1"]["weight"] == 2


def test_adopt_commits_settings_new_objects_and_removals(clusterd: CommandLine) -> None:
    clusterd.begin()
    config = clusterd.keys.prefix + "config/1/"
    settings = json.loads(key(clusterd, "config/1/cluster"))
    settings["heartbeat"]["deadtime_s"] = 9
    etcdctl(clusterd.endpoint, "put", config + "cluster", json.dumps(settings))
    etcdctl(clusterd.endpoint, "put", config + "routers/r7", '{"public": "1.2.3.77", "private": "192.168.1.77"}')
    etcdctl(clusterd.endpoint, "del", config + "virtuals/web")
    etcdctl(clusterd.endpoint, "put", config + "routers/r1", " " + key(clusterd, "config/1/routers/r1"))
    ended = clusterd("adopt", "--yes", "--force")
    assert ended.code == 0, ended.err
    told = [line for line in ended.err.splitlines() if line.startswith("warning:")]
    assert [line.split()[1] for line in told] == ["cluster", "routers/r7", "virtuals/web"]
    assert all(line.endswith("the value in etcd becomes committed") for line in told)
    assert "writes back" not in ended.out
    assert clusterd("adopt", "--yes").out == "nothing to change: this is what commit 2 left\n"


def test_adopt_writes_back_what_only_leaves_out_a_default(clusterd: CommandLine) -> None:
    clusterd.begin()
    web = json.loads(key(clusterd, "config/1/virtuals/web"))
    del web["scheduler"]
    etcdctl(clusterd.endpoint, "put", clusterd.keys.prefix + "config/1/virtuals/web", json.dumps(web))
    ended = clusterd("adopt", "--yes")
    assert "a commit writes the committed value back" in ended.err
    assert ended.out == "commit 2: writes back virtuals/web\n"


def test_what_an_edit_writes_back_in_passing_is_told_and_stays_in_the_history(clusterd: CommandLine) -> None:
    clusterd.begin()
    etcdctl(clusterd.endpoint, "put", clusterd.keys.prefix + "config/1/virtuals/new", "{}")
    ended = clusterd("set", "virtuals/web/port=81", "--yes", "-m", "why")
    assert ended.out == "commit 2: virtuals/web/port 80 -> 81 (writes back virtuals/new)\n"
    assert clusterd("--json", "log", "-n", "1").json[0]["message"] == "why (writes back virtuals/new)"
    assert clusterd("audit", "verify").code == 0


def test_adopt_refuses_what_is_not_valid_and_names_it(clusterd: CommandLine) -> None:
    clusterd.begin()
    alter(clusterd, -9)
    ended = clusterd("adopt", "--yes")
    assert ended.code == 1
    assert "virtuals/web/servers/rs1/weight: must be at least 0, not -9" in ended.err
    etcdctl(clusterd.endpoint, "put", clusterd.keys.prefix + "config/1/virtuals/web", "{")
    ended = clusterd("adopt", "--yes")
    assert ended.code == 1
    assert "config/1/virtuals/web: not valid JSON" in ended.err


def test_with_nothing_to_adopt_nothing_is_committed(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd("adopt", "--yes")
    assert (ended.code, ended.out) == (0, "nothing to change: this is what commit 1 left\n")
