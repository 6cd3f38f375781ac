from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd import keepalived
from clusterd.model import HttpCheck, TcpCheck
from tests.clusterd.fuzz.targets import included, sample
from tests.clusterd.keepalived_files import checked, group, read, virtual, warned, web
from tests.strategies import SCHEDULERS

# Virtual servers


def test_files_as_people_have_them_are_a_cluster() -> None:
    cluster = keepalived.read(sample("keepalived/keepalived.conf"), "eth0", included, "keepalived.conf").cluster
    web, mail, dns, *shop = cluster.virtuals.values()
    assert [name for name in cluster.virtuals if not name.startswith("SHOP")] == [
        "198.51.100.10-80",
        "mail",
        "198.51.100.12-53-udp",
    ]
    assert (str(web.address), web.interface, web.scheduler, web.quiesce) == ("198.51.100.10/24", "eth0", "wrr", True)
    assert [(str(each.address), each.port, each.weight) for each in web.servers.values()] == [
        ("10.20.0.1", 8080, 3),
        ("10.20.0.2", 8080, 1),
    ]
    assert isinstance(web.check, HttpCheck)
    assert (web.check.path, web.check.host) == ("/health?full=1", "www.example.net")
    assert (web.check.status, web.check.fall, web.check.timeout_s) == (("200-204", 301), 3, 2)
    assert (mail.forwarding, list(mail.servers)) == ("direct", ["mx1", "mx2"])
    assert (dns.forwarding, dns.protocol) == ("tunnel", "udp")
    *places, marked = shop
    assert [str(each.address and each.address.ip) for each in places] == [
        f"198.51.100.{host}" for host in (20, 21, 22, 32, 33, 34, 35)
    ]
    assert marked.mark
    assert {name: (str(r.public), str(r.private), r.priority) for name, r in cluster.routers.items()} == {
        "lb-a": ("198.51.100.2", "10.20.0.252", 150),
        "peer-198.51.100.3": ("198.51.100.3", "10.20.0.253", 100),
    }
    assert cluster.settings.nat_router is not None
    assert str(cluster.settings.nat_router.address) == "10.20.0.254/24"
    assert (cluster.settings.heartbeat.keepalive_s, cluster.settings.heartbeat.deadtime_s) == (1.5, 5)


def test_a_virtual_server_has_keepaliveds_defaults() -> None:
    found = web("real_server 10.0.0.1 80 { TCP_CHECK { } }")
    assert (found.scheduler, found.forwarding, found.persistence, found.quiesce) == ("wlc", None, None, False)
    assert found.check == TcpCheck(type="tcp", interval_s=60, timeout_s=5, fall=2, rise=1)
    assert [each.weight for each in found.servers.values()] == [1]


def test_without_a_protocol_it_is_udp_and_that_is_told() -> None:
    lines = ("virtual_server 1.2.3.1 80 {", "}")
    assert read(*lines).cluster.virtuals["1.2.3.1-80-udp"].protocol == "udp"
    assert warned(*lines) == [
        "line 1: virtual_server 1.2.3.1 80: no protocol is said: udp, as keepalived takes it",
        "line 1: virtual_server 1.2.3.1 80: udp, but checked with TCP: servers that take no TCP there count as down",
    ]


@pytest.mark.parametrize(("said", "way"), [("NAT", "nat"), ("DR", "direct"), ("tun", "tunnel")])
@pytest.mark.parametrize("keyword", ["lb_kind", "lvs_method"])
def test_the_way_of_the_virtual_servers_is_the_clusters(keyword: str, said: str, way: str) -> None:
    assert read(*virtual(f"{keyword} {said}")).cluster.settings.forwarding == way


def test_a_real_server_may_go_another_way() -> None:
    assert web("real_server 10.0.0.1 80 { lvs_method DR }").servers["10.0.0.1"].forwarding == "direct"
    assert web("real_server 10.0.0.1 80 { lvs_method NAT }").servers["10.0.0.1"].forwarding is None


def test_a_port_that_the_way_cannot_change_is_left_out_and_told() -> None:
    assert warned(*virtual("lb_kind DR", "real_server 10.0.0.1 81 { TCP_CHECK { } }")) == [
        "line 1: virtual_server 1.2.3.1 80: port 81 of 10.0.0.1 is left out: direct forwarding cannot change it"
    ]


def test_a_real_server_without_a_port_has_the_virtual_servers() -> None:
    assert web("real_server 10.0.0.1 { }").servers["10.0.0.1"].port is None


@pytest.mark.parametrize(("line", "timeout_s"), [("persistence_timeout 50", 50), ("persistence_timeout", 360)])
def test_persistence_lasts_as_the_file_says_or_six_minutes(line: str, timeout_s: int) -> None:
    found = web(line, "persistence_granularity 255.255.0.0").persistence
    assert found is not None
    assert (found.timeout_s, found.prefix) == (timeout_s, 16)


