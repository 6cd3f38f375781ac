"""What the doctor says of the real servers."""

import subprocess
from collections.abc import Mapping
from dataclasses import replace

import pytest

from clusterd.doctor import Facts, Finding, ServerFacts, examined
from clusterd.doctor.asking import answer, script
from clusterd.document import parse
from clusterd.overview import ServerLine
from clusterd.reports import FactorReport
from tests.clusterd.doctor.seen import only, well, with_server, wrong
from tests.clusterd.examples import MANUAL

NOW_S = 1_790_000_000.0
SSH = MANUAL.replace("port: 80", "port: 80\n    load: {source: ssh}")
DIRECT = MANUAL.replace("port: 80", "port: 80\n    forwarding: direct\n    load: {source: ssh}")
TUNNEL = DIRECT.replace("direct", "tunnel")
OF_ALL, OF_THE_TUNNEL = "ipv4/conf/all/rp_filter", "ipv4/conf/tunl0/rp_filter"
QUIET = {"ipv4/conf/all/arp_ignore": "1", "ipv4/conf/all/arp_announce": "2", "ipv4/conf/eth0/arp_ignore": "0"}
NO_CHANGES: Mapping[str, object] = {}
DIRECT_SEEN = {"links": {"lo": ("127.0.0.1", "1.2.3.1"), "eth0": ("192.168.1.1",)}, "sysctls": QUIET, "load": ""}


def line(facts: Facts, place: str, **changes: object) -> Facts:
    """Return the facts with another line of the overview for a real server."""
    assert facts.view is not None

    def changed(server: ServerLine) -> ServerLine:
        return server.model_copy(update=changes) if server.name == place.partition("/")[2] else server

    virtuals = tuple(
        one.model_copy(update={"servers": tuple(map(changed, one.servers))}) for one in facts.view.virtuals
    )
    return replace(facts, view=facts.view.model_copy(update={"virtuals": virtuals}))


def test_a_server_that_nobody_uses_is_not_looked_at() -> None:
    text = MANUAL.replace("rs3: {address: 192.168.1.3}", "rs3: {address: 192.168.1.3, enabled: false}")
    assert "web/rs3" not in {one.place for one in examined_places(well(parse(text)))}
    assert not examined_places(well(parse(MANUAL.replace("port: 80", "port: 80\n    enabled: false"))))


def examined_places(facts: Facts) -> list[Finding]:
    return [one for one in examined(facts) if one.place.startswith("web/")]


@pytest.mark.parametrize(
    ("changes", "answers", "verdict", "what"),
    [
        ({}, None, "ok", "status 200, says r1"),
        ({"up": False, "detail": "refused", "observer": ""}, "", "fail", "refused"),
        ({"up": None}, None, "unknown", "no router has checked it"),
        ({"up": None}, "", "ok", "it takes connections of r1"),
        ({"up": None}, "refused", "fail", "refused, seen by r1"),
    ],
)
def test_the_service_is_what_routers_checked_or_a_connection_shows(
    changes: dict[str, object], answers: str | None, verdict: str, what: str
) -> None:
    facts = line(with_server(well(), "web/rs1", answers=answers), "web/rs1", **{"observer": "r1", **changes})
    found = only(facts, "service", "web/rs1")
    assert (found.verdict, found.what) == (verdict, what)


def test_the_default_route_that_a_server_tells_has_to_be_the_gateway() -> None:
    found = only(with_server(well(), "web/rs2", default_routes=("192.168.1.9", "fe80::1")), "default-route", "web/rs2")
    assert (found.verdict, found.what) == ("fail", "via 192.168.1.9, not via the gateway 192.168.1.254")
    assert found.mend == "on 192.168.1.2: ip route replace default via 192.168.1.254"
    none = only(with_server(well(), "web/rs2", default_routes=()), "default-route", "web/rs2")
    assert none.what == "missing, not via the gateway 192.168.1.254"


@pytest.mark.parametrize(
    ("seen", "verdict", "what"),
    [
        ({"way": "", "answers": ""}, "ok", "its answers to r1 go through the gateway"),
        (
            {"way": "no connection", "answers": ""},
            "fail",
            "it answers in its own network, but not the public address of r1: no connection",
        ),
        ({"way": "refused", "answers": "refused"}, "unknown", "refused"),
        ({"ssh": None}, "unknown", "only ssh would tell, and load/source is not ssh"),
    ],
)
def test_from_outside_the_way_back_tells_of_the_default_route(seen: dict[str, object], verdict: str, what: str) -> None:
    facts = with_server(well(), "web/rs1", default_routes=None, **seen)
    found = only(facts, "default-route", "web/rs1")
    assert (found.verdict, found.what) == (verdict, what)


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("  nat_router: {address: 192.168.1.254/24, interface: eth1}\n", ""),
        ("source: 192.168.1.0/24, interface: eth0", "source: 0.0.0.0/0, interface: eth1"),
    ],
)
def test_without_a_gateway_or_where_clients_are_hidden_no_default_route_is_needed(said: str, instead: str) -> None:
    text = MANUAL.replace(said, instead)
    assert text != MANUAL
    assert "default-route" not in {one.check for one in examined_places(well(parse(text)))}


