"""The router service in a dry run, as a process of its own beside a real etcd: no IPVS, no capability is needed."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clusterd.command_line import CommandLine
from tests.store.etcd_server import ETCD, Member
from watchers.router import WHY_DRY

pytestmark = [pytest.mark.etcd, pytest.mark.skipif(ETCD is None, reason="the etcd program is not on PATH")]


@pytest.fixture
def clusterd(tmp_path: Path) -> Iterator[CommandLine]:
    """The command line of a cluster whose only router that runs, r1, is in a dry run."""
    with Member(tmp_path) as member:
        line = CommandLine(member.endpoint, "main", tmp_path)
        line.begin()
        own = {"CLUSTERD_ROUTER": "r1", "CLUSTERD_RUN_DIR": str(tmp_path), "CLUSTERD_STATE_DIR": str(tmp_path)}
        environment = line.environment | own | {"CLUSTERD_DATA_PLANE": "dry_run"}
        with subprocess.Popen([sys.executable, "-m", "watchers", "router"], env=environment) as router:
            yield line
            router.terminate()
            assert router.wait(20) == 0


def told(clusterd: CommandLine, condition: Callable[[Any], bool]) -> Any:
    """Wait until router r1 is told of in a certain way; return the whole status."""
    end_s = time.monotonic() + 30
    while True:
        ended = clusterd("status", "--json", CLUSTERD_RUN_DIR=str(clusterd.folder))
        if ended.out and condition(ended.json["routers"][0]):
            return ended.json
        assert time.monotonic() < end_s, ended
        time.sleep(0.2)


def test_a_router_in_a_dry_run_says_so_and_its_plan_is_all_that_a_kernel_would_get(clusterd: CommandLine) -> None:
    view = told(clusterd, lambda router: router["applied"] == 1)
    assert (view["routers"][0]["role"], view["routers"][0]["ready"]) == ("dry run", False)
    assert {"no router is active", f"router r1: {WHY_DRY}"} <= set(view["alarms"])
    shown = clusterd("status", CLUSTERD_RUN_DIR=str(clusterd.folder))
    assert "dry run" in shown.out
    planned = clusterd("plan", "--json", CLUSTERD_RUN_DIR=str(clusterd.folder))
    operations = json.dumps(planned.json["operations"])
    assert "add service tcp 1.2.3.1:80" in operations
    assert "address 1.2.3.1/24" not in operations
    assert (clusterd.folder / "lvs.cf").read_text().count("virtual web {") == 1
    refused = clusterd("switchover", "--to", "r1")
    assert refused.code != 0
