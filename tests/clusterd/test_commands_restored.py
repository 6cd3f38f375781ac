"""clusterd adopt --restored, show --last-good: etcd lost commits that routers follow."""

import json
from pathlib import Path

import pytest

from clusterd.document import objects
from tests.clusterd.command_line import CommandLine
from tests.clusterd.examples import manual
from tests.store.etcd_server import etcdctl

pytestmark = pytest.mark.etcd


def follows(clusterd: CommandLine, router: str, number: int, commit_hash: str) -> None:
    """Have a router say that it follows a commit."""
    value = json.dumps({"follows": {"number": number, "hash": commit_hash}})
    etcdctl(clusterd.endpoint, "put", clusterd.keys.router(router), value)


def head_hash(clusterd: CommandLine) -> str:
    head = json.loads(etcdctl(clusterd.endpoint, "get", "--print-value-only", clusterd.keys.head))
    return str(head["hash"])


def given_up(clusterd: CommandLine) -> list[str]:
    listed = etcdctl(clusterd.endpoint, "get", "--prefix", "--keys-only", clusterd.keys.adopted_prefix)
    return [line.rpartition("/")[2] for line in listed.split()]


def test_commits_that_etcd_does_not_have_are_given_up_and_others_are_not(clusterd: CommandLine) -> None:
    clusterd.begin()
    behind = head_hash(clusterd)
    assert clusterd("set", "virtuals/web/port=81", "--yes").code == 0
    for router, number, commit_hash in (("r1", 7, "lost"), ("r2", 1, behind), ("r3", 2, "other")):
        follows(clusterd, router, number, commit_hash)
    ended = clusterd("adopt", "--restored", "--yes")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == [
        "router r1 follows commit 7, which this etcd does not have: it is to follow commit 2",
        "router r3 follows commit 2, which this etcd does not have: it is to follow commit 2",
        "done: they follow it within a second",
    ]
    assert given_up(clusterd) == ["lost", "other"]
    kept = json.loads(etcdctl(clusterd.endpoint, "get", "--print-value-only", clusterd.keys.adopted("lost")))
    assert (kept["number"], kept["instead"]) == (7, 2)
    assert kept["by"]
    assert clusterd("audit", "verify").code == 0


def test_a_dry_run_tells_and_changes_nothing(clusterd: CommandLine) -> None:
    clusterd.begin()
    follows(clusterd, "r1", 7, "lost")
    told = clusterd("--json", "adopt", "--restored", "--dry-run").json
    assert told == {"commit": 1, "given_up": {"r1": {"number": 7, "hash": "lost"}}, "done": False}
    assert given_up(clusterd) == []


def test_where_routers_follow_what_etcd_has_there_is_nothing_to_adopt(clusterd: CommandLine) -> None:
    clusterd.begin()
    etcdctl(clusterd.endpoint, "put", clusterd.keys.router("old"), '{"role": "backup"}')
    follows(clusterd, "r1", 1, head_hash(clusterd))
    ended = clusterd("adopt", "--restored", "--yes")
    assert (ended.code, ended.out) == (
        0,
        "nothing to adopt: every router that is alive follows a commit that this etcd has\n",
    )


def committed(clusterd: CommandLine, number: int) -> None:
    """Have so many commits."""
    clusterd.begin()
    for port in range(100, 100 + number - 1):
        assert clusterd("set", f"virtuals/web/port={port}", "--yes").code == 0


def refusing(clusterd: CommandLine, seen: int) -> None:
    """Have a router that followed seven commits, and since etcd was restored sees this one there."""
    told = {"head": seen, "applied": 7, "follows": {"number": 7, "hash": "lost"}, "converged": True, "role": "active"}
    etcdctl(clusterd.endpoint, "put", clusterd.keys.router("r1"), json.dumps(told))


@pytest.mark.parametrize("number", [2, 7])  # the second one has the number of the one that was lost
def test_a_router_that_follows_a_commit_which_was_lost_has_not_applied_the_last_one(
    clusterd: CommandLine, number: int
) -> None:
    committed(clusterd, number)
    refusing(clusterd, number)
    ended = clusterd("status", "--json")
    assert (ended.code, ended.json["late"]) == (6, ["r1 follows commit 7, which this etcd does not have"])


@pytest.mark.parametrize("number", [3, 7])
def test_waiting_does_not_end_for_a_router_that_follows_a_commit_which_was_lost(
    clusterd: CommandLine, number: int
) -> None:
    committed(clusterd, number - 1)
    refusing(clusterd, number)
    ended = clusterd("set", "virtuals/web/servers/rs1/weight=7", "--yes", "--wait=0.3")
    assert ended.code == 6
    assert ended.err == (
        f"commit {number} is done, but not applied everywhere after 0.3 s: "
        "r1 follows commit 7, which this etcd does not have (`clusterd adopt --restored`)\n"
    )


def test_a_router_that_is_ahead_of_whoever_asks_has_applied_what_is_asked_for(clusterd: CommandLine) -> None:
    clusterd.begin()
    told = {"head": 7, "applied": 7, "follows": {"number": 7, "hash": "newer"}, "role": "active"}
    etcdctl(clusterd.endpoint, "put", clusterd.keys.router("r1"), json.dumps(told))
    assert clusterd("set", "virtuals/web/port=81", "--yes", "--wait=0.3").code == 0


def test_without_a_person_or_yes_nothing_is_given_up(clusterd: CommandLine) -> None:
    clusterd.begin()
    follows(clusterd, "r1", 7, "lost")
    assert clusterd("adopt", "--restored").code != 0
    assert clusterd("adopt", "--restored", "--undo", "--yes").code == 2
    assert given_up(clusterd) == []


def test_what_a_router_followed_is_shown_without_etcd(clusterd: CommandLine, tmp_path: Path) -> None:
    kept = tmp_path / "main.json"
    kept.write_text(json.dumps({"number": 5, "objects": objects(manual())}))
    shown = clusterd("--endpoints", "http://127.0.0.1:1", "show", "--last-good", str(kept))
    assert shown.code == 0, shown.err
    clusterd.file("kept.yaml", shown.out)
    assert clusterd("init", "-f", str(clusterd.folder / "kept.yaml"), "--yes").code == 0
    assert clusterd("show").out == shown.out
    assert clusterd("show", "--last-good", str(kept), "virtuals/web/port").out == "80\n"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"objects": 5}', '{"objects": {"virtuals/web": 5}}'])
def test_a_file_that_no_router_kept_is_named(clusterd: CommandLine, tmp_path: Path, content: str) -> None:
    file = tmp_path / "main.json"
    assert str(file) in clusterd("show", "--last-good", str(file)).err
    file.write_text(content)
    ended = clusterd("show", "--last-good", str(file))
    assert (ended.code, bool(ended.err)) == (1, True)