def test_the_public_network_is_reached_when_one_host_there_answers() -> None:
    assert only(well(), "public-network", "web/rs1").what == "it reaches 1.2.3.2"
    none = only(with_server(well(), "web/rs1", public={"1.2.3.2": False}), "public-network", "web/rs1")
    assert (none.verdict, none.what) == ("fail", "it reaches none of 1.2.3.2")


def test_what_only_ssh_would_tell_is_unknown_with_the_reason() -> None:
    facts = with_server(well(parse(SSH)), "web/rs1", default_routes=None, public=None, ssh="refused", load="refused")
    facts = with_server(facts, "web/rs2", default_routes=None, public=None, ssh=None, load="")
    facts = with_server(facts, "web/rs3", load="")
    assert wrong(facts) == {
        ("default-route", "web/rs1", "unknown"),
        ("public-network", "web/rs1", "unknown"),
        ("load-source", "web/rs1", "fail"),
        ("default-route", "web/rs2", "unknown"),
        ("public-network", "web/rs2", "unknown"),
    }
    assert only(facts, "public-network", "web/rs1").what == "ssh: refused"
    assert only(facts, "public-network", "web/rs2").what == "nobody asked it by ssh"


@pytest.mark.parametrize(
    ("factors", "verdict", "what"),
    [
        ((), "unknown", "agent: no router tells what it reads"),
        ((FactorReport(name="load", says="agent: × 0.8", why="load 3"),), "ok", "agent: × 0.8: load 3"),
        (
            (FactorReport(name="drained"), FactorReport(name="load", says="agent: no data", why="silent")),
            "fail",
            "agent: no data: silent",
        ),
    ],
)  # fmt: skip
def test_load_that_only_routers_read_is_what_they_tell(
    factors: tuple[FactorReport, ...], verdict: str, what: str
) -> None:
    facts = line(well(parse(SSH.replace("ssh", "agent"))), "web/rs1", factors=factors)
    found = only(facts, "load-source", "web/rs1")
    assert (found.verdict, found.what) == (verdict, what)


def test_servers_that_nobody_saw_are_unknown_and_not_ok() -> None:
    facts = replace(well(parse(SSH)), view=None)
    facts = replace(facts, hosts={name: one.model_copy(update={"servers": {}}) for name, one in facts.hosts.items()})
    assert {verdict for check, place, verdict in wrong(facts) if place == "web/rs1"} == {"unknown"}
    assert len([1 for check, place, verdict in wrong(facts) if place == "web/rs1"]) == 4


# --- direct routing and tunnels ---------------------------------------------------------------------------------------


def direct(text: str = DIRECT, changes: Mapping[str, object] = NO_CHANGES) -> Facts:
    facts = well(parse(text))
    for label in ("rs1", "rs2", "rs3"):
        facts = with_server(facts, f"web/{label}", **{**DIRECT_SEEN, **changes})
    return facts


def test_a_direct_server_that_has_the_vip_and_is_quiet_is_well() -> None:
    facts = direct()
    assert {check for check, place, _ in wrong(facts) if place == "web/rs1"} == set()
    assert only(facts, "vip", "web/rs1").what == "1.2.3.1 on lo"
    assert only(facts, "arp", "web/rs1").what == "eth0 does not answer for 1.2.3.1"


@pytest.mark.parametrize(
    ("changes", "check", "verdict", "what"),
    [
        (
            {"links": {"eth0": ("192.168.1.1",)}},
            "vip",
            "fail",
            "1.2.3.1 is on none of its interfaces: it takes no packet for it",
        ),
        ({"links": None}, "vip", "unknown", "nobody asked it by ssh"),
        ({"links": None}, "arp", "unknown", "nobody asked it by ssh"),
        ({"links": {"eth0": ("192.168.1.1", "1.2.3.1")}}, "arp", "fail", "1.2.3.1 is on eth0, which answers for it"),
        ({"sysctls": {**QUIET, "ipv4/conf/all/arp_ignore": "0"}}, "arp", "fail", "arp_ignore of eth0 is 0, not 1"),
        ({"sysctls": {**QUIET, "ipv4/conf/all/arp_announce": "1"}}, "arp", "fail", "arp_announce of eth0 is 1, not 2"),
        ({"sysctls": {}}, "arp", "unknown", "its settings could not be read"),
        ({"links": {"lo": ("1.2.3.1",)}}, "arp", "unknown", "its settings could not be read"),
    ],
)  # fmt: skip
def test_what_a_direct_server_lacks_is_named(changes: dict[str, object], check: str, verdict: str, what: str) -> None:
    found = only(direct(changes={"ssh": None, **changes}), check, "web/rs1")
    assert (found.verdict, found.what) == (verdict, what)


