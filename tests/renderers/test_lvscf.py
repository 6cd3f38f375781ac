from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from clusterd import document, lvscf
from clusterd.document import changed, objects
from clusterd.model import Cluster, family
from renderers.lvscf import Sections, parts, render
from renderers.rendering import fill
from tests.strategies import clusters, lvscf_clusters

EXAMPLE = (Path(__file__).parent / "manual.lvs.cf").read_text()
HEADER = "# Rendered by clusterd: what is changed here is not read back.\n"
WEB = {
    "address": "1.2.3.1/24",
    "interface": "eth0",
    "port": 81,
    "check": {"type": "tcp", "interval_s": 1, "fall": 1, "rise": 1},
}


def cluster(virtual: dict[str, Any] | None = None, **more: Any) -> Cluster:
    heartbeat = {"port": 539}
    data = {"cluster": {"heartbeat": heartbeat, **more.pop("cluster", {})}, "virtuals": {"web": WEB | (virtual or {})}}
    return document.from_data(data | more)


def said(given: Cluster) -> tuple[list[str], list[str]]:
    """Return the lines without blanks around them, and the warnings."""
    rendering = render(given, 7)
    lvscf.read(rendering.text)
    return [line.strip() for line in rendering.text.splitlines()], [str(warning) for warning in rendering.warnings]


def warned(given: Cluster, path: str) -> str:
    """Return the one warning, which is about the path, and stands as a comment in the file."""
    lines, warnings = said(given)
    assert len(warnings) == 1
    assert warnings[0].startswith(path + ": ")
    assert "# " + warnings[0] in lines
    return warnings[0]


def test_the_manuals_example_is_rendered_as_the_manual_has_it() -> None:
    rendering = render(lvscf.read(EXAMPLE).cluster, 1)
    assert rendering.text == HEADER + EXAMPLE
    assert rendering.warnings == ()


@given(lvscf_clusters())
@settings(max_examples=100)
def test_what_the_format_can_say_is_read_back_the_same(given: Cluster) -> None:
    rendering = render(given, 42)
    assert rendering.warnings == ()
    reading = lvscf.read(rendering.text)
    assert reading.cluster == given
    assert reading.serial_no == 42


@given(clusters())
@settings(max_examples=100)
def test_every_cluster_renders_as_a_file_that_can_be_read(given: Cluster) -> None:
    rendering = render(given, 1)
    reading = lvscf.read(rendering.text)
    assert list(reading.cluster.virtuals) == [name for name, v in given.virtuals.items() if family(v) == 4]
    for warning in rendering.warnings:
        assert f"# {warning}\n" in rendering.text


def test_the_only_thing_in_a_small_cluster_is_what_it_says() -> None:
    lines, warnings = said(cluster())
    assert warnings == []
    assert "backup_active = 0" in lines
    assert not any(line.startswith(("nat_", "persistent", "send", "sorry", "quiesce", "primary")) for line in lines)


def test_every_address_has_an_alias_of_its_own_and_services_on_one_address_share_it() -> None:
    virtuals = {"a": WEB, "b": WEB | {"port": 82}, "c": WEB | {"address": "1.2.3.4/24"}}
    lines, _ = said(document.from_data({"virtuals": virtuals}))
    assert [line.split()[-1] for line in lines if line.startswith("address")] == ["eth0:1", "eth0:1", "eth0:2"]


def test_an_interface_whose_alias_is_too_long_a_name_is_told() -> None:
    assert "longer" in warned(cluster({"interface": "interface-name1"}), "virtuals/web/interface")


def test_routers_by_other_names_are_told() -> None:
    lines, warnings = said(cluster(routers={"r2": {"public": "1.2.3.3"}, "r1": {"public": "1.2.3.2", "priority": 200}}))
    assert warnings == [
        "routers/r1: is called primary in lvs.cf",
        "routers/r1: its priority 200 cannot be said in lvs.cf",
        "routers/r2: is called backup in lvs.cf",
        "routers/r2: its priority 100 cannot be said in lvs.cf",
    ]
    assert {"primary = 1.2.3.2", "backup = 1.2.3.3", "backup_active = 1"} <= set(lines)


@pytest.mark.parametrize(
    ("primary", "backup", "lines"),
    [
        ({}, {}, []),
        ({"private": "10.0.0.2"}, {}, ["primary_private = 10.0.0.2", "backup_private = 1.2.3.3"]),
        ({}, {"private": "10.0.0.3"}, ["primary_private = 1.2.3.2", "backup_private = 10.0.0.3"]),
    ],
)
def test_private_addresses_are_said_of_both_routers_or_of_none(
    primary: dict[str, Any], backup: dict[str, Any], lines: list[str]
) -> None:
    routers = {"primary": {"public": "1.2.3.2", **primary}, "backup": {"public": "1.2.3.3", "priority": 50, **backup}}
    given = cluster(routers=routers)
    found, warnings = said(given)
    assert [line for line in found if "_private" in line] == lines
    assert warnings == []
    assert lvscf.read(render(given, 1).text).cluster.routers == given.routers


