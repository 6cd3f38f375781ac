"""What the page on failures says of an etcd whose quota is full: no commit and no claim, but leases go on."""

import subprocess
from pathlib import Path

import pytest

from tests.clusterd.command_line import CommandLine
from tests.clusterd.live import lease
from tests.store.etcd_server import ETCD, Member, etcdctl

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(ETCD is None, reason="the etcd program is not on PATH")]
QUOTA = ("--quota-backend-bytes", "300000")


def fill(member: Member) -> None:
    """Put values until etcd refuses them."""
    for _ in range(100):
        etcdctl(member.endpoint, "put", "filling", "x" * 100_000)


def test_a_full_etcd_refuses_commits_and_claims_refreshes_leases_and_takes_both_when_it_has_room(
    tmp_path: Path,
) -> None:
    with Member(tmp_path, extra=QUOTA) as member:
        clusterd = CommandLine(member.endpoint, "main", tmp_path)
        clusterd.begin()
        held = lease(clusterd).partition("=")[2]
        with pytest.raises(subprocess.CalledProcessError):
            fill(member)
        refused = clusterd("set", "virtuals/web/servers/rs1/weight=3", "--yes")
        assert (refused.code, refused.out) == (4, ""), refused
        assert "database space exceeded" in refused.err
        assert "weight: 2" in clusterd("show", "virtuals/web").out
        with pytest.raises(subprocess.CalledProcessError):
            etcdctl(member.endpoint, "put", clusterd.keys.active(), "r2")
        assert "keepalived" in etcdctl(member.endpoint, "lease", "keep-alive", "--once", held)
        fields = etcdctl(member.endpoint, "endpoint", "status", "-w", "fields")
        revision = fields.split('"Revision" : ')[1].split()[0]
        etcdctl(member.endpoint, "compact", revision)
        etcdctl(member.endpoint, "defrag")
        etcdctl(member.endpoint, "alarm", "disarm")
        assert clusterd("set", "virtuals/web/servers/rs1/weight=3", "--yes").code == 0
