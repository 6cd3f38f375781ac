"""Input for ipvsadm -R; that it is what ipvsadm prints is tried in test_ipvsadm_restore."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from clusterd import document
from clusterd.desired import desired
from clusterd.model import Cluster
from clusterd.paths import path_marks
from clusterd.plane import Destination, Service, Timeout
from renderers.ipvsadm import render
from tests.clusterd.examples import manual
from tests.strategies import clusters

EXAMPLE = (Path(__file__).parent / "manual.ipvsadm").read_text()
A = {"address": "10.0.0.1"}
WEB = {"address": "1.2.3.1/24", "interface": "eth0", "port": 80, "servers": {"a": A}}


def lines(virtual: dict[str, Any], *warned: str, **more: Any) -> list[str]:
    rendering = render(document.from_data({"virtuals": {"web": WEB | virtual}} | more))
    assert [warning.path for warning in rendering.warnings] == [f"virtuals/web{path}" for path in warned]
    return rendering.text.splitlines()


def test_the_manuals_example_is_rendered_as_it_always_was() -> None:
    rendering = render(manual())
    assert rendering.text == EXAMPLE
    assert rendering.warnings == ()


def test_addresses_of_ipv6_stand_in_brackets_and_their_netmask_is_a_prefix_length() -> None:
    six = {"address": "2001:db8::1/64", "servers": {"a": {"address": "2001:db8:1::1"}}}
    assert lines(six | {"persistence": {"timeout_s": 60, "prefix": 64}}) == [
        "-A -t [2001:db8::1]:80 -s wlc -p 60 -M 64",
        "-a -t [2001:db8::1]:80 -r [2001:db8:1::1]:80 -m -w 1",
    ]
    assert lines(six | {"persistence": {"timeout_s": 60}})[0] == "-A -t [2001:db8::1]:80 -s wlc -p 60"


@given(clusters())
@settings(max_examples=100)
def test_every_cluster_is_one_line_a_service_and_one_a_destination(given: Cluster) -> None:
    rendering = render(given)
    assert rendering == render(given)
    up = {(name, label): True for name, virtual in given.virtuals.items() for label in virtual.servers}
    ways = path_marks(given)
    table = [item for item in desired(given, up).values() if getattr(item.key, "service", item.key) not in ways]
    written = rendering.text.splitlines()
    assert sum(line.startswith("-A ") for line in written) == sum(isinstance(item, Service) for item in table)
    assert sum(line.startswith("-a ") for line in written) == sum(isinstance(item, Destination) for item in table)
    timeouts = [item for item in table if isinstance(item, Timeout)]
    assert sum(line.startswith("--set ") for line in written) == bool(timeouts)
    assert all(line.startswith(("-A ", "-a ", "--set ")) for line in written)


def test_an_empty_cluster_is_an_empty_table() -> None:
    assert render(Cluster()).text == ""


def test_persistence_is_said_with_the_netmask_of_clients_unless_they_count_alone() -> None:
    assert lines({"persistence": {"timeout_s": 60}})[0] == "-A -t 1.2.3.1:80 -s wlc -p 60"
    kept = {"timeout_s": 60, "prefix": 24}
    assert lines({"persistence": kept})[0] == "-A -t 1.2.3.1:80 -s wlc -p 60 -M 255.255.255.0"


def test_udp_and_the_scheduler_are_said() -> None:
    assert lines({"protocol": "udp", "scheduler": "sh"}) == [
        "-A -u 1.2.3.1:80 -s sh",
        "-a -u 1.2.3.1:80 -r 10.0.0.1:80 -m -w 1",
    ]


@pytest.mark.parametrize(
    ("way", "options"), [("nat", "-m -w 1"), ("direct", "-g -w 1"), ("tunnel", "-i -w 1 --tun-type ipip")]
)
def test_every_way_of_forwarding_is_said(way: str, options: str) -> None:
    assert lines({}, cluster={"forwarding": way})[1] == f"-a -t 1.2.3.1:80 -r 10.0.0.1:80 {options}"


def test_a_server_says_its_own_port_and_weight() -> None:
    assert lines({"servers": {"a": A | {"port": 8080, "weight": 65535}}})[1].endswith("-r 10.0.0.1:8080 -m -w 65535")


def test_what_is_not_enabled_is_left_out_and_told() -> None:
    assert lines({"enabled": False}, "") == []
    assert len(lines({"servers": {"a": A, "b": {"address": "10.0.0.2", "enabled": False}}}, "/servers/b")) == 2


def test_a_drained_server_has_weight_0() -> None:
    assert lines({"servers": {"a": A | {"weight": 7, "drain": True}}}, "/servers/a/drain")[1].endswith("-w 0")


def test_a_sorry_server_is_in_the_table_only_while_it_serves() -> None:
    assert len(lines({"sorry_server": "10.0.0.9"}, "/sorry_server")) == 2
    alone = lines({"sorry_server": "10.0.0.9", "servers": {}})
    assert alone[1] == "-a -t 1.2.3.1:80 -r 10.0.0.9:80 -m -w 1"


def test_a_source_of_load_is_told() -> None:
    lines({"load": {"source": "ssh"}}, "/load/source")
