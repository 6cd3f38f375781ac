from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd import ldirectord
from clusterd.errors import ConfigError
from clusterd.ldirectord.grammar import GLOBAL, VIRTUAL
from clusterd.model import HttpCheck, HttpsCheck, SendExpectCheck, TcpCheck, Virtual
from clusterd.reading import Reading
from tests.clusterd.fuzz.targets import sample


def read(*lines: str, interface: str | None = "eth0") -> Reading:
    return ldirectord.read("\n".join(lines), interface)


def file(*lines: str, port: int | str = 80, top: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return a file with one virtual server; what is added begins in line 2, after what stands on top."""
    return (*top, f"virtual=1.2.3.1:{port}", *(f"\t{line}" for line in lines))


def web(*lines: str, port: int | str = 80, top: tuple[str, ...] = ()) -> Virtual:
    (virtual,) = read(*file(*lines, port=port, top=top)).cluster.virtuals.values()
    return virtual


def warned(*lines: str) -> list[str]:
    return [str(warning) for warning in read(*lines).warnings]


def wrong(*lines: str, interface: str | None = "eth0") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(*lines, interface=interface)
    return [str(problem) for problem in caught.value.problems]


REAL = "real=10.0.0.1:80 masq"


# Virtual servers


def test_a_file_as_people_have_it_is_a_cluster() -> None:
    cluster = ldirectord.read(sample("ldirectord/ldirectord.cf"), "eth0").cluster
    assert list(cluster.virtuals) == [
        "198.51.100.10-80",
        "198.51.100.10-443",
        "198.51.100.11-25",
        "198.51.100.12-53-udp",
        "198.51.100.13-4000",
        "mark-7",
    ]
    shop, tls, mail, dns, own, marked = cluster.virtuals.values()
    assert (marked.mark, marked.port) == (7, None)
    assert [str(each.address) for each in shop.servers.values()] == [f"10.20.0.{n}" for n in (1, 2, 3, 7)]
    assert [each.weight for each in shop.servers.values()] == [5, 5, 5, 1]
    assert (shop.scheduler, shop.quiesce, str(shop.sorry_server)) == ("wlc", True, "127.0.0.1")
    assert shop.persistence is not None
    assert (shop.persistence.timeout_s, shop.persistence.prefix) == (600, 24)
    assert (mail.scheduler, mail.quiesce, str(mail.sorry_server)) == ("sed", False, "10.20.0.99")
    assert (tls.check.type, dns.protocol, dns.forwarding, own.servers["10.20.0.51"].port) == (
        "tcp",
        "udp",
        "tunnel",
        4001,
    )


def test_a_virtual_server_has_ldirectords_defaults() -> None:
    virtual = web(REAL, "checktype=connect")
    assert (virtual.scheduler, virtual.protocol, virtual.quiesce, virtual.persistence) == ("wrr", "tcp", False, None)
    assert virtual.check == TcpCheck(type="tcp", interval_s=10, timeout_s=5, fall=1, rise=1)


def test_an_empty_file_is_an_empty_cluster() -> None:
    assert read().cluster.virtuals == {}
    assert read("# words", "", "  # more words").warnings == ()


def test_comments_end_lines_and_stand_between_the_directives_of_a_virtual_server() -> None:
    virtual = web("scheduler=rr # fair", "# words", "quiescent=yes")
    assert (virtual.scheduler, virtual.quiesce) == ("rr", True)


def test_four_spaces_indent_as_a_tab_does() -> None:
    assert read("virtual=1.2.3.1:80", "    scheduler=rr").cluster.virtuals["1.2.3.1-80"].scheduler == "rr"


def test_the_port_may_be_the_name_of_a_service() -> None:
    assert web(REAL, port="http").port == 80


def test_port_53_is_udp_unless_the_file_says_tcp() -> None:
    assert web(port=53).protocol == "udp"
    assert web("protocol=tcp", port=53).protocol == "tcp"


@pytest.mark.parametrize(("said", "way"), [("masq", "nat"), ("gate", "direct"), ("ipip", "tunnel")])
def test_the_way_of_the_real_servers_is_the_clusters(said: str, way: str) -> None:
    reading = read(*file(f"real=10.0.0.1:80 {said}"))
    assert reading.cluster.settings.forwarding == way
    assert reading.cluster.virtuals["1.2.3.1-80"].forwarding is None


def test_a_real_server_that_goes_another_way_says_so() -> None:
    servers = web("real=10.0.0.1:80 gate", "real=10.0.0.2:80 ipip 3").servers
    assert [(each.forwarding, each.weight) for each in servers.values()] == [(None, 1), ("tunnel", 3)]


def test_checktype_off_activates_no_real_server() -> None:
    assert [each.enabled for each in web(REAL, "checktype=off").servers.values()] == [False]


def test_a_port_that_the_way_cannot_change_is_left_out_and_told() -> None:
    assert "line 2: virtual=1.2.3.1:80/real: port 81 is left out: direct forwarding cannot change it" in warned(
        *file("real=10.0.0.1:81 gate")
    )


def test_persistence_without_a_netmask_is_of_each_client() -> None:
    persistence = web("persistent=60").persistence
    assert persistence is not None
    assert (persistence.timeout_s, persistence.prefix) == (60, None)


def test_a_netmask_without_persistence_is_told() -> None:
    assert any("without persistent it has no effect" in each for each in warned(*file("netmask=255.255.255.0")))


def test_a_directive_that_stands_twice_counts_the_last_time_and_that_is_told() -> None:
    assert web("scheduler=rr", "scheduler=lc").scheduler == "lc"
    assert "line 3: virtual=1.2.3.1:80/scheduler: stands twice, first in line 2: the last one counts" in warned(
        *file("scheduler=rr", "scheduler=lc")
    )


@pytest.mark.parametrize("six", ["", "6"])
def test_addresses_of_ipv6_stand_in_brackets(six: str) -> None:
    lines = [f"virtual{six}=[2001:db8::1]:80", f"\treal{six}=[2001:DB8::2]->[2001:db8::3]:8080 masq 3"]
    lines += ["\tpersistent=60", "\tnetmask=64", f"\tfallback{six}=[2001:db8::9]:80"]
    (found,) = read(*lines).cluster.virtuals.values()
    assert (str(found.address), str(found.sorry_server)) == ("2001:db8::1/128", "2001:db8::9")
    assert {name: (str(each.address), each.port, each.weight) for name, each in found.servers.items()} == {
        "2001-db8-2": ("2001:db8::2", 8080, 3),
        "2001-db8-3": ("2001:db8::3", 8080, 3),
    }
    assert found.persistence is not None
    assert found.persistence.prefix == 64


def test_a_range_is_of_one_family() -> None:
    (told,) = wrong(*file("real=10.0.0.1->[2001:db8::1]:80 masq"))
    assert told.endswith("10.0.0.1 and 2001:db8::1 are of different families")


def test_without_an_interface_it_is_told_what_to_give() -> None:
    assert wrong("virtual=1.2.3.1:80", interface=None) == [
        "line 1: virtual=1.2.3.1:80: which interface carries 1.2.3.1 is not said: give it with --interface"
    ]


# The sorry server


def test_a_fallback_of_all_virtual_servers_gives_way_to_one_of_its_own() -> None:
    assert str(web(top=("fallback=10.0.0.9",)).sorry_server) == "10.0.0.9"
    assert str(web("fallback=10.0.0.8:80 masq", top=("fallback=10.0.0.9",)).sorry_server) == "10.0.0.8"


def test_what_a_sorry_server_cannot_have_of_its_own_is_told() -> None:
    told = warned(*file(REAL, "fallback=10.0.0.8:81 gate"))
    assert "line 3: virtual=1.2.3.1:80/fallback: port 81 is left out: a sorry server of 1.2.3.1-80 has" in told[1]
    assert "1.2.3.1-80 reaches it by nat forwarding" in told[0]


# Checks


def test_a_request_is_a_get_that_is_answered_with_success() -> None:
    check = web("request=index.html", "virtualhost=www.example.org", "httpmethod=GET").check
    assert isinstance(check, HttpCheck)
    assert (check.path, check.host, check.status) == ("/index.html", "www.example.org", ("200-299",))


def test_what_must_be_received_is_searched_for_in_an_answer_of_success() -> None:
    check = web('request="/up"', 'receive="al+ good"', 'virtualhost="a.org"').check
    assert isinstance(check, SendExpectCheck)
    assert check.send == r"GET /up HTTP/1.0\r\nHost: a.org\r\n\r\n"
    assert (check.expect, check.regex) == (r"^HTTP/1\.[01] 2[\s\S]*(?:al+ good)", True)


def test_a_head_request_is_sent_as_one() -> None:
    check = web("httpmethod=head").check
    assert isinstance(check, HttpCheck)
    assert (check.method, check.status) == ("HEAD", ("200-299",))


def test_https_takes_every_certificate_and_searches_the_body() -> None:
    check = web('request="/up"', 'receive="al+ good"', "virtualhost=a.org", port=443).check
    assert isinstance(check, HttpsCheck)
    assert (check.path, check.body, check.host, check.verify) == ("/up", "al+ good", "a.org", False)
    (told,) = warned(*file("receive=(", port=443))
    assert "/receive: not carried over: is not a regular expression" in told


@pytest.mark.parametrize(
    ("port", "lines", "check"),
    [
        (25, (), {"type": "smtp"}),
        (587, (), {"type": "smtp"}),
        (53, (), {"type": "dns", "record": "SOA"}),
        (53, ("request=a.org",), {"type": "dns", "record": "A", "name": "a.org"}),
        (3306, (), {"type": "mysql"}),
        (5432, (), {"type": "postgres"}),
        (80, ("checktype=ping",), {"type": "icmp"}),
        (80, ("checktype=connect", "checkport=8080"), {"type": "tcp", "port": 8080}),
        (
            80,
            ("checktype=external", "checkcommand=/usr/lib/ok"),
            {"type": "exec", "command": ("/usr/lib/ok", "", "", "%h", "%p")},
        ),
    ],
)
def test_a_service_is_spoken_to(port: int, lines: tuple[str, ...], check: dict[str, object]) -> None:
    assert web(*lines, port=port).check.model_dump().items() >= check.items()


def test_a_program_without_its_full_path_is_not_carried_over() -> None:
    assert web("checktype=external", "checkcommand=ok").check.type == "tcp"
    assert any(
        "needs the program's full path" in each for each in warned(*file("checktype=external", "checkcommand=ok"))
    )


def test_what_real_servers_are_asked_counts_more_than_what_the_virtual_server_says() -> None:
    check = web('real=10.0.0.1:80 masq 1 "own.html", "mine"', "request=all.html").check
    assert isinstance(check, SendExpectCheck)
    assert check.send == r"GET /own.html HTTP/1.0\r\n\r\n"


def test_real_servers_that_are_asked_in_different_ways_are_told() -> None:
    told = warned(*file('real=10.0.0.1:80 masq 1 "a", "b"', "real=10.0.0.2:80 masq"))
    assert "line 1: virtual=1.2.3.1:80: its real servers are checked in different ways: the first way is taken" in told


@pytest.mark.parametrize("receive", ["(", "[[:alpha:]]", "x" * 256])
def test_what_clusterd_cannot_search_for_is_told_and_the_status_decides(receive: str) -> None:
    lines = file(f'receive="{receive}"')
    (told,) = warned(*lines)
    assert told.startswith("line 2: virtual=1.2.3.1:80/receive: not carried over: ")
    assert read(*lines).cluster.virtuals["1.2.3.1-80"].check.type == "http"


def test_a_text_of_a_real_server_that_clusterd_cannot_search_for_is_told() -> None:
    (told,) = warned(*file('real=10.0.0.1:80 masq 1 "a", "("'))
    assert told.startswith("line 1: virtual=1.2.3.1:80/receive: not carried over: ")


def test_simpletcp_sends_and_searches() -> None:
    check = web("service=simpletcp", r'request="PING\n"', 'receive="PONG"', port=4000).check
    assert isinstance(check, SendExpectCheck)
    assert (check.send, check.expect, check.regex) == (r"PING\n", "PONG", True)
    assert web("service=simpletcp", "receive=(", port=4000).check.type == "tcp"


@pytest.mark.parametrize(("port", "greeting"), [(21, "220"), (110, "+OK"), (143, "* OK")])
def test_of_a_service_that_speaks_first_the_greeting_is_checked_and_that_is_told(port: int, greeting: str) -> None:
    check = web(port=port).check
    assert isinstance(check, SendExpectCheck)
    assert (check.send, check.expect) == (None, greeting)
    assert len(warned(*file(port=port))) == 1


@pytest.mark.parametrize("port", [389, 7777])
def test_a_service_that_clusterd_cannot_speak_is_checked_with_tcp_and_that_is_told(port: int) -> None:
    assert web(port=port).check.type == "tcp"
    (told,) = warned(*file(port=port))
    assert told.endswith("clusterd connects to each real server with TCP")


@pytest.mark.parametrize("kind", ["external-perl", "on", "off"])
def test_a_check_that_clusterd_does_not_have_is_tcp_and_that_is_told(kind: str) -> None:
    assert web(f"checktype={kind}").check.type == "tcp"
    assert warned(*file(f"checktype={kind}")) == [
        f"line 2: virtual=1.2.3.1:80/checktype: clusterd has no check {kind}: it connects to each real server with TCP"
    ]


def test_negotiating_now_and_then_becomes_always() -> None:
    assert web("checktype=3").check.type == "http"
    assert warned(*file("checktype=3")) == [
        "line 2: virtual=1.2.3.1:80/checktype: not carried over: clusterd negotiates every time"
    ]


def test_what_a_check_does_not_use_is_told() -> None:
    told = warned(*file("checktype=connect", "request=a", "receive=b", "virtualhost=c", "httpmethod=HEAD"))
    assert [each.split("/")[1].split(":")[0] for each in told] == ["request", "receive", "virtualhost", "httpmethod"]


def test_checks_may_have_a_port_of_their_own() -> None:
    assert web("checkport=8080", REAL).check.port == 8080
    assert web(REAL).check.port is None


def test_a_mark_is_checked_at_the_port_that_its_service_has_unless_another_is_said() -> None:
    def marked(*lines: str) -> Virtual:
        (virtual,) = read("virtual=5", *(f"\t{line}" for line in lines), interface=None).cluster.virtuals.values()
        return virtual

    assert (marked().mark, marked().address, marked().protocol) == (5, None, "tcp")
    gate = "real=10.0.0.1 gate"
    assert marked(gate, "service=https").check.port == 443
    assert marked(gate, "checkport=8080").check.port == 8080
    assert marked("real=10.0.0.1:81 gate").check.port == 81
    assert marked("real=10.0.0.1:81 masq").servers["10.0.0.1"].port == 81
    assert marked(gate).check.port == 80
    (told,) = [each for each in warned("virtual=5", f"\t{gate}") if "stands in" in each]
    assert told == "line 1: virtual=5: no port says what is checked: 80 stands in, see check/port"


def test_one_packet_scheduling_is_for_udp() -> None:
    assert web("ops=yes", "protocol=udp").one_packet
    assert not web("ops=yes").one_packet
    assert any("ops: not carried over: it is for udp" in each for each in warned(*file("ops=yes")))
    (marked,) = read("virtual=5", "\tops=yes", "\tprotocol=fwm").cluster.virtuals.values()
    assert (marked.one_packet, marked.protocol) == (True, "udp")


@pytest.mark.parametrize("line", ["virtual=0", "virtual=4294967296"])
def test_a_mark_is_a_number_from_1_on(line: str) -> None:
    (told,) = wrong(line)
    assert "a firewall mark is a number from 1 to 4294967295" in told
    assert any("fwm is expected" in each for each in wrong("virtual=5", "\tprotocol=tcp"))


@pytest.mark.parametrize(
    ("top", "own", "connect_s", "negotiate_s"),
    [
        ((), (), 5, 30),
        (("checktimeout=7",), (), 7, 7),
        (("negotiatetimeout=8",), (), 8, 8),
        (("checktimeout=7", "negotiatetimeout=8"), (), 7, 8),
        (("checktimeout=7", "negotiatetimeout=8"), ("checktimeout=2",), 2, 2),
        (("checktimeout=7", "negotiatetimeout=8"), ("checktimeout=2", "negotiatetimeout=3"), 2, 3),
    ],
)
def test_the_two_timeouts_stand_in_for_each_other(
    top: tuple[str, ...], own: tuple[str, ...], connect_s: int, negotiate_s: int
) -> None:
    assert web("checktype=connect", *own, top=top).check.timeout_s == connect_s
    assert web(*own, top=top).check.timeout_s == negotiate_s


def test_an_interval_of_its_own_needs_forking() -> None:
    assert web("checkinterval=3", top=("fork=yes", "checkinterval=20")).check.interval_s == 3
    assert web("checkinterval=3", top=("checkinterval=20",)).check.interval_s == 20
    assert any("no effect without fork = yes" in each for each in warned(*file("checkinterval=3")))


def test_failures_are_counted_as_the_file_says() -> None:
    assert web(top=("failurecount=4",)).check.fall == 4
    assert web("failurecount=5", top=("failurecount=4",)).check.fall == 5


def test_a_check_with_tcp_of_udp_is_told() -> None:
    assert any("udp, but checked with TCP" in each for each in warned(*file("checktype=connect", port=53)))
    assert not any("udp, but" in each for each in warned(*file(port=53)))


# What clusterd does not have


@pytest.mark.parametrize("word", [word for word, why in GLOBAL.items() if why])
def test_a_global_directive_that_is_not_carried_over_is_told(word: str) -> None:
    assert warned(f"{word}=x") == [f"line 1: {word}: not carried over: {GLOBAL[word]}"]


@pytest.mark.parametrize("word", [word for word, why in VIRTUAL.items() if why])
def test_a_directive_of_a_virtual_server_that_is_not_carried_over_is_told(word: str) -> None:
    assert f"line 2: virtual=1.2.3.1:80/{word}: not carried over: {VIRTUAL[word]}" in warned(*file(f"{word}=x"))


@pytest.mark.parametrize("line", ["autoreload=yes", "cleanstop=yes", "checkcount=1", "supervised=no"])
def test_a_value_that_asks_for_nothing_loses_nothing(line: str) -> None:
    assert warned(line) == []


def test_a_bare_supervised_is_one_that_ldirectord_reads() -> None:
    assert len(warned("supervised")) == 1


# Nonsense


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("checktimeout", "a line is KEY = VALUE, not 'checktimeout'"),
        ("%", "a line is KEY = VALUE, not '%'"),
        ("chektimeout=3", "did you mean checktimeout?"),
        ("checktimeout=x", "a number is expected, not 'x'"),
        ("checktimeout=0", "must be above 0"),
        ("fork=maybe", "yes or no is expected, not 'maybe'"),
        ("fallback=", "a fallback server is written"),
        ("fallback=10.0.0.1 nat", "a fallback server is written"),
        ("fallback=web", "'web' is a name"),
        ("\tscheduler=rr", "indented, but there is no virtual= above it"),
        ("virtual=web:80", "'web' is a name"),
        ("virtual=1.2.3.1", "port expected"),
        ("virtual=1.2.3.1:x", "port expected"),
        ("virtual=1.2.3.1:0", "every port needs persistence"),
    ],
)
def test_nonsense_is_a_problem_with_its_line(line: str, message: str) -> None:
    (told,) = wrong("", line)
    assert told.startswith("line 2: ")
    assert message in told


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("real=10.0.0.1:80", "a real server is written"),
        ("real=10.0.0.1:80 nat", "masq, gate or ipip is expected, not 'nat'"),
        ("real=rs1:80 masq", "'rs1' is a name"),
        ("real=10.0.0.2->10.0.0.1:80 masq", "goes backwards"),
        ("real=10.0.0.2->10.9.0.1:80 masq", "too many for one range"),
        ("real=10.0.0.2:80 masq 65536", "must be at most 65535"),
        ("real=10.0.0.2:80 masq 99999999999999999999", "a number is expected"),
        ("reel=10.0.0.2:80 masq", "did you mean real?"),
        ("scheduler=best", "unknown value 'best'"),
        ("protocol=sctp", "tcp or udp is expected"),
        ("service=htp", "did you mean http?"),
        ("checktype=pong", "did you mean ping?"),
        ("persistent=x", "a number is expected"),
        ("netmask=1.2.3.4", "netmask expected"),
        ("quiescent=1", "yes or no is expected"),
        ("request=a b", "a path begins with /"),
        ("virtualhost=a b", "a host is a name"),
        ("fallback=", "a fallback server is written"),
    ],
)
def test_nonsense_in_a_virtual_server_is_a_problem_with_its_line(line: str, message: str) -> None:
    (told,) = wrong(*file(line))
    assert told.startswith("line 2: virtual=1.2.3.1:80/")
    assert message in told


WAYS = {"nat": "masq", "direct": "gate", "tunnel": "ipip"}


@st.composite
def written(draw: st.DrawFn) -> tuple[list[str], list[Any]]:
    """A file, and what it must be read as."""
    lines: list[str] = []
    expected: list[Any] = []
    for number in range(draw(st.integers(0, 3))):
        port = draw(st.integers(1, 65535))
        timeout_s, fall = draw(st.integers(1, 600)), draw(st.integers(1, 1000))
        lines += [f"virtual=10.9.0.{number}:{port}", "\tchecktype=connect", f"\tchecktimeout={timeout_s}"]
        lines += [f"\tfailurecount={fall}", "\tprotocol=tcp"]
        servers = []
        for host in range(draw(st.integers(0, 3))):
            way, weight = draw(st.sampled_from(list(WAYS))), draw(st.integers(0, 65535))
            own = draw(st.integers(1, 65535)) if way == "nat" else port
            lines.append(f"\treal=10.8.0.{host}:{own} {WAYS[way]} {weight}")
            servers.append((f"10.8.0.{host}", own, way, weight))
        expected.append((f"10.9.0.{number}", port, timeout_s, fall, servers))
    return lines, expected


@given(written())
@settings(max_examples=200)
def test_everything_that_the_file_says_of_a_virtual_server_is_there(given: tuple[list[str], list[Any]]) -> None:
    lines, expected = given
    cluster = read(*lines).cluster
    found = []
    for virtual in cluster.virtuals.values():
        way = virtual.forwarding or cluster.settings.forwarding
        servers = [
            (str(each.address), each.port or virtual.port, each.forwarding or way, each.weight)
            for each in virtual.servers.values()
        ]
        found.append(
            (
                str(virtual.address and virtual.address.ip),
                virtual.port,
                virtual.check.timeout_s,
                virtual.check.fall,
                servers,
            )
        )
    assert found == expected