def test_a_third_router_is_left_out_and_told() -> None:
    three = {
        "primary": {"public": "1.2.3.2"},
        "backup": {"public": "1.2.3.3", "private": "10.0.0.3", "priority": 50},
        "third": {"public": "1.2.3.4", "priority": 1},
    }
    given = cluster(routers=three)
    assert "left out" in warned(given, "routers/third")
    assert "1.2.3.4" not in render(given, 1).text
    assert "backup_private = 10.0.0.3\n" in render(given, 1).text


@pytest.mark.parametrize(
    ("virtual", "path"),
    [
        ({"scheduler": "mh"}, "virtuals/web/scheduler"),
        ({"load": {"source": "agent"}}, "virtuals/web/load/source"),
        ({"load": {"source": "ssh", "interval_s": 20}}, "virtuals/web/load/controller"),
        ({"load": {"source": "rup", "controller": "piranha"}}, "virtuals/web/load/interval_s"),
        ({"check": WEB["check"] | {"data_path": True}}, "virtuals/web/check/data_path"),  # type: ignore[operator] # a dict
        ({"forwarding": "direct"}, "virtuals/web/forwarding"),
        ({"servers": {"a": {"address": "10.0.0.1", "forwarding": "tunnel"}}}, "virtuals/web/servers/a/forwarding"),
        ({"servers": {"a": {"address": "10.0.0.1", "drain": True}}}, "virtuals/web/servers/a/drain"),
        ({"check": WEB["check"] | {"timeout_s": 2}}, "virtuals/web/check/timeout_s"),  # type: ignore[operator] # a dict
        ({"check": WEB["check"] | {"fall": 2}}, "virtuals/web/check/fall"),  # type: ignore[operator] # a dict
        ({"check": WEB["check"] | {"rise": 2}}, "virtuals/web/check/rise"),  # type: ignore[operator] # a dict
        ({"check": WEB["check"] | {"reentry_s": 0.5}}, "virtuals/web/check/reentry_s"),  # type: ignore[operator] # a dict
        ({"port": 80}, "virtuals/web/check"),
    ],
)
def test_what_the_format_cannot_say_of_a_virtual_server_is_a_comment_and_a_warning(
    virtual: dict[str, Any], path: str
) -> None:
    warned(cluster(virtual), path)


def test_what_is_of_ipv6_is_left_out_with_a_comment_and_a_warning() -> None:
    six = WEB | {"address": "2001:db8::1/64"}
    tunnel = {"forwarding": "tunnel", "servers": {"a": {"address": "2001:db8::2"}, "b": {"address": "10.0.0.1"}}}
    routers = {
        "r1": {"public": "1.2.3.2", "private": "10.0.0.2", "public6": "2001:db8::12"},
        "r2": {"public": "2001:db8::13", "priority": 200},
        "r3": {"public": "1.2.3.4", "private": "2001:db8::14", "priority": 50},
    }
    gateway = {"nat_router6": {"address": "fe80::1/64", "interface": "eth1"}, "forwarding": "tunnel"}
    whole = cluster(tunnel | {"sorry_server": "2001:db8::9"}, cluster=gateway, routers=routers)
    data = whole.model_dump(mode="json", by_alias=True)
    data["virtuals"]["six"] = six
    rendering = render(document.from_data(data), 1)
    told = {warning.path for warning in rendering.warnings if "IPv4 only" in warning.message}
    assert told == {
        "routers/r2",
        "routers/primary/public6",
        "routers/backup/private",
        "cluster/nat_router6",
        "virtuals/web/servers/a",
        "virtuals/web/sorry_server",
        "virtuals/six",
    }
    assert "# virtuals/six: left out: lvs.cf has IPv4 only" in rendering.text.splitlines()
    read = lvscf.read(rendering.text).cluster
    assert list(read.virtuals) == ["web"]
    assert list(read.virtuals["web"].servers) == ["b"]
    assert [str(each.private) for each in read.routers.values()] == ["10.0.0.2", "None"]


@pytest.mark.parametrize(
    ("settings_", "path"),
    [
        ({"on_store_loss": "hold"}, "cluster/on_store_loss"),
        ({"brakes": {"servers": 0.2}}, "cluster/brakes"),
        ({"protect": True}, "cluster/protect"),
        ({"sysctls": {"net.ipv4.vs.sloppy_tcp": 1}}, "cluster/sysctls"),
        ({"notify": {"active_cmd": ["/bin/told"]}}, "cluster/notify"),
        ({"reachability": {"hosts": ["10.0.0.1"]}}, "cluster/reachability"),
        ({"sync": {"interface": "eth1", "port": 8849}}, "cluster/sync"),
        ({"masquerade": [{"source": "10.0.0.0/8", "interface": "eth0"}]}, "cluster/masquerade"),
        ({"nat_router": {"address": "10.0.0.1/24", "interface": "eth1"}}, "cluster/masquerade"),
        ({"heartbeat": {"port": 539, "keepalive_s": 0.5}}, "cluster/heartbeat/keepalive_s"),
    ],
)
def test_what_the_format_cannot_say_of_the_cluster_is_a_comment_and_a_warning(
    settings_: dict[str, Any], path: str
) -> None:
    warned(cluster(cluster=settings_), path)