def test_where_a_mark_has_no_address_the_vip_is_not_known() -> None:
    mark = "{mark: 7, check: {type: tcp, port: 80}, servers: {rs1: {address: 192.168.1.1}}}"
    text = f"cluster: {{forwarding: direct}}\nvirtuals: {{m: {mark}}}"
    facts = replace(well(parse(text)), servers={"m/rs1": ServerFacts(links={"lo": ()})})
    assert only(facts, "vip", "m/rs1").verdict == "unknown"
    assert only(facts, "arp", "m/rs1").verdict == "unknown"


def test_of_ipv6_an_address_of_another_interface_is_not_told() -> None:
    text = (
        "cluster: {forwarding: direct}\nvirtuals: {six: {address: 'fd00::1/64', interface: eth0, port: 80, "
        "servers: {rs1: {address: 'fd00::2'}}}}"
    )
    links = {"lo": ("fd00::1",), "eth0": ("fd00::2",)}
    facts = replace(well(parse(text)), servers={"six/rs1": ServerFacts(links=links)})
    assert only(facts, "arp", "six/rs1").verdict == "ok"


@pytest.mark.parametrize(
    ("settings", "verdict", "what"),
    [
        ({}, "fail", "it has no tunnel's interface: nothing is unwrapped"),
        ({OF_THE_TUNNEL: "1"}, "fail", "rp_filter of tunl0 is strict (1)"),
        ({OF_THE_TUNNEL: "0"}, "ok", "rp_filter of tunl0 is not strict"),
        ({OF_THE_TUNNEL: "0", OF_ALL: "1"}, "fail", "rp_filter of tunl0 is strict (1)"),
        ({OF_THE_TUNNEL: "1", OF_ALL: "2"}, "ok", "rp_filter of tunl0 is not strict"),
    ],
)  # fmt: skip
def test_a_tunnels_packets_come_in_unless_rp_filter_is_strict(
    settings: dict[str, str], verdict: str, what: str
) -> None:
    found = only(direct(TUNNEL, {"sysctls": {**QUIET, **settings}}), "rp-filter", "web/rs1")
    assert (found.verdict, found.what) == (verdict, what)
    assert only(direct(TUNNEL, {"links": None}), "rp-filter", "web/rs1").verdict == "unknown"


# --- what is asked by ssh -------------------------------------------------------------------------------------------

TOLD = """\
route default via 192.168.1.254 dev eth0
route default dev tun0 scope link
addr 1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
addr 1: lo    inet 1.2.3.1/32 scope global lo\\       valid_lft forever preferred_lft forever
addr 2: eth0    inet6 fe80::1/64 scope link
addr 2: eth0    link/ether
eth0/arp_ignore:0
all/rp_filter:2
a:1/arp_announce: 2
ping 1.2.3.2 yes
ping 1.2.3.3 no
date 1790000003
Welcome to rs1
"""


def test_what_a_server_tells_by_ssh_is_read() -> None:
    found = answer(TOLD, NOW_S)
    assert found == {
        "default_routes": ("192.168.1.254", ""),
        "links": {"lo": ("127.0.0.1", "1.2.3.1"), "eth0": ("fe80::1",)},
        "sysctls": {
            "ipv4/conf/eth0/arp_ignore": "0",
            "ipv4/conf/all/rp_filter": "2",
            "ipv4/conf/a:1/arp_announce": "2",
        },
        "public": {"1.2.3.2": True, "1.2.3.3": False},
        "clock_offset_s": 3.5,
    }
    assert ServerFacts(**found).links == found["links"]


def test_a_server_without_ip_and_ping_tells_neither_addresses_nor_routes() -> None:
    assert answer("date now\n", NOW_S) == {"sysctls": {}}


def test_the_question_names_the_hosts_and_is_one_that_shells_understand() -> None:
    text = script(["127.0.0.1"])
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False, timeout=10)
    assert done.returncode == 0
    assert "127.0.0.1" in text
    assert answer(done.stdout, NOW_S)["clock_offset_s"]
