"""Hand-overs, pauses, events, explanations and applied times, as whoever types the commands meets them."""

import json
import os
import signal
import subprocess
import threading
import time
from datetime import UTC, datetime

import pytest

from clusterd.reports import ORDER_S
from tests.clusterd.command_line import CommandLine
from tests.clusterd.live import WELL, alive, lease, put, report, value
from tests.store.etcd_server import etcdctl

pytestmark = pytest.mark.etcd


# --- pause and resume ---------------------------------------------------------------------------------------------


def time_left_s(clusterd: CommandLine, key: str) -> int:
    """Return how long a key's lease lives."""
    entry = json.loads(etcdctl(clusterd.endpoint, "get", key, "-w", "json"))["kvs"][0]
    told = json.loads(etcdctl(clusterd.endpoint, "lease", "timetolive", f"{entry['lease']:x}", "-w", "json"))
    return int(told["ttl"])


def test_a_pause_ends_by_itself_and_says_until_when(clusterd: CommandLine) -> None:
    clusterd.begin()
    ended = clusterd("pause", "r2", "--for", "2h", "-m", "new kernel")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("router r2 is paused until 20")
    assert ended.out.endswith(" ago: new kernel\n")
    told = value(clusterd, clusterd.keys.pause("r2"))
    assert set(told) == {"by", "at", "until", "why"}
    length = datetime.fromisoformat(told["until"]) - datetime.now(UTC)
    assert 7180 < length.total_seconds() <= 7200
    assert 7180 < time_left_s(clusterd, clusterd.keys.pause("r2")) <= 7200


def test_a_pause_of_all_lasts_an_hour_unless_told_and_pausing_again_only_changes_the_time(
    clusterd: CommandLine,
) -> None:
    clusterd.begin()
    assert clusterd("pause").out.startswith("all routers are paused until ")
    assert 3500 < time_left_s(clusterd, clusterd.keys.pause("all")) <= 3600
    leases = etcdctl(clusterd.endpoint, "lease", "list")
    again = clusterd("pause", "--for", "30s", "--json")
    assert [one["router"] for one in again.json["pauses"]] == ["all"]
    assert time_left_s(clusterd, clusterd.keys.pause("all")) <= 30
    assert len(etcdctl(clusterd.endpoint, "lease", "list").splitlines()) == len(leases.splitlines())


def test_resume_ends_one_pause_or_all_and_says_what_holds_then(clusterd: CommandLine) -> None:
    clusterd.begin()
    for router in ("r1", "r2", "all"):
        clusterd("pause", router)
    assert [line.split(" are ")[0].split(" is ")[0] for line in clusterd("resume", "r1").out.splitlines()] == [
        "all routers",
        "router r2",
    ]
    assert clusterd("resume").out == "no router is paused\n"
    assert clusterd("resume", "r2", "--json").json == {"pauses": []}


def test_an_unknown_router_is_not_paused(clusterd: CommandLine) -> None:
    assert clusterd("pause").code == 1
    clusterd.begin()
    for command in ("pause", "resume"):
        ended = clusterd(command, "r3")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith("routers/r3: is not there")
    assert clusterd("pause", "--for", "10").code == 2
    empty = clusterd("pause", "")  # a script's variable that holds nothing is not all routers
    assert (empty.code, clusterd("resume").out) == (1, "no router is paused\n")
    put(clusterd, clusterd.keys.router("r3"), {})
    assert clusterd("pause", "r3").code == 0


