"""A snapshot of etcd, restored on all three members: the cluster is what it was, with its whole history."""

from pathlib import Path

import pytest

from tests.clusterd.command_line import CommandLine
from tests.store.etcd_server import Member, etcdctl


@pytest.mark.etcd
def test_a_restored_snapshot_has_every_commit_until_then_and_takes_new_ones(
    members: tuple[Member, ...], folder_for_snapshots: Path
) -> None:
    clusterd = CommandLine(",".join(member.endpoint for member in members), "saved", folder_for_snapshots)
    clusterd.begin()
    assert clusterd("set", "virtuals/web/port=81", "--yes", "-m", "kept").code == 0
    kept = clusterd("show").out
    snapshot = folder_for_snapshots / "snapshot.db"
    etcdctl(members[0].endpoint, "snapshot", "save", str(snapshot))
    assert clusterd("set", "virtuals/web/port=82", "--yes", "-m", "lost").code == 0

    for member in members:
        member.finish()
        member.restore(snapshot)
    for member in members:
        member.launch()
    for member in members:
        member.wait()

    assert clusterd("show").out == kept
    assert [entry["message"] for entry in clusterd("log", "--json").json] == ["kept", ""]
    assert clusterd("audit", "verify").code == 0
    assert clusterd("set", "virtuals/web/port=83", "--yes", "-m", "new").code == 0
    assert [entry["message"] for entry in clusterd("log", "--json").json] == ["new", "kept", ""]
    assert clusterd("audit", "verify").code == 0