def test_a_persistence_of_no_time_is_none() -> None:
    assert web("persistence_timeout 0").persistence is None


def test_a_granularity_without_persistence_is_told() -> None:
    (told,) = warned(*virtual("persistence_granularity 255.255.0.0"))
    assert told.endswith("without persistence_timeout it has no effect")


def test_servers_that_are_inhibited_when_they_fail_are_quiesced() -> None:
    assert web("inhibit_on_failure").quiesce
    assert web("real_server 10.0.0.1 80 { inhibit_on_failure }").quiesce
    assert not web("real_server 10.0.0.1 80 { inhibit_on_failure no }").quiesce
    mixed = virtual("real_server 10.0.0.1 80 { inhibit_on_failure }", "real_server 10.0.0.2 80 { }")
    assert warned(*mixed) == [
        "line 1: virtual_server 1.2.3.1 80: inhibit_on_failure of some of its real servers is taken for all"
    ]


def test_a_sorry_server_has_the_virtual_servers_port_or_that_is_told() -> None:
    assert str(web("sorry_server 10.0.0.9").sorry_server) == "10.0.0.9"
    assert warned(*virtual("sorry_server 10.0.0.9 80")) == []
    assert warned(*virtual("sorry_server 10.0.0.9 81")) == [
        "line 2: virtual_server 1.2.3.1 80/sorry_server: port 81 is left out: a sorry server has the virtual server's"
    ]


def test_a_name_for_snmp_is_the_name() -> None:
    found = read(*virtual("snmp_name web", "real_server 10.0.0.1 80 { snmp_name rs1 }")).cluster.virtuals
    assert list(found) == ["web"]
    assert list(found["web"].servers) == ["rs1"]


def test_a_quorum_and_its_hysteresis_are_carried_over() -> None:
    assert warned(*virtual("quorum 3", "hysteresis 1")) == []
    for said, found in ((("quorum 3", "hysteresis 1"), (3, 1)), (("quorum 2", "hysteresis 7"), (2, 1)), ((), (1, 0))):
        (only,) = read(*virtual(*said)).cluster.virtuals.values()
        assert (only.quorum, only.hysteresis) == found


# Groups


@pytest.mark.parametrize(
    ("line", "hosts"),
    [
        ("1.2.3.1 80", [1]),
        ("1.2.3.1-3 80", [1, 2, 3]),
        ("1.2.3.1-1.2.3.2 80", [1, 2]),
        ("1.2.3.8/30 80", [8, 9, 10, 11]),
    ],
)
def test_a_group_is_a_virtual_server_for_each_address(line: str, hosts: list[int]) -> None:
    found = read(*group(line)).cluster.virtuals
    assert [str(each.address and each.address.ip) for each in found.values()] == [f"1.2.3.{host}" for host in hosts]
    assert next(iter(found)) == ("G" if len(hosts) == 1 else f"G-1.2.3.{hosts[0]}-80")


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ("2001:db8::1 80", ["1"]),
        ("2001:db8::9-a 80", ["9", "a"]),
        ("2001:db8::1-2001:db8::2 80", ["1", "2"]),
        ("2001:db8::2/127 80", ["2", "3"]),
    ],
)
def test_a_line_of_a_group_may_be_of_ipv6(line: str, last: list[str]) -> None:
    found = read(*group(line)).cluster.virtuals.values()
    assert [str(each.address) for each in found] == [f"2001:db8::{each}/128" for each in last]


def test_a_granularity_of_ipv6_is_a_prefix_length() -> None:
    lines = virtual("persistence_timeout 60", "persistence_granularity 64", head="2001:db8::1 80")
    (found,) = read(*lines).cluster.virtuals.values()
    assert found.persistence is not None
    assert found.persistence.prefix == 64


@pytest.mark.parametrize("head", ["1.2.3.4", "1.2.3.4 0"])
def test_a_virtual_server_that_clusterd_does_not_have_is_told(head: str) -> None:
    (told,) = warned(*virtual(head=head))
    assert told.startswith(f"line 1: virtual_server {head}: the virtual server is not carried over: ")


def test_a_virtual_server_of_sctp_is_one_and_that_it_is_checked_with_tcp_is_told() -> None:
    assert web("protocol SCTP").protocol == "sctp"
    assert warned(*virtual("protocol SCTP")) == [
        "line 1: virtual_server 1.2.3.1 80: sctp, but checked with TCP: servers that take no TCP there count as down"
    ]


# Checks