def test_status_shows_who_is_paused(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    clusterd("pause", "r2")
    shown = clusterd("status").out
    assert "router r2 is paused until" in shown
    assert "paused, yes" in shown
    assert clusterd("status", "--json").json["routers"][1]["paused"]["router"] == "r2"


# --- switchover ---------------------------------------------------------------------------------------------------


class Routers(threading.Thread):
    """What routers would do when they are asked: the lock goes to `target`, and then it says that it is active."""

    def __init__(self, clusterd: CommandLine, target: str) -> None:
        super().__init__()
        self._clusterd, self._target = clusterd, target
        self.asked: dict[str, object] = {}

    def run(self) -> None:
        clusterd, end_s = self._clusterd, time.monotonic() + 20
        while not self.asked:
            assert time.monotonic() < end_s
            self.asked = value(clusterd, clusterd.keys.switchover()) or {}
        etcdctl(clusterd.endpoint, "del", clusterd.keys.active())
        time.sleep(0.2)
        put(clusterd, clusterd.keys.active(), self._target, lease(clusterd))
        time.sleep(0.2)
        report(clusterd, self._target, role="active")


def test_a_switchover_waits_until_the_other_router_has_lock_and_addresses(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    token = clusterd("status", "--json").json["routers"][0]["holds"][0]["token"]
    routers = Routers(clusterd, "r2")
    routers.start()
    ended = clusterd("switchover", "-m", "new kernel on r1")
    routers.join()
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("r2 is active instead of r1: it had the lock after 0.")
    assert (routers.asked["to"], routers.asked["token"], routers.asked["why"]) == ("r2", token, "new kernel on r1")
    assert routers.asked["by"]
    assert value(clusterd, clusterd.keys.switchover()) is None
    assert clusterd("switchover", "--to", "r2").out == "r2 is active already\n"
    assert clusterd("switchover", "--to", "r2", "--json").json["lock_s"] is None


def test_a_switchover_that_is_not_done_in_time_is_withdrawn(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    ended = clusterd("switchover", "--to", "r2", "--wait", "0.3")
    assert (ended.code, ended.out, ended.err) == (6, "", "not done after 0.3 s: r1 is active\n")
    assert value(clusterd, clusterd.keys.switchover()) is None


def test_without_waiting_it_is_only_asked_for(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    ended = clusterd("switchover", "--wait", "0")
    assert (ended.code, ended.out) == (
        0,
        "r1 is asked to hand over to r2; `clusterd status` shows who is active\n",
    )
    assert value(clusterd, clusterd.keys.switchover())["to"] == "r2"
    assert time_left_s(clusterd, clusterd.keys.switchover()) <= ORDER_S
    assert "asks that the addresses go to r2" in clusterd("status").out
    again = clusterd("switchover", "--wait", "0")
    assert (again.code, again.out) == (3, "")
    assert "asks already that r2 takes over; try again in" in again.err
    assert clusterd("switchover", "--wait", "0", "--force").code == 0


def test_when_a_third_router_was_faster_it_is_told(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    routers = Routers(clusterd, "r3")
    routers.start()
    ended = clusterd("switchover", "--to", "r2")
    routers.join()
    assert (ended.code, ended.err) == (6, "r3 is active now, and not r2\n")


def test_a_switchover_to_a_router_that_is_not_able_is_refused(clusterd: CommandLine) -> None:
    clusterd.begin()
    assert "no router is active" in clusterd("switchover").err
    alive(clusterd)
    report(clusterd, "r2", ready=False, not_ready=["2 servers unchecked"])
    ended = clusterd("switchover", "--to", "r2")
    assert (ended.code, ended.out) == (5, "")
    assert ended.err == "r2 should not take over: 2 servers unchecked; --force asks for it all the same\n"
    chosen = clusterd("switchover")
    assert (chosen.code, chosen.err) == (5, "no router could take over; r2: 2 servers unchecked\n")
    assert value(clusterd, clusterd.keys.switchover()) is None
    assert clusterd("switchover", "--to", "r2", "--force", "--wait", "0").code == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--to", "r3"), "routers/r3: is not there"),
        (("--group", "blue"), "there is no group blue; known here: default"),
    ],
)
def test_what_is_not_there_is_named(clusterd: CommandLine, arguments: tuple[str, ...], problem: str) -> None:
    assert "has no configuration yet" in clusterd("switchover").err
    clusterd.begin()
    alive(clusterd)
    ended = clusterd("switchover", *arguments)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(problem)


def test_a_router_that_tells_of_groups_is_waited_for_by_group(clusterd: CommandLine) -> None:
    clusterd.begin()
    clusterd("set", "cluster/groups/blue={}", "--yes")
    alive(clusterd)
    report(clusterd, "r1", role="active", applied=2)
    put(clusterd, clusterd.keys.active("blue"), "r1", lease(clusterd))
    share = {"role": "backup", "token": 0, "since": "2026-01-31T10:00:00Z"}
    report(clusterd, "r2", applied=2, groups={"default": share, "blue": share})
    assert "active: blue, default" in clusterd("status").out
    ended = clusterd("switchover", "--group", "blue", "--wait", "0.2")
    assert (ended.code, ended.err) == (6, "not done after 0.2 s: r1 is active\n")


def test_ctrl_c_withdraws_the_request(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    with clusterd.start("switchover", stderr=subprocess.PIPE) as process:
        end_s = time.monotonic() + 20
        while value(clusterd, clusterd.keys.switchover()) is None:
            assert time.monotonic() < end_s
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr
        assert process.stderr.read().strip() == "stopped"
    assert value(clusterd, clusterd.keys.switchover()) is None


# --- events -------------------------------------------------------------------------------------------------------


def happened(clusterd: CommandLine, number: int, text: str = "r1 is active: r2 was silent") -> None:
    key = clusterd.keys.event(f"2026-01-31T10:00:0{number}.000Z", f"id{number}")
    put(clusterd, key, {"kind": "takeover", "text": text, "router": "r1", "took_s": 0.2})


def test_events_are_told_newest_last(clusterd: CommandLine) -> None:
    assert (clusterd("events").code, clusterd("events").out) == (0, "")
    for number in range(1, 4):
        happened(clusterd, number)
    assert clusterd("events", "-n", "2").out == (
        "2026-01-31T10:00:02.000Z  r1  takeover  r1 is active: r2 was silent\n"
        "2026-01-31T10:00:03.000Z  r1  takeover  r1 is active: r2 was silent\n"
    )
    told = clusterd("events", "--json").json
    assert [one["id"] for one in told] == ["id1", "id2", "id3"]
    assert told[0]["more"] == {"took_s": 0.2}
    assert clusterd("events", "-n", "0").out == ""


def test_an_event_that_cannot_be_read_is_no_obstacle(clusterd: CommandLine) -> None:
    put(clusterd, clusterd.keys.event("2026-01-31T10:00:00.000Z", "x"), "gibberish")
    happened(clusterd, 1, "\x1b[31m")
    assert clusterd("events").out == (
        "2026-01-31T10:00:00.000Z  -  -\n2026-01-31T10:00:01.000Z  r1  takeover  \\u001b[31m\n"
    )


def test_following_tells_what_was_and_what_comes(clusterd: CommandLine) -> None:
    happened(clusterd, 1)
    happened(clusterd, 2)
    with clusterd.start("events", "--follow", "--json", "-n", "1", stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert json.loads(process.stdout.readline())["id"] == "id2"
        happened(clusterd, 3)
        assert json.loads(process.stdout.readline())["id"] == "id3"
        process.send_signal(signal.SIGTERM)


# --- explain, and when commits were applied -----------------------------------------------------------------------


def test_explain_tells_who_set_what_and_what_the_routers_see(clusterd: CommandLine) -> None:
    clusterd.begin()
    alive(clusterd)
    clusterd("drain", "web/rs2", "--yes", "-m", "its disk")
    ended = clusterd("explain", "web/rs2")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == "web/rs2 (192.168.1.2:80): weight 0, a share of 0%"
    drained = next(line for line in lines if line.startswith("  drain"))
    assert "commit 2 by " in drained
    assert drained.endswith(": its disk")
    assert "since 2026-01-31T10:00:00Z: status 200, says r1, which decides" in ended.out
    told = clusterd("explain", "virtuals/web", "--json").json
    assert [(one["server"], one["weight"]) for one in told] == [("rs1", 2), ("rs2", 0), ("rs3", 1)]
    assert told[0]["factors"][0]["name"] == "configured"


def test_explain_says_when_there_is_nothing_to_explain(clusterd: CommandLine) -> None:
    assert clusterd("explain", "web").code == 1
    clusterd.begin()
    clusterd("set", "virtuals/mail={address: 1.2.3.9/24, interface: eth0, port: 25}", "--yes")
    assert clusterd("explain", "mail").out == "it has no real servers\n"
    assert clusterd("explain", "wbe").err == "virtuals/wbe: is not there; did you mean web?\n"
    assert clusterd("explain", "web/rs9").err.startswith("virtuals/web/servers/rs9: is not there; did you mean rs")
    assert clusterd("explain", "a/b/c").code == 2
    assert "not in the pool" in clusterd("explain", "web/rs1").out


def test_a_commit_tells_when_each_router_saw_and_applied_it(clusterd: CommandLine) -> None:
    clusterd.begin()
    made = datetime.fromisoformat(clusterd("show-commit", "1", "--json").json["time"])
    seen = made.replace(microsecond=0).isoformat().replace("+00:00", "Z")
    put(clusterd, clusterd.keys.applied(1, "r1"), {"seen": seen, "applied": seen})
    put(clusterd, clusterd.keys.applied(1, "r2"), {"seen": "long ago"})
    put(clusterd, clusterd.keys.applied(1, "r3"), "gibberish")
    lines = clusterd("show-commit", "1").out.splitlines()
    early = f"({(datetime.fromisoformat(seen) - made).total_seconds():+.3f} s)"
    assert lines[-3:] == [
        f"r1 saw it at {seen} {early} and applied it at {seen} {early}",
        "r2 saw it at long ago",
        "r3 says nothing that can be read",
    ]
    assert clusterd("show-commit", "1", "--json").json["routers"][0] == {"router": "r1", "seen": seen, "applied": seen}


def test_what_the_tests_say_of_a_router_that_is_well_is_what_routers_say() -> None:
    from watchers.status import Status

    assert set(WELL) - {"ready"} <= set(Status.__slots__)
