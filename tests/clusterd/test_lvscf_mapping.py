from collections.abc import Mapping
from typing import Any

import pytest

from clusterd import lvscf
from clusterd.model import Load, Sync
from tests.clusterd.lvscf_files import in_virtual, rs1, warned, web, wrong

# Routers, heartbeat, gateway

BACKUP = "primary = 1.2.3.2\nbackup = 1.2.3.3\nheartbeat = 1\nbackup_active = 1\n"


def test_a_router_without_a_private_address_has_none() -> None:
    cluster = lvscf.read(BACKUP + "primary_private = 1.2.3.2").cluster
    assert [router.private for router in cluster.routers.values()] == [None, None]


@pytest.mark.parametrize(
    ("text", "warning", "routers"),
    [
        ("backup_private = 10.0.0.3", "line 1: backup_private: not carried over: there is no backup", []),
        ("primary_private = 10.0.0.3", "line 1: primary_private: not carried over: there is no primary", []),
        (
            BACKUP + "backup_private = 10.0.0.3",
            "line 5: backup_private: not carried over: Piranha ignores it without primary_private",
            ["primary", "backup"],
        ),
        ("backup = 1.2.3.3", "line 1: backup: not carried over: backup_active is not 1, so it takes no part", []),
        ("heartbeat = 1\nbackup_active = 1", "line 2: backup_active: not carried over: there is no backup", []),
        (
            BACKUP + "heartbeat = 0",
            "line 5: heartbeat: not carried over: routers always watch each other, as if it was 1",
            ["primary", "backup"],
        ),
        (
            "backup = 1.2.3.3\nbackup_active = 1",
            "line 2: heartbeat: not carried over: routers always watch each other, as if it was 1",
            ["backup"],
        ),
    ],
)
def test_what_is_left_out_of_the_routers_is_told(text: str, warning: str, routers: list[str]) -> None:
    assert warning in warned(text)
    assert list(lvscf.read(text).cluster.routers) == routers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("syncdaemon = 1", ("eth0", 0)),
        ("syncd_id = 255\nsyncdaemon = 1\nsyncd_iface = eth1", ("eth1", 255)),
    ],
)
def test_the_sync_daemon_has_an_interface_and_an_id(text: str, said: tuple[str, int]) -> None:
    sync = lvscf.read(text).cluster.settings.sync
    assert sync == Sync(interface=said[0], id=said[1])
    assert warned(text) == []


def test_a_sync_daemon_that_is_not_asked_for_is_none_and_what_belongs_to_it_is_told() -> None:
    text = "syncdaemon = 0\nsyncd_iface = eth1\nsyncd_id = 7"
    assert lvscf.read(text).cluster.settings.sync is None
    assert warned(text) == [
        "line 2: syncd_iface: not carried over: without syncdaemon it has no effect",
        "line 3: syncd_id: not carried over: without syncdaemon it has no effect",
    ]


def test_a_sync_daemon_that_cannot_be_is_told_with_its_line() -> None:
    (problem,) = wrong("syncdaemon = 1\nsyncd_id = 256")
    assert problem.startswith("line 2: syncd_id: ")


def test_two_routers_of_one_address_are_told_with_the_line() -> None:
    text = "primary = 1.2.3.2\nbackup = 1.2.3.2\nheartbeat = 1\nbackup_active = 1"
    assert wrong(text) == ["line 2: backup: 1.2.3.2 is already routers/primary/public"]


def test_an_address_that_no_host_can_have_is_told_with_the_line() -> None:
    (problem,) = wrong("virtual web {\n\tvip_nmask = 255.255.255.0\n\taddress = 1.2.3.0 eth0:1\n}")
    assert problem.startswith("line 3: virtual web/address: 1.2.3.0/24 cannot be a floating address: it is the")


