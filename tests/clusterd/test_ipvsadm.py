from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clusterd import ipvsadm
from clusterd.errors import ConfigError
from clusterd.model import Cluster, Persistence, Tunnel, Virtual
from tests.clusterd.fuzz.targets import sample
from tests.strategies import SCHEDULERS

WEB = "-A -t 1.2.3.1:80 -s rr"


def read(*lines: str, interface: str | None = "eth0") -> Cluster:
    return ipvsadm.read("\n".join(lines), interface).cluster


def only(*lines: str) -> Virtual:
    (virtual,) = read(*lines).virtuals.values()
    return virtual


def warned(*lines: str) -> list[str]:
    told = [str(warning) for warning in ipvsadm.read("\n".join(lines), "eth0").warnings]
    return [each for each in told if not each.startswith("ipvsadm knows no checks")]


def wrong(*lines: str, interface: str | None = "eth0") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(*lines, interface=interface)
    return [str(problem) for problem in caught.value.problems]


def test_what_ipvsadm_saved_is_a_cluster() -> None:
    cluster = ipvsadm.read(sample("ipvsadm/saved.rules"), "eth0").cluster
    web, dns, marked, six, signal = cluster.virtuals.values()
    assert list(cluster.virtuals) == [
        "198.51.100.10-80",
        "198.51.100.11-53-udp",
        "mark-7",
        "2001-db8-1-80",
        "198.51.100.12-80-sctp",
    ]
    assert [str(each.address) for each in six.servers.values()] == ["2001:db8::2"]
    assert (marked.mark, marked.address, signal.protocol) == (7, None, "sctp")
    assert (dns.flags, dns.one_packet) == (("sh-port", "sh-fallback"), True)
    assert dns.servers["10.20.0.41"].tunnel == Tunnel(type="gue", port=6080)
    assert (web.servers["10.20.0.2"].upper_threshold, web.servers["10.20.0.2"].lower_threshold) == (100, 50)
    assert (str(web.address), web.interface, web.port, web.protocol) == ("198.51.100.10/32", "eth0", 80, "tcp")
    assert web.persistence is not None
    assert (web.persistence.timeout_s, web.persistence.prefix) == (600, 24)
    assert {name: (each.port, each.weight, each.forwarding) for name, each in web.servers.items()} == {
        "10.20.0.1": (None, 3, None),
        "10.20.0.2": (8080, 1, None),
        "10.20.0.3": (None, 0, "direct"),
    }
    assert (cluster.settings.forwarding, web.forwarding, dns.forwarding, dns.scheduler) == (
        "direct",
        "nat",
        "tunnel",
        "sh",
    )


def test_a_script_with_long_options_and_names_of_services_is_read_too() -> None:
    cluster = ipvsadm.read(sample("ipvsadm/script.rules"), "eth0").cluster
    (web,) = cluster.virtuals.values()
    assert (web.port, web.scheduler) == (80, "rr")
    assert web.persistence is not None
    assert web.persistence.timeout_s == 300
    assert [each.weight for each in web.servers.values()] == [1, 5]


def test_the_way_that_ipvsadm_takes_where_none_is_said_is_direct() -> None:
    assert read(WEB, "-a -t 1.2.3.1:80 -r 10.0.0.1:80").settings.forwarding == "direct"


def test_a_service_without_real_servers_goes_the_clusters_way() -> None:
    assert only(WEB).forwarding is None


def test_two_ports_of_one_host_are_two_servers() -> None:
    names = only(WEB, "-a -t 1.2.3.1:80 -r 10.0.0.1:81 -m", "-a -t 1.2.3.1:80 -r 10.0.0.1:82 -m").servers
    assert list(names) == ["10.0.0.1", "10.0.0.1-82"]


def test_that_every_server_is_checked_with_tcp_is_told_once() -> None:
    told = ipvsadm.read(WEB, "eth0").warnings
    assert [str(warning) for warning in told] == [
        "ipvsadm knows no checks: every real server is checked by connecting to it with TCP"
    ]
    assert ipvsadm.read("").warnings == ()


