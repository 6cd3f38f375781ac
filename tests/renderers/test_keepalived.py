"""keepalived.conf: what is said, what is not, and that keepalived itself accepts it."""

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from clusterd import document
from clusterd.model import Cluster
from renderers.keepalived import render
from tests.clusterd.examples import manual
from tests.strategies import INTERFACES, clusters

EXAMPLE = Path(__file__).parent / "manual.keepalived.conf"
CHECK = {"type": "tcp", "rise": 1}
WEB = {
    "address": "1.2.3.1/24",
    "interface": "eth0",
    "port": 80,
    "check": CHECK,
    "servers": {"a": {"address": "10.0.0.1"}},
}
ROUTERS = {"r1": {"public": "1.2.3.2", "priority": 50}, "r2": {"public": "1.2.3.3"}, "r3": {"public": "1.2.3.4"}}
# keepalived -t wants the interfaces to be there.
IN_NAMESPACE = (
    'for each in $2; do ip link add "$each" type veth || exit 99; done; exec keepalived --config-test --use-file="$1"'
)


def accepted(text: str, folder: Path) -> None:
    """Fail unless keepalived accepts the file without a word, in a network namespace with the interfaces.

    With a MISC_CHECK keepalived 2.2 ends every test of a configuration by a SIGTERM to itself, a good one too.
    """
    file = folder / "keepalived.conf"
    file.write_text(text)
    command = ["unshare", "--net", "sh", "-c", IN_NAMESPACE, "sh", str(file), " ".join(INTERFACES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, start_new_session=True)
    assert done.stdout + done.stderr == "", text
    assert done.returncode in ((0, -signal.SIGTERM) if "MISC_CHECK" in text else (0,)), text


def cluster(virtual: dict[str, Any] | None = None, **more: Any) -> Cluster:
    return document.from_data({"routers": ROUTERS, "virtuals": {"web": WEB | (virtual or {})}} | more)


def said(given: Cluster, router: str | None = None) -> list[str]:
    """Return the lines without blanks around them, where nothing is left to warn of."""
    rendering = render(given, router)
    assert rendering.warnings == ()
    return [line.strip() for line in rendering.text.splitlines()]


def warned(given: Cluster, path: str) -> list[str]:
    """Return the lines, where one warning is about the path and stands as a comment in the file."""
    rendering = render(given)
    assert [warning.path for warning in rendering.warnings] == [path]
    lines = [line.strip() for line in rendering.text.splitlines()]
    assert f"# {rendering.warnings[0]}" in lines
    return lines


def test_the_manuals_example_is_rendered_as_it_always_was() -> None:
    rendering = render(manual())
    assert rendering.text == EXAMPLE.read_text()
    assert [warning.path for warning in rendering.warnings] == ["virtuals/web/check/rise", "cluster/masquerade"]


def test_keepalived_accepts_the_manuals_example(tmp_path: Path) -> None:
    accepted(EXAMPLE.read_text(), tmp_path)


def test_keepalived_accepts_an_empty_cluster(tmp_path: Path) -> None:
    accepted(render(Cluster()).text, tmp_path)


def test_a_virtual_server_without_any_weight_is_left_out(tmp_path: Path) -> None:
    for servers in ({"a": {"address": "10.0.0.1", "drain": True}}, {"a": {"address": "10.0.0.1", "weight": 0}}):
        rendering = render(cluster({"servers": servers}))
        assert "left out: none of its servers has a weight" in rendering.text
        accepted(rendering.text, tmp_path)


@given(clusters())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_keepalived_accepts_every_cluster(tmp_path: Path, given: Cluster) -> None:
    accepted(render(given).text, tmp_path)


def test_keepalived_accepts_the_ends_of_every_range(tmp_path: Path) -> None:
    odd = {"type": "http", "path": "/" + "a" * 499, "host": "[::1]:80", "status": list(range(101, 600, 2))}
    shortest = {"type": "tcp", "interval_s": 1e-9, "timeout_s": 1e-9, "fall": 1000}
    longest = {"type": "tcp", "interval_s": 86400, "timeout_s": 86400}
    many = {f"v{n}": WEB | {"address": f"1.2.4.{n}/1"} for n in range(1, 250)}
    checked = {f"c{n}": WEB | {"port": n, "check": each} for n, each in enumerate((odd, shortest, longest), 81)}
    for beat in ({"keepalive_s": 0.001}, {"keepalive_s": 1800, "deadtime_s": 3600}, {"keepalive_s": 1 / 3}):
        settings_ = {"heartbeat": beat, "nat_router": {"address": "10.0.0.254/32", "interface": "eth1"}}
        for priority in (0, 255):
            given = {"r": {"public": "1.2.3.2", "priority": priority}}
            text = render(cluster(cluster=settings_, routers=given, virtuals=many | checked)).text
            accepted(text, tmp_path)


@given(clusters())
@settings(max_examples=100)
def test_every_cluster_renders_the_same_each_time_with_each_warning_as_a_comment(given: Cluster) -> None:
    for router in (None, *given.routers):
        rendering = render(given, router)
        assert rendering == render(given, router)
        for warning in rendering.warnings:
            assert f"# {warning}\n" in rendering.text


def test_the_router_of_the_highest_priority_is_meant_unless_another_is_named() -> None:
    for router, priority, name in ((None, 100, "r2"), ("r1", 50, "r1"), ("r3", 100, "r3")):
        lines = said(cluster(), router)
        assert f"router_id {name}" in lines
        assert f"priority {priority}" in lines


def test_a_router_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        render(cluster(), "r4")


def test_without_routers_a_priority_stands_in() -> None:
    lines = warned(cluster(routers={}), "routers")
    assert "priority 100" in lines
    assert not any(line.startswith("router_id") for line in lines)


@pytest.mark.parametrize(("priority", "said_as"), [(0, 1), (255, 254)])
def test_a_priority_that_means_something_else_in_vrrp_is_moved(priority: int, said_as: int) -> None:
    given = cluster(routers={"r1": {"public": "1.2.3.2", "priority": priority}})
    assert f"priority {said_as}" in warned(given, "routers/r1/priority")


@pytest.mark.parametrize(
    ("beat", "interval", "missing"),
    [
        ({}, "1", 3),
        ({"keepalive_s": 0.5, "deadtime_s": 3}, "0.5", 6),
        ({"keepalive_s": 0.03, "deadtime_s": 3}, "0.03", 100),
        ({"keepalive_s": 2, "deadtime_s": 6}, "2", 3),
    ],
)
def test_a_router_is_dead_after_as_many_adverts_as_deadtime_takes(
    beat: dict[str, float], interval: str, missing: int
) -> None:
    lines = said(cluster(cluster={"heartbeat": beat}))
    assert f"advert_int {interval}" in lines
    assert f"down_timer_adverts {missing}" in lines


@pytest.mark.parametrize(
    ("beat", "paths"),
    [
        ({"keepalive_s": 0.125, "deadtime_s": 3}, ["keepalive_s"]),
        ({"keepalive_s": 50, "deadtime_s": 100}, ["keepalive_s", "deadtime_s"]),
        ({"keepalive_s": 0.01, "deadtime_s": 3}, ["deadtime_s"]),
        ({"keepalive_s": 2, "deadtime_s": 5}, ["deadtime_s"]),
    ],
)
def test_times_that_vrrp_cannot_count_are_told(beat: dict[str, float], paths: list[str]) -> None:
    rendering = render(cluster(cluster={"heartbeat": beat}))
    assert [w.path for w in rendering.warnings] == [f"cluster/heartbeat/{path}" for path in paths]


@pytest.mark.parametrize(
    ("settings_", "path"),
    [
        ({"on_store_loss": "hold"}, "cluster/on_store_loss"),
        ({"masquerade": [{"source": "10.0.0.0/8", "interface": "eth0"}]}, "cluster/masquerade"),
        ({"heartbeat": {"port": 539}}, "cluster/heartbeat/port"),
        ({"brakes": {"servers": 1}}, "cluster/brakes"),
        ({"protect": True}, "cluster/protect"),
        ({"sysctls": {"net.ipv4.vs.sloppy_tcp": 1}}, "cluster/sysctls"),
        ({"notify": {"active_cmd": ["/bin/told"]}}, "cluster/notify"),
        ({"reachability": {"hosts": ["10.0.0.1"]}}, "cluster/reachability"),
        ({"sync": {"interface": "eth1", "window_s": 3}}, "cluster/sync/window_s"),
    ],
)
def test_what_the_format_cannot_say_of_the_cluster_is_a_comment_and_a_warning(
    settings_: dict[str, Any], path: str
) -> None:
    warned(cluster(cluster=settings_), path)


def test_each_interface_has_an_instance_with_its_addresses_and_all_move_together() -> None:
    gateway = {"nat_router": {"address": "10.0.0.254/24", "interface": "eth1"}}
    virtuals = {"a": WEB, "b": WEB | {"port": 81}, "c": WEB | {"address": "1.2.3.9/32"}}
    lines = said(cluster(cluster=gateway, virtuals=virtuals))
    assert [line for line in lines if line.startswith("vrrp_instance")] == [
        "vrrp_instance eth1 {",
        "vrrp_instance eth0 {",
    ]
    assert [line for line in lines if line.startswith("virtual_router_id")] == [
        "virtual_router_id 51",
        "virtual_router_id 52",
    ]
    assert [line for line in lines if "/" in line and not line.startswith("#")] == [
        "10.0.0.254/24",
        "1.2.3.1/24",
        "1.2.3.9/32",
    ]
    group = lines.index("vrrp_sync_group clusterd {")
    assert lines[group + 1 : group + 5] == ["group {", "eth1", "eth0", "}"]


def test_an_instance_advertises_one_family_and_carries_the_other_beside_it(tmp_path: Path) -> None:
    six = WEB | {"address": "2001:db8::1/64", "servers": {"a": {"address": "2001:db8:1::1"}}}
    virtuals = {"a": WEB, "b": six | {"persistence": {"timeout_s": 60, "prefix": 64}}}
    text = render(cluster(virtuals=virtuals)).text
    lines = [line.strip() for line in text.splitlines()]
    assert lines[lines.index("virtual_ipaddress {") + 1 : lines.index("virtual_ipaddress_excluded {")] == [
        "1.2.3.1/24",
        "}",
    ]
    assert lines[lines.index("virtual_ipaddress_excluded {") + 1] == "2001:db8::1/64"
    assert "virtual_server 2001:db8::1 80 {" in lines
    assert "persistence_granularity 64" in lines
    assert "real_server 2001:db8:1::1 80 {" in lines


@pytest.mark.parametrize(
    ("more", "rest"),
    [
        ({}, "id 0 port 8848 ttl 1 group 224.0.0.81"),
        ({"id": 7, "maxlen": 2000, "group": "ff02::81"}, "id 7 maxlen 2000 port 8848 ttl 1 group ff02::81"),
    ],
)
def test_the_synchronisation_of_connections_follows_the_first_instance(more: dict[str, Any], rest: str) -> None:
    sync = {"sync": {"interface": "eth1", **more}}
    assert f"lvs_sync_daemon eth1 eth0 {rest}" in said(cluster(cluster=sync))
    nowhere = cluster(cluster=sync, virtuals={})
    assert f"lvs_sync_daemon eth1 {rest}" in said(nowhere)


def test_one_interface_needs_no_sync_group() -> None:
    assert not any(line.startswith("vrrp_sync_group") for line in said(cluster()))


def test_more_addresses_than_an_advert_should_carry_are_excluded_from_it() -> None:
    virtuals = {f"v{n}": WEB | {"address": f"1.2.4.{n}/24"} for n in range(1, 23)}
    lines = said(cluster(virtuals=virtuals))
    here = lines.index("virtual_ipaddress_excluded {")
    assert lines[here + 1 : here + 4] == ["1.2.4.21/24", "1.2.4.22/24", "}"]


@pytest.mark.parametrize(
    ("virtual", "path"),
    [
        ({"load": {"source": "agent"}}, "virtuals/web/load/source"),
        ({"check": CHECK | {"rise": 2}}, "virtuals/web/check/rise"),
        ({"check": CHECK | {"reentry_s": 0.5}}, "virtuals/web/check/reentry_s"),
        ({"check": CHECK | {"timeout_s": 5000}}, "virtuals/web/check/timeout_s"),
        ({"check": CHECK | {"type": "send_expect", "send": "x"}}, "virtuals/web/check"),
        ({"check": CHECK | {"type": "http", "path": "/#a"}}, "virtuals/web/check/path"),
        ({"check": CHECK | {"type": "http", "path": "/" + "a" * 500}}, "virtuals/web/check/path"),
    ],
)
def test_what_the_format_cannot_say_of_a_virtual_server_is_a_comment_and_a_warning(
    virtual: dict[str, Any], path: str
) -> None:
    assert "TCP_CHECK {" in warned(cluster(virtual), path)


@pytest.mark.parametrize("virtual", [{"enabled": False}, {"servers": {}}, {"servers": {"a": {"address": "10.0.0.1"}}}])
def test_a_virtual_server_without_a_use_is_left_out(virtual: dict[str, Any]) -> None:
    for server in virtual.get("servers", {}).values():
        server["enabled"] = False
    assert not any(line.startswith("virtual_server") for line in warned(cluster(virtual), "virtuals/web"))


def test_the_address_of_a_virtual_server_that_is_not_enabled_is_not_carried() -> None:
    assert "1.2.3.1" not in render(cluster({"enabled": False})).text


def test_a_server_that_is_not_enabled_is_left_out() -> None:
    servers = {"a": {"address": "10.0.0.1"}, "b": {"address": "10.0.0.2", "enabled": False}}
    assert "real_server 10.0.0.2 80 {" not in warned(cluster({"servers": servers}), "virtuals/web/servers/b")


def test_a_drained_server_has_weight_0() -> None:
    servers = {"a": {"address": "10.0.0.1", "weight": 7, "drain": True}, "b": {"address": "10.0.0.2"}}
    assert "weight 0" in warned(cluster({"servers": servers}), "virtuals/web/servers/a/drain")


def test_persistence_sorry_server_quiescence_and_protocol_are_said() -> None:
    more = {
        "persistence": {"timeout_s": 60, "prefix": 24},
        "sorry_server": "10.0.0.9",
        "quiesce": True,
        "protocol": "udp",
        "scheduler": "mh",
    }
    wanted = {
        "persistence_timeout 60",
        "persistence_granularity 255.255.255.0",
        "sorry_server 10.0.0.9 80",
        "inhibit_on_failure",
        "protocol UDP",
        "lb_algo mh",
    }
    assert wanted <= set(said(cluster(more)))


def test_quorum_and_hysteresis_are_said_and_what_keepalived_does_not_know_is_told() -> None:
    servers = {"a": {"address": "10.0.0.1", "weight": 3}}
    assert {"quorum 3", "hysteresis 2"} <= set(said(cluster({"quorum": 3, "hysteresis": 2, "servers": servers})))
    lines = warned(cluster({"quorum": 9, "hysteresis": 5, "servers": servers}), "virtuals/web/quorum")
    assert {"quorum 3", "hysteresis 2"} <= set(lines)
    for key, value in (("fail_open", 0), ("verdicts", "any"), ("slow_start", {"duration_s": 9})):
        warned(cluster({key: value}), f"virtuals/web/{key}")


def test_a_server_says_its_port_and_its_way_only_where_they_differ() -> None:
    servers = {
        "a": {"address": "10.0.0.1", "port": 8080, "forwarding": "nat", "weight": 3},
        "b": {"address": "10.0.0.2", "forwarding": "tunnel"},
    }
    lines = said(cluster({"forwarding": "tunnel", "servers": servers}))
    assert "lb_kind TUN" in lines
    assert [line for line in lines if line.startswith(("real_server", "lvs_method", "weight"))] == [
        "real_server 10.0.0.1 8080 {",
        "weight 3",
        "lvs_method NAT",
        "real_server 10.0.0.2 80 {",
        "weight 1",
    ]


def test_the_times_of_a_check_are_said_in_decimals() -> None:
    lines = said(cluster({"check": CHECK | {"interval_s": 1e-05, "timeout_s": 2.5, "fall": 3}}))
    wanted = {"delay_loop 0.00001", "delay_before_retry 0.00001", "connect_timeout 2.5", "retry 2"}
    assert wanted <= set(lines)


def test_an_http_check_says_path_host_and_codes() -> None:
    check = {"type": "http", "rise": 1, "path": "/up?x={1}", "host": "example.org", "status": [301, 200, 201, 202, 404]}
    lines = said(cluster({"check": check}))
    assert {'path "/up?x={1}"', 'virtualhost "example.org"', "status_code 200-202 301 404"} <= set(lines)