@pytest.mark.parametrize(
    ("text", "keepalive_s", "deadtime_s", "warning"),
    [
        ("keepalive = 3\ndeadtime = 6", 3, 6, ""),
        ("keepalive = 4\ndeadtime = 6", 3, 6, "line 1: keepalive: keepalive lowered to 3, half of deadtime"),
        ("deadtime = 3", 1.5, 3, "line 1: deadtime: keepalive lowered to 1.5, half of deadtime"),
        ("deadtime = 1\nkeepalive = 1", 1, 2, "line 1: deadtime: raised to 2: no lease of etcd is shorter"),
    ],
)
def test_a_heartbeat_that_clusterd_could_not_keep_is_adapted(
    text: str, keepalive_s: float, deadtime_s: int, warning: str
) -> None:
    beat = lvscf.read(text).cluster.settings.heartbeat
    assert (beat.keepalive_s, beat.deadtime_s) == (keepalive_s, deadtime_s)
    assert [found[: len(warning)] for found in warned(text)] == ([warning] if warning else [])


@pytest.mark.parametrize("text", ["deadtime = 0", "deadtime = -1", "keepalive = 0", "deadtime = 4000"])
def test_a_heartbeat_without_sense_is_a_problem(text: str) -> None:
    assert wrong(text)[0].startswith("line 1: ")


@pytest.mark.parametrize("way", ["nat", "direct", "tunnel"])
def test_network_is_the_way_of_forwarding(way: str) -> None:
    assert lvscf.read(f"network = {way}").cluster.settings.forwarding == way


def test_a_netmask_without_a_gateway_is_told() -> None:
    assert warned("nat_nmask = 255.255.255.0") == ["line 1: nat_nmask: not carried over: there is no nat_router"]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (in_virtual(), "line 1: nat_router: nothing added to masquerade: not known which network is private"),
        (
            "nat_nmask = 255.0.0.0",
            "line 1: nat_router: nothing added to masquerade: not known which interface is public",
        ),
    ],
)
def test_where_masquerading_is_not_known_that_is_told(text: str, warning: str) -> None:
    assert warned("nat_router = 10.0.0.1 eth1:1\n" + text) == [warning]


def test_the_interface_of_the_gateway_is_not_masqueraded() -> None:
    text = "nat_router = 10.0.0.1 eth0:1\nnat_nmask = 255.0.0.0\n" + in_virtual()
    assert lvscf.read(text).cluster.settings.masquerade == ()


def test_a_gateway_without_nat_is_kept_and_nothing_is_masqueraded() -> None:
    reading = lvscf.read("network = direct\nnat_router = 10.0.0.1 eth0:1\nnat_nmask = 255.0.0.0\n" + in_virtual())
    assert str(reading.cluster.settings.nat_router) == "address=IPv4Interface('10.0.0.1/8') interface='eth0'"
    assert (reading.cluster.settings.masquerade, reading.warnings) == ((), ())


# Virtual servers


def test_a_virtual_server_is_inactive_on_port_80_and_wlc_unless_told() -> None:
    virtual = web(port=None)
    assert (virtual.enabled, virtual.port, virtual.scheduler, virtual.protocol) == (False, 80, "wlc", "tcp")
    assert (virtual.persistence, virtual.sorry_server, virtual.quiesce) == (None, None, False)
    assert (virtual.check.interval_s, virtual.check.timeout_s, virtual.check.reentry_s) == (10, 10, 180)


def test_persistence_has_a_time_and_a_granularity() -> None:
    assert (
        web("persistent = 60", "pmask = 255.255.0.0").persistence
        == web("pmask = 255.255.0.0", "persistent = 60").persistence
    )
    assert web("persistent = 60").model_dump()["persistence"] == {"timeout_s": 60, "prefix": None, "engine": None}
    assert web("persistent = 60", "pmask = 255.255.0.0").model_dump()["persistence"]["prefix"] == 16
    assert web("persistent = 0").persistence is None


def test_a_granularity_without_persistence_is_told() -> None:
    text = in_virtual("pmask = 255.0.0.0")
    assert warned(text) == ["line 3: virtual web/pmask: not carried over: without persistent it has no effect"]
    assert warned(in_virtual("pmask = 255.255.255.255")) == []


