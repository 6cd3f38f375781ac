"""What is to be checked, out of a cluster and the verdicts so far."""

from dataclasses import replace
from ipaddress import IPv4Address

from clusterd.document import from_data
from clusterd.health import Verdict
from clusterd.model import Cluster, HttpCheck
from watchers.prober_messages import Assignment, Report, assigned, targets

UP = Verdict(True, 1700000000.0, "accepted a connection")


def cluster() -> Cluster:
    one = {"address": "10.0.0.1/24", "interface": "eth0", "port": 80}
    two = {"a": {"address": "10.1.0.1"}, "b": {"address": "10.1.0.2", "port": 8080, "weight": 0}}
    return Cluster.model_validate(
        {
            "virtuals": {
                "web": {**one, "check": {"type": "http", "path": "/up"}, "servers": two},
                "dns": {**one, "port": 53, "protocol": "udp", "servers": {"a": {"address": "10.1.0.1"}}},
                "off": {**one, "port": 81, "enabled": False, "servers": two},
                "half": {**one, "port": 82, "servers": {"a": {"address": "10.1.0.1", "enabled": False}}},
            }
        }
    )


def test_the_enabled_servers_of_the_enabled_virtual_servers_are_checked() -> None:
    assert [target.identity for target in targets(cluster())] == [("web", "a"), ("web", "b"), ("dns", "a")]


def test_those_of_some_virtual_servers_are_told_apart() -> None:
    assert [target.identity for target in targets(cluster(), ["dns", "away"])] == [("dns", "a")]


def test_a_change_assigns_what_is_other_and_takes_away_what_is_gone() -> None:
    before = cluster()
    everybody = {target.identity for target in targets(before)}
    assert {target.identity for target in assigned(Cluster(), before)[0]} == everybody
    assert assigned(before, before) == ((), frozenset())
    web = before.virtuals["web"]
    one = web.model_copy(update={"servers": {"b": web.servers["b"]}})
    after = before.model_copy(update={"virtuals": {"web": one, "off": before.virtuals["off"]}})
    there, gone = assigned(before, after)
    assert [target.identity for target in there] == [("web", "b")]
    assert gone == {("web", "a"), ("dns", "a")}


def test_a_target_has_the_servers_port_or_else_the_virtual_servers() -> None:
    assert [(str(target.address), target.port) for target in targets(cluster())] == [
        ("10.1.0.1", 80),
        ("10.1.0.2", 8080),
        ("10.1.0.1", 53),
    ]


def test_a_target_brings_its_check() -> None:
    first, second, _ = targets(cluster())
    assert first.check == HttpCheck(type="http", path="/up")
    assert second.verdict is None


def test_a_check_through_the_data_path_brings_the_vip_and_the_mark_that_leads_to_the_server() -> None:
    led = {"address": "10.0.0.1/24", "interface": "eth0", "port": 80, "forwarding": "direct"}
    led |= {"check": {"type": "tcp", "data_path": True}, "servers": {"a": {"address": "10.1.0.1"}}}
    (target,) = targets(Cluster.model_validate({"virtuals": {"web": led}}))
    assert (str(target.vip), target.mark, str(target.address)) == ("10.0.0.1", 0x0A010001, "10.1.0.1")
    assert not target.same_check(replace(target, mark=7))
    assert not target.same_check(replace(target, vip=IPv4Address("10.0.0.2")))
    assignment = Assignment(targets=(target,))
    assert Assignment.model_validate_json(assignment.model_dump_json()) == assignment
    assert all(plain.vip is None and plain.mark == 0 for plain in targets(cluster()))


def test_a_ping_behind_a_mark_alone_has_no_port() -> None:
    marked = {"mark": 5, "check": {"type": "icmp"}, "servers": {"a": {"address": "10.1.0.1"}}}
    (target,) = targets(from_data({"virtuals": {"web": marked}}))
    assert target.port == 0


def test_messages_survive_the_line() -> None:
    first, *others = targets(cluster())
    assignment = Assignment(targets=(replace(first, verdict=UP), *others), gone=(("web", "z"),))
    assert Assignment.model_validate_json(assignment.model_dump_json()) == assignment
    report = Report(identity=("web", "a"), verdict=UP, entry=3)
    assert Report.model_validate_json(report.model_dump_json()) == report
    assert "\n" not in assignment.model_dump_json()


def test_a_target_is_checked_the_same_if_place_and_check_are_equal_whatever_its_verdict() -> None:
    target = targets(cluster())[0]
    assert target.same_check(replace(target, verdict=UP, entry=9))
    elsewhere = IPv4Address("10.9.9.9")
    others = replace(target, address=elsewhere), replace(target, port=81), replace(target, check=HttpCheck(type="http"))
    assert not any(map(target.same_check, others))
