"""The cluster at one look, for people and for scripts."""

import json
import signal
import subprocess
import time
from datetime import UTC, datetime

import pytest

from tests.clusterd.command_line import CommandLine
from tests.clusterd.live import alive, put, report
from tests.clusterd.terminal import Terminal
from tests.store.etcd_server import etcdctl

pytestmark = pytest.mark.etcd


def test_a_cluster_that_is_well_is_told_and_ends_with_0(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    ended = clusterd("status")
    assert (ended.code, ended.err) == (0, "")
    lines = [line.split() for line in ended.out.splitlines()]
    assert ended.out.splitlines()[0] == f"cluster {clusterd.cluster}, commit 1: applied everywhere"
    assert ["r2", "backup", "1", "yes"] in [
        [word for word in line if word not in ("600", "599", "598", "s")] for line in lines
    ]
    assert ["rs1", "192.168.1.1:80", "up", "2"] in [line[:4] for line in lines]
    assert "\x1b" not in ended.out


def test_scripts_get_the_same_as_json(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    told = clusterd("--json", "status").json
    assert (told["cluster"], told["commit"], told["told_by"]) == (clusterd.cluster, 1, "etcd")
    assert [(one["name"], one["role"], one["ready"]) for one in told["routers"]] == [
        ("r1", "active", True),
        ("r2", "backup", True),
    ]
    assert 590 < told["routers"][0]["lease_left_s"] <= 600
    assert told["routers"][0]["holds"][0]["group"] == "default"
    rs1 = told["virtuals"][0]["servers"][0]
    assert (rs1["name"], rs1["state"], rs1["weight"], rs1["effective_weight"]) == ("rs1", "up", 2, 2)
    assert [one["observer"] for one in rs1["verdicts"]] == ["r1", "r2"]
    assert (told["alarms"], told["converged"]) == ([], True)


def test_what_is_not_applied_everywhere_ends_with_6(clusterd: CommandLine) -> None:
    clusterd.begin()
    assert clusterd("status").code == 6
    alive(clusterd)
    report(clusterd, "r2", applied=0)
    ended = clusterd("status")
    assert (ended.code, ended.err) == (6, "r2 is at commit 0 of 1\n")
    assert clusterd("status", "--json").json["late"] == ["r2 is at commit 0 of 1"]


def test_a_server_that_is_down_and_a_router_that_is_not_ready_say_why(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    put(clusterd, clusterd.keys.health("web", "rs1", "r1"), {"up": False, "detail": "connection refused"})
    report(
        clusterd,
        "r2",
        ready=False,
        not_ready=["2 servers unchecked"],
        problems=["no \x1b[31mcolour"],
        warnings=["too old"],
    )
    ended = clusterd("status")
    assert ended.code == 0
    rs1 = next(line for line in ended.out.splitlines() if "rs1 " in line and "!" not in line)
    assert "down" in rs1
    assert "0 of 2" in rs1
    assert "r2 disagrees; connection refused" in rs1
    assert "no: 2 servers unchecked" in ended.out
    assert "! router r2: no \\u001b[31mcolour" in ended.out
    assert "! too old" in ended.out.splitlines()
    assert "! routers disagree on web/rs1: down says r1 (connection refused), up says r2 (status 200)" in ended.out


def test_what_others_changed_lately_in_a_routers_kernel_is_told(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    report(clusterd, "r2", drift="changed by others, repaired: add service", drift_at=now)
    report(clusterd, "r1", role="active", drift="long ago", drift_at="2026-01-31T10:00:00.000Z")
    out = clusterd("status").out
    assert "router r2, 0 s ago: changed by others, repaired: add service" in out.replace("1 s ago", "0 s ago")
    assert "long ago" not in out
    told = {one["name"]: one["drift"] for one in clusterd("status", "--json").json["routers"]}
    assert told == {"r1": "long ago", "r2": "changed by others, repaired: add service"}
    report(clusterd, "r2", drift="?", drift_at="gibberish")
    assert "?" not in clusterd("status").out


def test_a_terminal_that_changes_its_size_is_followed(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    with Terminal(clusterd, "status", "--watch", TERM="xterm") as terminal:
        terminal.resize(150, 40)
        terminal.until("192.168.1.1:80")
        terminal.resize(50, 40)
        terminal.until("rs3", anew=True)
        terminal.until("rs3", anew=True)
        assert "192.168.1.1:80" not in terminal.seen
        terminal.resize(150, 40)
        terminal.until("192.168.1.1:80")
        terminal.interrupt()
        assert terminal.end() == 130


def test_one_virtual_server_can_be_asked_for(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    clusterd("set", "virtuals/mail={address: 1.2.3.9/24, interface: eth0, port: 25}", "--yes")
    assert "mail" in clusterd("status").out
    assert [one["name"] for one in clusterd("status", "web", "--json").json["virtuals"]] == ["web"]
    wrong = clusterd("status", "wbe")
    assert (wrong.code, wrong.out, wrong.err) == (1, "", "virtuals/wbe: is not there; did you mean web?\n")


def test_values_that_cannot_be_read_are_unknown(clusterd: CommandLine) -> None:
    clusterd.begin()
    put(clusterd, clusterd.keys.router("r1"), "gibberish")
    put(clusterd, clusterd.keys.health_prefix + "strange", "{}")
    put(clusterd, clusterd.keys.active(), "r1")
    put(clusterd, clusterd.keys.pending(1), "gibberish")
    ended = clusterd("status")
    assert ended.code == 6
    assert "r1 does not say which commit it applied" in ended.err
    assert "not a pending commit" in ended.out


def test_a_narrow_terminal_shows_less_and_loses_no_reason(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    report(clusterd, "r2", ready=False, not_ready=["its kernel is not verified since the last commit"])
    with Terminal(clusterd, "status", COLUMNS="50") as terminal:
        assert terminal.end() == 0
    lines = terminal.seen.replace("\r", "").splitlines()
    assert max(map(len, lines)) <= 50
    told = " ".join(terminal.seen.split())
    assert "its kernel is" in told
    assert "TOKEN" not in told
    assert "192.168.1.1:80" not in told


def test_colours_are_for_terminals_that_want_them(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    with Terminal(clusterd, "status", TERM="xterm") as terminal:
        assert terminal.end() == 0
        assert "\x1b[32mactive" in terminal.seen
    with Terminal(clusterd, "status", TERM="xterm", NO_COLOR="1") as terminal:
        assert terminal.end() == 0
        assert "\x1b[32m" not in terminal.seen


def test_watching_shows_changes_until_it_is_stopped(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    with Terminal(clusterd, "status", "--watch", TERM="xterm") as terminal:
        terminal.until("commit 1: applied everywhere")
        put(clusterd, clusterd.keys.health("web", "rs2", "r1"), {"up": False, "detail": "no answer"})
        terminal.until("no answer")
        terminal.interrupt()
        assert terminal.end() == 130
        assert "Traceback" not in terminal.seen


def test_watching_gives_scripts_a_line_of_json_each_time(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    with clusterd.start("status", "web", "--watch", "--json", stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert json.loads(process.stdout.readline())["virtuals"][0]["name"] == "web"
        changed_s = time.monotonic()
        etcdctl(clusterd.endpoint, "del", clusterd.keys.active())
        while not json.loads(process.stdout.readline())["alarms"]:
            assert time.monotonic() - changed_s < 10
        process.send_signal(signal.SIGTERM)