def test_a_sorry_server_and_quiescence_are_carried_over() -> None:
    virtual = web("sorry_server = 10.0.0.9", "quiesce_server = 1")
    assert (str(virtual.sorry_server), virtual.quiesce) == ("10.0.0.9", True)


def test_timeout_is_the_interval_and_the_time_of_a_check_and_one_result_decides() -> None:
    assert web("timeout = 7", "reentry = 0").check.model_dump(
        exclude_none=True, exclude={"jitter", "initial", "data_path"}
    ) == {
        "type": "tcp",
        "interval_s": 7,
        "timeout_s": 7,
        "fall": 1,
        "rise": 1,
        "reentry_s": 0,
    }


@pytest.mark.parametrize(
    ("lines", "check"),
    [
        (["send = a", "expect = b"], {"send": "a", "expect": "b", "regex": False}),
        (["send = a"], {"send": "a", "expect": None, "regex": False}),
        (["expect = ^b", "use_regex = 1"], {"send": None, "expect": "^b", "regex": True}),
        (["expect = *"], {"send": None, "expect": "*", "regex": False}),
    ],
)
def test_send_and_expect_are_a_conversation(lines: list[str], check: Mapping[str, Any]) -> None:
    assert web(*lines).check.model_dump().items() >= {"type": "send_expect", **check}.items()


def test_neither_send_nor_expect_is_an_http_probe_on_port_80() -> None:
    probe = {"type": "send_expect", "send": r"GET / HTTP/1.0\r\n\r\n", "expect": "HTTP", "regex": False}
    assert web(port=80).check.model_dump().items() >= probe.items()


def test_an_expression_that_does_not_compile_is_told_with_its_line() -> None:
    assert wrong(in_virtual("use_regex = 1", "expect = ("))[0].startswith(
        "line 4: virtual web/expect: expect is not a regular expression"
    )


def test_a_text_longer_than_the_format_allows_is_told() -> None:
    assert wrong(in_virtual("send = " + "x" * 256))[0].startswith("line 3: virtual web/send: ")


def test_a_program_is_a_check_and_what_it_prints_is_compared() -> None:
    text = in_virtual('send_program = "/bin/x -p %p %h"', "expect = OK", "use_regex = 1", port=80)
    check = lvscf.read(text).cluster.virtuals["web"].check.model_dump()
    said = {"type": "exec", "command": ("/bin/x", "-p", "%p", "%h"), "expect": "OK", "regex": True, "user": "nobody"}
    assert check.items() >= (said | {"timeout_s": 10, "reentry_s": 180}).items()
    assert warned(text) == ["line 3: virtual web/send_program: is run as the user nobody, not as root"]


def test_what_is_sent_does_not_count_beside_a_program() -> None:
    text = in_virtual("send = x", "send_program = /bin/x", port=80)
    assert lvscf.read(text).cluster.virtuals["web"].check.type == "exec"
    assert "line 3: virtual web/send: not carried over: send_program stands in its place" in warned(text)


def test_a_program_that_needs_a_shell_is_not_carried_over() -> None:
    text = in_virtual('send_program = "/bin/x %h | grep -c y"', port=80)
    assert lvscf.read(text).cluster.virtuals["web"].check.type == "tcp"
    (told,) = warned(text)
    assert told.startswith(
        "line 3: virtual web/send_program: not carried over, so the check only connects: it is for a"
    )


@pytest.mark.parametrize(
    ("word", "source"), [("rup", "rup"), ("ruptime", "ruptime"), ("none", "none"), ("uptime", "ssh")]
)
def test_the_load_monitor_is_the_source_of_load(word: str, source: str) -> None:
    load = web(f"load_monitor = {word}").load
    assert load.source == source
    if source != "none":
        assert (load.controller, load.interval_s) == ("piranha", 20)
        assert load == Load(source=load.source, controller="piranha", interval_s=20)