def test_a_keepalive_below_a_second_is_written_as_one() -> None:
    lines, _ = said(cluster(cluster={"heartbeat": {"keepalive_s": 0.5}}))
    assert "keepalive = 1" in lines


def timed(check: dict[str, Any]) -> Cluster:
    return cluster({"port": 80, "check": {"interval_s": 1, "fall": 1, "rise": 1, **check}})


def test_an_http_check_is_said_as_the_request_and_the_expected_status_line() -> None:
    given = timed({"type": "http", "path": "/up", "host": "example.org"})
    warned(given, "virtuals/web/check")
    lines, _ = said(given)
    assert r'send = "GET /up HTTP/1.0\r\nHost: example.org\r\n\r\n"' in lines
    assert 'expect = "^HTTP/1.[01] 200"' in lines
    assert "use_regex = 1" in lines


def test_an_http_check_of_several_codes_expects_any_of_them() -> None:
    lines, _ = said(timed({"type": "http", "status": [200, 301]}))
    assert 'expect = "^HTTP/1.[01] (200|301)"' in lines
    assert r'send = "GET / HTTP/1.0\r\n\r\n"' in lines


def test_a_backslash_in_the_path_of_an_http_check_stays_one() -> None:
    lines, _ = said(timed({"type": "http", "path": r"/a\n"}))
    assert r'send = "GET /a\\n HTTP/1.0\r\n\r\n"' in lines


def test_line_breaks_in_a_text_are_said_as_backslash_sequences() -> None:
    lines, warnings = said(timed({"type": "send_expect", "send": "QUIT\r\n"}))
    assert r'send = "QUIT\r\n"' in lines
    assert warnings == []


@pytest.mark.parametrize("text", ['"ok"', 'it\'s"ok" now', '"', "'ok'"])
def test_quotes_in_the_first_word_of_a_text_are_said(text: str) -> None:
    given = timed({"type": "send_expect", "expect": text, "regex": True})
    lines, warnings = said(given)
    assert f'expect = "{text}"' in lines
    assert "use_regex = 1" in lines
    assert warnings == []
    assert lvscf.read(render(given, 1).text).cluster.virtuals == given.virtuals


@pytest.mark.parametrize("text", ['say "ok"', 'a\t"', "nul \0", "\\\n", "ä" * 128, "\n" * 128])
def test_a_text_that_cannot_be_said_leaves_out_the_whole_conversation(text: str) -> None:
    lines, warnings = said(timed({"type": "send_expect", "send": "hello", "expect": text}))
    assert not any(line.startswith(("send", "expect")) for line in lines)
    assert [warning.split(": ")[0] for warning in warnings] == ["virtuals/web/check/expect", "virtuals/web/check"]


def test_persistence_sorry_server_and_quiescence_are_said() -> None:
    more = {"persistence": {"timeout_s": 60, "prefix": 24}, "sorry_server": "10.0.0.9", "quiesce": True}
    lines, warnings = said(cluster(more))
    assert warnings == []
    wanted = {"persistent = 60", "pmask = 255.255.255.0", "sorry_server = 10.0.0.9", "quiesce_server = 1"}
    assert wanted <= set(lines)


def test_a_server_with_a_port_of_its_own_says_it() -> None:
    lines, _ = said(cluster({"servers": {"a": {"address": "10.0.0.1", "port": 8080}}}))
    assert "port = 8080" in lines


def test_a_port_that_only_another_way_could_change_is_left_out() -> None:
    server = {"address": "10.0.0.1", "port": 8080, "forwarding": "nat"}
    lines, warnings = said(cluster({"forwarding": "nat", "servers": {"a": server}}, cluster={"forwarding": "direct"}))
    assert "port = 8080" not in lines
    assert any(warning.startswith("virtuals/web/servers/a/port: 8080 is not said") for warning in warnings)


def test_a_template_without_one_of_its_values_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        fill("lvs.cf.j2")


@pytest.mark.parametrize("more", [{"quorum": 2}, {"fail_open": 0}, {"verdicts": "any"}, {"drain_deadline_s": 9}])
def test_what_the_format_does_not_know_of_pools_is_told(more: dict[str, Any]) -> None:
    warned(cluster(more), f"virtuals/web/{next(iter(more))}")


@given(st.data(), clusters(), clusters())
@settings(max_examples=60)
def test_with_the_sections_of_before_the_text_is_the_same(data: Any, one: Cluster, other: Cluster) -> None:
    sections = Sections()
    assert "".join(parts(one, 1, sections)) == render(one, 1).text
    new = objects(other)
    names = sorted(data.draw(st.sets(st.sampled_from(sorted({*objects(one), *new})))))
    gone = {name for name in names if name not in new}
    after = changed(one, {name: new[name] for name in names if name in new}, gone) or other
    assert "".join(parts(after, 2, sections)) == render(after, 2).text