@pytest.mark.parametrize("kind", ["BFD_CHECK", "FILE_CHECK"])
def test_a_check_that_clusterd_does_not_have_is_tcp_and_that_is_told(kind: str) -> None:
    (told,) = warned(*checked(f"{kind} {{", "misc_path x", "}"))
    assert told.startswith("line 3: virtual_server 1.2.3.1 80/real_server 10.0.0.1 80/" + kind)
    assert web(*checked(f"{kind} {{ }}")[1:-1]).check.type == "tcp"


@pytest.mark.parametrize(
    ("lines", "check"),
    [
        (["PING_CHECK { }"], {"type": "icmp"}),
        (
            ["DNS_CHECK {", "type a", "name www.example.org", "}"],
            {"type": "dns", "record": "A", "name": "www.example.org"},
        ),
        (["DNS_CHECK { }"], {"type": "dns", "record": "SOA", "name": "."}),
        (["UDP_CHECK { }"], {"type": "udp", "expect": None}),
        (["UDP_CHECK {", "require_reply", "}"], {"type": "udp", "expect": "*"}),
        (["SMTP_CHECK {", "helo_name lb.example.org", "}"], {"type": "smtp", "hello": "lb.example.org"}),
        (["TCP_CHECK {", "connect_port 8080", "}"], {"type": "tcp", "port": 8080}),
        (["SSL_GET { }"], {"type": "https", "verify": False, "path": "/", "server_name": None}),
        (
            ["SSL_GET {", "enable_sni", "url { path /up", "virtualhost a.org", "} }"],
            {"type": "https", "server_name": "a.org", "host": "a.org", "path": "/up"},
        ),
        (
            ["HTTP_GET {", "url {", "digest 5D41402ABC4B2A76B9719D911017C592", "regex ^hel+o", "} }"],
            {"digest": "md5:5d41402abc4b2a76b9719d911017c592", "body": "^hel+o", "status": ("200-299",)},
        ),
        (
            ["MISC_CHECK {", "misc_path \"/usr/lib/ok -x 'a b'\"", "misc_timeout 7", "user check", "}"],
            {
                "type": "exec",
                "command": ("/usr/lib/ok", "-x", "a b"),
                "user": "check",
                "timeout_s": 7,
                "interval_s": 60,
            },
        ),
    ],
)
def test_a_checker_becomes_the_check_that_does_the_same(lines: list[str], check: dict[str, object]) -> None:
    assert web(*checked(*lines)[1:-1]).check.model_dump().items() >= check.items()
    assert warned(*checked(*lines)) == []


def test_a_program_is_not_run_as_root_and_that_is_told() -> None:
    lines = checked("MISC_CHECK {", "misc_path /usr/lib/ok", "}")
    assert web(*lines[1:-1]).check.model_dump().items() >= {"type": "exec", "user": "nobody", "timeout_s": 60}.items()
    assert [told.split(": ")[-1] for told in warned(*lines)] == [
        "is run as the user nobody, unless `user` of the check says otherwise"
    ]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ('"/bin/a | /bin/b"', "it is for a shell, and clusterd uses none: put it into a script"),
        ("ok.sh", "clusterd needs the program's full path"),
        ('"/bin/a \'b"', "its quotes are not closed: No closing quotation"),
    ],
)
def test_a_program_that_needs_a_shell_is_not_carried_over(path: str, why: str) -> None:
    lines = checked("MISC_CHECK {", f"misc_path {path}", "}")
    assert web(*lines[1:-1]).check.type == "tcp"
    (told,) = warned(*lines)
    assert told.endswith(f"/misc_path: not carried over, so the check connects with TCP: {why}")


def test_a_regular_expression_that_python_does_not_have_is_told() -> None:
    (told,) = warned(*checked("HTTP_GET {", "url {", "regex (?>a)(", "} }"))
    assert "/regex: not carried over: is not a regular expression: " in told


def test_a_server_without_a_check_is_told() -> None:
    told = [str(warning) for warning in read(*checked()).warnings]
    assert (
        "line 2: virtual_server 1.2.3.1 80/real_server 10.0.0.1 80: has no check: clusterd connects to it with TCP"
        in told
    )


def test_a_get_without_a_url_asks_for_the_root() -> None:
    check = web("virtualhost a.org", *checked("HTTP_GET { }")[1:-1]).check
    assert isinstance(check, HttpCheck)
    assert (check.path, check.host, check.status) == ("/", "a.org", ("200-299",))


def test_another_version_of_http_is_told() -> None:
    assert warned(*checked("HTTP_GET {", "http_protocol 1.1", "}")) == []
    (told,) = warned(*checked("HTTP_GET {", "http_protocol 1.0C", "}"))
    assert told.endswith("/HTTP_GET/http_protocol: not carried over: clusterd speaks HTTP/1.1")