def test_load_by_rsh_becomes_load_by_ssh_and_that_is_told() -> None:
    text = in_virtual("load_monitor = uptime")
    assert warned(text) == ["line 3: virtual web/load_monitor: load is read by ssh, not by rsh"]
    assert warned("rsh_command = ssh\n" + text) == []
    assert warned("rsh_command = rsh\n" + text) == [
        "line 1: rsh_command: not carried over: no files are copied, and load is read by ssh"
    ]


def test_a_firewall_mark_stands_for_the_port_which_says_where_servers_are_checked() -> None:
    text = in_virtual("fwmark = 5", "server rs1 {", "address = 10.0.0.1", "}")
    web = lvscf.read(text).cluster.virtuals["web"]
    assert (web.mark, web.port, str(web.address), web.check.port) == (5, None, "1.2.3.1/32", 81)
    assert web.servers["rs1"].port is None
    assert wrong(in_virtual("fwmark = 4294967296"))[0].startswith("line 3: virtual web/fwmark: must be at most")


def test_a_port_of_a_servers_own_behind_a_mark_is_told() -> None:
    text = in_virtual("fwmark = 5", "server rs1 {", "address = 10.0.0.1", "port = 8080", "}")
    (told,) = [each for each in warned(text) if "rs1" in each]
    assert "rs1/port: not carried over: behind a mark" in told


def test_a_virtual_server_may_have_a_firewall_mark_only() -> None:
    web = lvscf.read("virtual web {\nfwmark = 5\n}").cluster.virtuals["web"]
    assert (web.mark, web.address, web.interface, web.check.port) == (5, None, None, 80)


def test_timeouts_of_ipvs_are_carried_over_and_0_leaves_the_kernels() -> None:
    timeouts = lvscf.read("tcp_timeout = 600\ntcpfin_timeout = 0\nudp_timeout = 7").cluster.settings.timeouts
    assert (timeouts.tcp_s, timeouts.tcpfin_s, timeouts.udp_s) == (600, None, 7)


def test_one_service_twice_is_told_with_the_line_of_the_second() -> None:
    text = in_virtual() + "\nvirtual two {\naddress = 1.2.3.1 eth0:2\nport = 81\n}"
    assert wrong(text) == ["line 6: virtual two/address: tcp 1.2.3.1:81 is already virtuals/web"]


# Real servers


def test_a_real_server_is_inactive_with_weight_1_unless_told() -> None:
    text = in_virtual("server rs1 {", "address = 10.0.0.1", "}", port=None)
    server = lvscf.read(text).cluster.virtuals["web"].servers["rs1"]
    assert (server.enabled, server.weight, server.port) == (False, 1, None)
    assert rs1("active = 1").enabled is True


def test_a_server_has_the_port_that_stood_when_its_block_was_opened() -> None:
    text = in_virtual("server a {\naddress = 10.0.0.1\n}\nport = 90\nserver b {\naddress = 10.0.0.2\n}", port=91)
    servers = lvscf.read(text).cluster.virtuals["web"].servers
    assert {name: server.port for name, server in servers.items()} == {"a": 80, "b": 90}


def test_a_server_may_have_a_port_of_its_own() -> None:
    assert rs1("port = http-alt").port == 8080


@pytest.mark.parametrize(
    ("opening", "name"),
    [('"my web"', "my-web"), ("[server_name]", "server_name-"), ("a/b", "a-b"), ("é", "unnamed"), ("a" * 64, "a" * 63)],
)
def test_a_name_that_the_document_cannot_have_is_changed_and_told(opening: str, name: str) -> None:
    reading = lvscf.read(f"virtual {opening} {{\naddress = 1.2.3.4 eth0\n}}")
    assert list(reading.cluster.virtuals) == [name]
    assert str(reading.warnings[0]).endswith(f"is called {name} here")


def test_blocks_of_one_name_all_stay_under_names_of_their_own() -> None:
    text = "".join(f"virtual web {{\naddress = 1.2.3.{n} eth0\n}}\n" for n in range(1, 4))
    assert list(lvscf.read(text).cluster.virtuals) == ["web", "web-2", "web-3"]
    assert warned(text) == ["line 4: virtual web: is called web-2 here", "line 7: virtual web: is called web-3 here"]