def test_a_check_with_tcp_of_something_else_is_told() -> None:
    assert warned("-A -u 1.2.3.1:53 -s rr") == [
        "line 1: 1.2.3.1:53: udp, but checked with TCP: servers that take no TCP there count as down"
    ]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("-A -t 1.2.3.1:0", "is not persistent"),
        ("-A -t 1.2.3.1", "is not persistent"),
    ],
)
def test_a_service_that_clusterd_does_not_have_is_left_out_with_its_servers_and_told(line: str, why: str) -> None:
    service = line.split()[1:3]
    (told,) = warned(line, f"-a {' '.join(service)} -r 10.0.0.1:80 -m")
    assert told.startswith(f"line 1: {service[1]}: the virtual server is not carried over: ")
    assert why in told
    assert read(line).virtuals == {}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("-x 5", {"upper_threshold": 5}),
        ("-x 5 -y 5", {"upper_threshold": 5, "lower_threshold": 5}),
        ("-i --tun-type gue --tun-port 6080", {"tunnel": Tunnel(type="gue", port=6080)}),
        ("-i --tun-type gue --tun-port 1 --tun-remcsum", {"tunnel": Tunnel(type="gue", port=1, checksum="remcsum")}),
        ("-i --tun-type gre --tun-csum", {"tunnel": Tunnel(type="gre", checksum="csum")}),
        ("-i --tun-type ipip", {"tunnel": None}),
    ],
)
def test_limits_and_tunnels_of_a_server_are_carried_over(options: str, found: dict[str, Any]) -> None:
    server = only(WEB, f"-a -t 1.2.3.1:80 -r 10.0.0.1:80 {options}").servers["10.0.0.1"]
    assert {key: getattr(server, key) for key in found} == found


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("-s sh -b sh-port", ("sh-port",)),
        ("-s sh -b flag-1,flag-2", ("sh-fallback", "sh-port")),
        ("-s mh -b mh-port,mh-fallback", ("mh-port", "mh-fallback")),
    ],
)
def test_flags_of_a_scheduler_are_carried_over(line: str, flags: tuple[str, ...]) -> None:
    assert only(f"-A -t 1.2.3.1:80 {line}").flags == flags


def test_one_packet_scheduling_and_the_persistence_engine_are_carried_over() -> None:
    voice = only("-A -u 1.2.3.1:5060 -p 60 --pe sip -o")
    assert voice.persistence is not None
    assert (voice.persistence.engine, voice.one_packet) == ("sip", True)
    marked = only("-A -f 5 -s rr -o")
    assert (marked.one_packet, marked.protocol) == (True, "udp")


@pytest.mark.parametrize("option", ["-b sh-port", "-s sh -b sh-port,flag-3", "-o", "--pe sip", "-p 60 --pe sip"])
def test_an_option_of_a_service_that_is_lost_is_told(option: str) -> None:
    assert len(warned(f"-A -t 1.2.3.1:80 {option}")) == 1


def test_services_by_firewall_mark_are_of_a_family_and_checked_where_their_servers_say() -> None:
    four, six = read("-A -f 5 -s rr -p 60", "-A -f 5 -6 -s rr", interface=None).virtuals.values()
    assert (four.mark, four.family, four.port, four.address) == (5, None, None, None)
    assert (six.mark, six.family) == (5, "ipv6")
    mine = only("-A -f 5", "-a -f 5 -r 10.0.0.1:81 -g", "-a -f 5 -r 10.0.0.2:82 -g")
    assert (mine.check.port, [each.port for each in mine.servers.values()]) == (81, [None, None])
    natted = only("-A -f 5", "-a -f 5 -r 10.0.0.1:81 -m")
    assert (natted.check.port, natted.servers["10.0.0.1"].port) == (None, 81)
    assert warned("-A -f 5", "-a -f 5 -r 10.0.0.1 -m") == [
        "line 1: 5: no port says what is checked: 80 stands in, see check/port"
    ]


