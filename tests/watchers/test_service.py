"""The router service as its settings say, as a process of its own beside a real etcd: its metrics and its log."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from clusterd import releases
from tests.clusterd.checks.servers import free_port
from tests.clusterd.command_line import CommandLine
from tests.promtool import promtool
from tests.store.etcd_server import ETCD, Member

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(ETCD is None, reason="the etcd program is not on PATH")]


def scraped(place: str, wanted: str) -> str:
    """The first scrape in which a line stands."""
    end_s = time.monotonic() + 30
    while time.monotonic() < end_s:
        try:
            with urllib.request.urlopen(f"http://{place}/metrics", timeout=5) as answer:
                page = str(answer.read().decode())
        except OSError:
            page = ""
        if wanted in page.splitlines():
            return page
        time.sleep(0.2)
    raise AssertionError(f"{wanted} is not told: {page}")


def release(member: Member) -> str:
    with urllib.request.urlopen(f"{member.endpoint}/version", timeout=5) as answer:  # noqa: S310 - always http
        return str(json.load(answer)["etcdserver"])


def status(line: CommandLine, warnings: Sequence[str]) -> Any:
    """The first status with these warnings, or the last one."""
    end_s = time.monotonic() + 15
    while True:
        told = line("--json", "status").json
        if told["warnings"] == list(warnings) or time.monotonic() > end_s:
            return told
        time.sleep(0.2)


def test_settings_say_where_metrics_are_told_and_how_the_log_is_written(tmp_path: Path) -> None:
    place, log = f"127.0.0.1:{free_port()}", tmp_path / "log"
    with Member(tmp_path) as member:
        line = CommandLine(member.endpoint, "main", tmp_path)
        line.begin()
        own = {"CLUSTERD_ROUTER": "r1", "CLUSTERD_RUN_DIR": str(tmp_path), "CLUSTERD_STATE_DIR": str(tmp_path)}
        how = {"CLUSTERD_DATA_PLANE": "dry_run", "CLUSTERD_METRICS": place, "CLUSTERD_LOG_FORMAT": "json"}
        program = [sys.executable, "-m", "watchers", "router"]
        with log.open("w") as err, subprocess.Popen(program, stderr=err, env=line.environment | own | how) as router:
            try:
                page = scraped(place, 'clusterd_commit_seen_number{cluster="main",router="r1"} 1.0')
                expected = releases.warnings({"m0": release(member)}, login=False)
                warned = status(line, expected)["warnings"]
            finally:
                router.terminate()
            assert router.wait(20) == 0
    assert 'clusterd_ready{cluster="main",router="r1"} 0.0' in page
    assert promtool("check", "metrics", given=page) == ""
    assert warned == list(expected)
    records = [json.loads(record) for record in log.read_text().splitlines()]
    assert [records[0]["event"], records[-1]["event"]] == ["start", "end"]
    assert {"metrics", "commit"} <= {record["event"] for record in records}
    assert [record["text"] for record in records if record["event"] == "etcd release"] == warned
    assert all(record["service"] != "router" or record["router"] == "r1" for record in records)
    assert all(record["time"].endswith("Z") for record in records)