def test_the_nearest_host_name_counts() -> None:
    check = web(
        "virtualhost a.org", *checked("virtualhost b.org", "HTTP_GET { url {", "virtualhost c.org", "} }")[1:-1]
    ).check
    assert isinstance(check, HttpCheck)
    assert check.host == "c.org"


def test_all_urls_are_asked_for() -> None:
    lines = checked("HTTP_GET {", "url { path /a }", "url { path /b", "status_code 200 301-302", "} }")
    check = web(*lines[1:-1]).check
    assert isinstance(check, HttpCheck)
    assert [(page.path, page.status) for page in check.pages] == [("/a", ("200-299",)), ("/b", (200, "301-302"))]
    assert warned(*lines) == []


def test_of_several_checks_the_first_that_clusterd_has_is_taken_and_the_others_are_told() -> None:
    lines = checked("FILE_CHECK { }", "TCP_CHECK { }", "HTTP_GET { }")
    assert web(*lines[1:-1]).check.type == "tcp"
    assert [told.split(":")[0] for told in warned(*lines)] == ["line 3", "line 5"]


def test_servers_that_are_checked_in_different_ways_are_told() -> None:
    lines = virtual("real_server 10.0.0.1 80 { TCP_CHECK { } }", "real_server 10.0.0.2 80 { HTTP_GET { } }")
    assert web(*lines[1:-1]).check.type == "tcp"
    (told,) = warned(*lines)
    assert told.startswith("line 3: virtual_server 1.2.3.1 80/real_server 10.0.0.2 80: its check differs")


def test_the_times_of_a_check_count_more_than_its_servers_and_these_more_than_the_virtual_servers() -> None:
    around = ("delay_loop 1.5", "connect_timeout 11", "retry 21")
    check = web(*around, *checked("connect_timeout 12", "retry 22", "TCP_CHECK {", "retry 23", "}")[1:-1]).check
    assert (check.interval_s, check.timeout_s, check.fall, check.rise) == (1.5, 12, 24, 1)
    assert web(*around).check.interval_s == 1.5
    assert web(*checked("HTTP_GET {", "nb_get_retry 5", "}")[1:-1]).check.fall == 6


def test_a_delay_before_retries_that_differs_from_the_interval_is_told() -> None:
    (told,) = warned(*virtual("delay_before_retry 3"))
    assert told.startswith("line 2: virtual_server 1.2.3.1 80/delay_before_retry: not carried over")
    assert warned(*virtual("delay_before_retry 60")) == []
    assert warned(*virtual("delay_before_retry 3", "retry 0")) == []


WAYS = {"nat": "NAT", "direct": "DR", "tunnel": "TUN"}


@st.composite
def written(draw: st.DrawFn) -> tuple[list[str], list[Any]]:
    """A file, and what it must be read as."""
    lines: list[str] = []
    expected: list[Any] = []
    for number in range(draw(st.integers(0, 3))):
        port, protocol = draw(st.integers(1, 65535)), draw(st.sampled_from(["tcp", "udp"]))
        scheduler, way = draw(st.sampled_from(SCHEDULERS)), draw(st.sampled_from(list(WAYS)))
        delay_s, retry = draw(st.integers(1, 3600)), draw(st.integers(0, 999))
        lines += [f"virtual_server 10.9.0.{number} {port} {{", f"protocol {protocol.upper()}", f"lvs_sched {scheduler}"]
        lines += [f"lvs_method {WAYS[way]}", f"delay_loop {delay_s}", f"retry {retry}"]
        servers = []
        for host in range(draw(st.integers(0, 3))):
            own = draw(st.integers(1, 65535)) if way == "nat" else port
            weight = draw(st.integers(0, 65535))
            lines.append(f"real_server 10.8.0.{host} {own} {{ weight {weight} \nTCP_CHECK {{\n}}\n}}")
            servers.append((f"10.8.0.{host}", own, weight))
        lines.append("}")
        expected.append((f"10.9.0.{number}", port, protocol, scheduler, way, delay_s, retry + 1, servers))
    return lines, expected


@given(written())
@settings(max_examples=150)
def test_everything_that_the_file_says_of_a_virtual_server_is_there(given: tuple[list[str], list[Any]]) -> None:
    lines, expected = given
    cluster = read(*lines).cluster
    found = []
    for each in cluster.virtuals.values():
        servers = [(str(one.address), one.port or each.port, one.weight) for one in each.servers.values()]
        way = each.forwarding or cluster.settings.forwarding
        times = (each.check.interval_s, each.check.fall)
        found.append(
            (str(each.address and each.address.ip), each.port, each.protocol, each.scheduler, way, *times, servers)
        )
    assert found == expected