def test_a_persistent_service_may_take_every_port() -> None:
    every = only("-A -t 1.2.3.1:0 -p 60", "-a -t 1.2.3.1:0 -r 10.0.0.1:0 -g")
    assert (every.port, every.servers["10.0.0.1"].port, every.check.port) == (0, None, 80)


def test_timeouts_are_carried_over_and_0_leaves_the_kernels() -> None:
    said = read("--set 600 0 7").settings.timeouts
    assert (said.tcp_s, said.tcpfin_s, said.udp_s) == (600, None, 7)


@pytest.mark.parametrize("options", ["-x 0", "-y 0", "-i --tun-type ipip --tun-nocsum", "-n"])
def test_an_option_that_asks_for_nothing_is_not_mentioned(options: str) -> None:
    assert warned(WEB, f"-a -t 1.2.3.1:80 -r 10.0.0.1:80 {options}") == []


@pytest.mark.parametrize("line", ["--start-daemon=master --syncid 3", "--stop-daemon backup"])
def test_what_is_not_about_services_is_told(line: str) -> None:
    assert len(warned(line)) == 1


@pytest.mark.parametrize("line", ["-C", "-Z", "", "# words", "ipvsadm", "ipvsadm -C", "-A -t 1.2.3.9:80 # words"])
def test_what_changes_nothing_is_passed_over(line: str) -> None:
    assert warned(line) == []


def test_a_port_that_the_way_cannot_change_is_left_out_and_told() -> None:
    assert warned(WEB, "-a -t 1.2.3.1:80 -r 10.0.0.1:81 -g") == [
        "line 2: 1.2.3.1:80/10.0.0.1: port 81 is left out: direct forwarding cannot change it"
    ]


def test_addresses_of_ipv6_stand_in_brackets_and_their_netmask_is_a_prefix_length() -> None:
    service = "-t [2001:db8::1]:80"
    (web,) = read(f"-A {service} -p 60 -M 64", f"-a {service} -r [2001:DB8:0::2]:8080 -m").virtuals.values()
    assert str(web.address) == "2001:db8::1/128"
    assert web.persistence == Persistence(timeout_s=60, prefix=64)
    assert {name: (str(each.address), each.port) for name, each in web.servers.items()} == {
        "2001-db8-2": ("2001:db8::2", 8080)
    }


def test_a_tunnel_may_lead_to_the_other_family() -> None:
    (web,) = read(WEB, "-a -t 1.2.3.1:80 -r [2001:db8::1]:80 -i").virtuals.values()
    assert [str(each.address) for each in web.servers.values()] == ["2001:db8::1"]


def test_without_an_interface_it_is_told_what_to_give() -> None:
    assert wrong(WEB, interface=None) == [
        "line 1: 1.2.3.1:80: which interface carries 1.2.3.1 is not said: give it with --interface"
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-A -t web:80", "'web' is a name, which is not looked up here"),
        ("-A -t 1.2.3.1:htp", "did you mean http?"),
        ("-A -t 1.2.3.1:80 -s", "-s: its value is missing"),
        ("-A -t 1.2.3.1:80 -p 1 -M 1.2.3.4", "netmask expected"),
        ("-A -t 1.2.3.1:80 -p9999999999999999999", "a number is expected"),
        ("-A", "which virtual service: give one of -t, -u and -f"),
        ("-A -t 1.2.3.1:80 -u 1.2.3.1:80", "which virtual service"),
        ("-a -t 1.2.3.1:80 -r 1.2.3.4", "there is no virtual service tcp 1.2.3.1:80 before this line"),
        ("-A -f 0", "a firewall mark is a number from 1 to 4294967295"),
        ("--set 1 2", "three timeouts are expected"),
        ("--set 1 2 x", "a number is expected"),
        ("-A -a -t 1.2.3.1:80", "one command is expected in each line"),
        ("-t 1.2.3.1:80", "one command is expected in each line"),
        ("-D -t 1.2.3.1:80", "only -A and -a can be read"),
        ("hello", "unknown word 'hello'"),
        ("-", "unknown word '-'"),
        ("-q", "unknown word '-q'"),
        ("-Ax", "-Ax: this option takes no value"),
        ("--add-servise", "did you mean add-service?"),
        ("-A -t '1.2.3.1:80", "No closing quotation"),
    ],
)
def test_nonsense_is_a_problem_with_its_line(line: str, message: str) -> None:
    (told,) = wrong("", line)
    assert told.startswith("line 2: ")
    assert message in told


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-A -t 1.2.3.1:80", "tcp 1.2.3.1:80 is already there"),
        ("-a -t 1.2.3.1:80", "which real server: -r is missing"),
        ("-a -t 1.2.3.1:80 -r 1.2.3.4 -w -1", "a number is expected"),
        ("-a -t 1.2.3.1:80 -r 1.2.3.4 -w 65536", "must be at most 65535"),
        ("-a -t 1.2.3.1:80 -r 1.2.3.1", "own address"),
    ],
)
def test_what_does_not_fit_its_service_is_a_problem_with_its_line(line: str, message: str) -> None:
    (told,) = wrong(WEB, line)
    assert told.startswith("line 2: ")
    assert message in told


def test_all_problems_are_told_at_once() -> None:
    assert [problem.split(":")[0] for problem in wrong("x", WEB + "x", "y")] == ["line 1", "line 2", "line 3"]


FLAGS = {"nat": "-m", "direct": "-g", "tunnel": "-i"}


@st.composite
def saved(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """What ipvsadm saves, and what it must be read as."""
    lines: list[str] = []
    expected: dict[str, Any] = {}
    for number in range(draw(st.integers(0, 3))):
        protocol, port = draw(st.sampled_from(["tcp", "udp"])), draw(st.integers(1, 65535))
        service = f"-{protocol[0]} 10.9.0.{number}:{port}"
        scheduler = draw(st.sampled_from(SCHEDULERS))
        timeout_s, bits = draw(st.none() | st.integers(1, 86400)), draw(st.integers(1, 32))
        mask = ".".join(str((0xFFFFFFFF << (32 - bits) >> shift) & 255) for shift in (24, 16, 8, 0))
        lines.append(f"-A {service} -s {scheduler}" + (f" -p {timeout_s} -M {mask}" if timeout_s else ""))
        servers = []
        for host in range(draw(st.integers(0, 3))):
            way, weight = draw(st.sampled_from(list(FLAGS))), draw(st.integers(0, 65535))
            own = draw(st.integers(1, 65535)) if way == "nat" else port
            lines.append(f"-a {service} -r 10.8.0.{host}:{own} {FLAGS[way]} -w {weight}")
            servers.append((f"10.8.0.{host}", own, way, weight))
        persistence = (timeout_s, bits) if timeout_s else None
        expected[f"10.9.0.{number}:{port}"] = (protocol, scheduler, persistence, servers)
    return "\n".join(lines), expected


@given(saved())
@settings(max_examples=200)
def test_everything_that_ipvsadm_saves_of_a_service_is_there(given: tuple[str, dict[str, Any]]) -> None:
    text, expected = given
    cluster = read(text)
    found = {}
    for virtual in cluster.virtuals.values():
        way = virtual.forwarding or cluster.settings.forwarding
        servers = [
            (str(each.address), each.port or virtual.port, each.forwarding or way, each.weight)
            for each in virtual.servers.values()
        ]
        kept = (virtual.persistence.timeout_s, virtual.persistence.prefix) if virtual.persistence else None
        found[f"{virtual.address and virtual.address.ip}:{virtual.port}"] = (
            virtual.protocol,
            virtual.scheduler,
            kept,
            servers,
        )
    assert found == expected
