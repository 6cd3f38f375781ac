"""What only a real kernel can show: others' things beside ours, announcements on the wire, repairs of our table."""

import json
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from errno import ENODEV
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from clusterd.counters import Counters
from clusterd.dataplane import addresses
from clusterd.netfilter import Masquerade, Netfilter
from clusterd.plan import plan
from clusterd.plane import Address, Operation, Service, SyncDaemon, Sysctl, Verb, plane
from clusterd.sysctls import SYSCTLS
from tests.dataplane.rig import HERE, SECOND, THERE, VIP, VIP6, WEB, KernelRig, do, real, there
from tests.lab.namespaces import call, ip, run

pytestmark = pytest.mark.lab
NAT = Netfilter((Masquerade(IPv4Network("192.168.1.0/24"), "wan"),))


def command(*words: str, text: str = "") -> str:
    done = run(HERE, words, input_text=text)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_services_of_marks_and_addresses_that_are_not_named_are_others(kernel: KernelRig) -> None:
    theirs = "-A -f 7 -s rr\n-A -t [2001:db8::9]:80 -s rr\n-a -t [2001:db8::9]:80 -r [2001:db8::2]:80 -m\n"
    command("ipvsadm", "-R", text=theirs)
    before = command("ipvsadm", "-Sn")
    assert do(kernel, Verb.ADD, Service(WEB, "wlc"), real(1)) == ()
    assert there(kernel) == {Service(WEB, "wlc"), real(1)}
    assert do(kernel, Verb.DELETE, Service(WEB, "wlc")) == ()
    assert command("ipvsadm", "-Sn") == before


def test_what_ipvsadm_made_reads_as_what_we_would_make(kernel: KernelRig) -> None:
    service = f"-A -t {WEB.address}:80 -s sh -p 60 -M 255.255.255.0\n"
    server = f"-a -t {WEB.address}:80 -r 192.168.0."
    servers = f"{server}1:80 -m -w 1\n{server}2:80 -g -w 2\n{server}3:80 -i -w 3\n"
    command("ipvsadm", "-R", text=service + servers)
    expected = {Service(WEB, "sh", 60, 24), real(1, 1, "nat"), real(2, 2, "direct"), real(3, 3, "tunnel")}
    assert there(kernel) == expected


def test_what_ipvsadm_started_reads_as_what_we_would_start(kernel: KernelRig) -> None:
    command("ipvsadm", "--start-daemon", "backup", "--mcast-interface", "wan", "--syncid", "7")
    group = IPv4Address("224.0.0.81")
    assert there(kernel, SyncDaemon) == {SyncDaemon("backup", "wan", 7, group, 8848, 1, 1472)}


def test_a_sync_daemon_on_an_interface_that_is_not_there_is_a_failure(kernel: KernelRig) -> None:
    (failure,) = do(kernel, Verb.ADD, SyncDaemon("backup", "away", 0, IPv4Address("224.0.0.81"), 8848, 1, 1472))
    assert failure.reason == os.strerror(ENODEV)


def test_connections_and_packets_are_counted_by_service_and_server(kernel: KernelRig) -> None:
    ours, idle = Service(WEB, "wlc"), real(2, weight=0)
    assert do(kernel, Verb.ADD, ours, real(1), idle, VIP) == ()
    command("ipvsadm", "-A", "-t", "9.9.9.9:80", "-s", "rr")
    assert set(kernel.counters()) == {WEB, real(1).key, idle.key}
    assert set(kernel.counters().values()) == {Counters(active=0, inactive=0)}
    for _ in range(3):
        run(HERE, ("curl", "-s", "--max-time", "0.2", "http://1.2.3.1/"))  # nobody answers, and IPVS counts
    counted, end_s = kernel.counters(), time.monotonic() + 20
    while counted[WEB].connections < 3:  # the kernel sums them up every two seconds (ip_vs_est.c)
        assert time.monotonic() < end_s
        time.sleep(0.2)
        counted = kernel.counters()
    assert counted[WEB].connections == counted[real(1).key].connections == 3
    assert counted[WEB].packets_in >= 3
    assert counted[WEB].bytes_in >= 3 * 40
    assert (counted[WEB].active or 0) + (counted[WEB].inactive or 0) == 3
    assert counted[idle.key] == Counters(active=0, inactive=0)


def test_every_change_that_others_make_to_the_table_is_seen_and_traffic_is_none(kernel: KernelRig) -> None:
    first = Service(WEB, "wlc")
    assert do(kernel, Verb.ADD, first, real(1), real(2)) == ()
    behind = f"-t {WEB.address}:80 -r 192.168.0.1:80"
    seen = [there(kernel)]
    for change in (f"-e {behind} -m -w 3", f"-e {behind} -g -w 3", f"-d {behind}", f"-E -t {WEB.address}:80 -s rr"):
        command("ipvsadm", "-R", text=change + "\n")
        seen.append(there(kernel))
        assert there(kernel) == seen[-1]
    one = {first, real(2)}
    assert seen == [
        one | {real(1)},
        one | {real(1, 3)},
        one | {real(1, 3, "direct")},
        one,
        {Service(WEB, "rr"), real(2)},
    ]
    command("ipvsadm", "-C")
    assert there(kernel) == set()


def test_what_the_kernels_text_does_not_say_is_found_in_turn(kernel: KernelRig) -> None:
    keys = [replace(WEB, port=port) for port in (80, 81, 82)]
    servers = [real(1, service=key) for key in keys]
    assert do(kernel, Verb.ADD, *(Service(key, "sh") for key in keys), *servers) == ()
    assert set(servers) < there(kernel)
    command("ipvsadm", "-e", "-t", f"{WEB.address}:82", "-r", "192.168.0.1:80", "-m", "-x", "100", "-y", "50")
    command("ipvsadm", "-E", "-t", f"{WEB.address}:80", "-s", "sh", "-b", "sh-port")
    *_, last = (there(kernel) for _ in keys)
    flagged = Service(keys[0], "sh", flags=frozenset({"sh-port"}))
    assert {flagged, servers[0], servers[1], replace(servers[2], upper=100, lower=50)} < last


def test_an_interface_that_is_not_there_is_a_failure_with_its_reason(kernel: KernelRig) -> None:
    (failure,) = do(kernel, Verb.ADD, Address("away", VIP.address))
    assert failure.reason == os.strerror(ENODEV)
    assert do(kernel, Verb.DELETE, Address("away", VIP.address)) == ()


def test_without_the_setting_an_address_would_take_its_neighbours_along(kernel: KernelRig) -> None:
    assert do(kernel, Verb.SET, *SYSCTLS, Sysctl("ipv4/conf/all/promote_secondaries", "0")) == ()
    command("sysctl", "-qw", "net.ipv4.conf.wan.promote_secondaries=0")
    assert do(kernel, Verb.ADD, VIP, SECOND) == ()
    assert do(kernel, Verb.DELETE, VIP) == ()
    assert there(kernel, Address) == set()


def test_the_lifetime_never_exceeds_the_claim(kernel: KernelRig) -> None:
    assert do(kernel, Verb.ADD, VIP, for_s=7.5) == ()
    (link,) = json.loads(command("ip", "-j", "-4", "address", "show", "dev", "wan"))
    (address,) = link["addr_info"]
    assert address["valid_life_time"] <= 7
    assert address["preferred_life_time"] <= 7
    assert do(kernel, Verb.ADD, VIP, for_s=3.5) == ()
    (link,) = json.loads(command("ip", "-j", "-4", "address", "show", "dev", "wan"))
    assert link["addr_info"][0]["valid_life_time"] <= 3


@pytest.mark.parametrize(
    ("clock_s", "until_s", "left"),
    [((100.0, 105.0, 105.0), 103.0, set()), ((100.0, 101.0, 101.0, 101.0), 103.5, {VIP})],
)
def test_whoever_stood_still_between_clock_and_kernel_takes_back_what_was_too_much(
    kernel: KernelRig, monkeypatch: pytest.MonkeyPatch, clock_s: tuple[float, ...], until_s: float, left: set[Address]
) -> None:
    clock = iter(clock_s)
    monkeypatch.setattr(addresses, "boottime_s", lambda: next(clock))
    failures = kernel.plane.apply([Operation(Verb.ADD, VIP)], until_s)
    assert [failure.operation.item for failure in failures] == ([] if left else [VIP])
    assert there(kernel, Address) == left
    links = json.loads(command("ip", "-j", "-4", "address", "show", "dev", "wan"))
    assert all(address["valid_life_time"] <= 2 for link in links for address in link["addr_info"])


# --- our table ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "meddling",
    [
        "add rule inet clusterd postrouting counter",
        "add rule inet clusterd postrouting ip saddr 10.0.0.0/8 masquerade",
        "add chain inet clusterd more",
        "add set inet clusterd some { type ipv4_addr; }",
        "flush chain inet clusterd postrouting",
        "delete chain inet clusterd postrouting",
    ],
)
def test_a_table_that_others_changed_is_not_what_we_want_and_is_replaced(kernel: KernelRig, meddling: str) -> None:
    assert do(kernel, Verb.ADD, NAT) == ()
    command("nft", "-f", "-", text=meddling + "\n")
    actual = plane(*there(kernel, Netfilter))
    operations = plan(actual, plane(NAT))
    assert [operation.verb for operation in operations] == [Verb.SET]
    assert kernel.plane.apply(operations, 0.0) == ()
    assert there(kernel, Netfilter) == {NAT}


def test_others_tables_are_not_touched(kernel: KernelRig) -> None:
    theirs = "table ip theirs { chain c { type nat hook postrouting priority srcnat; oifname wan masquerade; }; }\n"
    command("nft", "-f", "-", text=theirs + "table ip6 clusterd { chain c { }; }\n")
    before = command("nft", "list", "ruleset")
    assert there(kernel, Netfilter) == set()
    assert do(kernel, Verb.ADD, NAT) == ()
    assert do(kernel, Verb.DELETE, NAT) == ()
    assert command("nft", "list", "ruleset") == before


@pytest.mark.parametrize("interface", ["a-b.c_d", "bond0.17", "0", "drop", "x" * 15])
def test_odd_interface_names_are_names_to_nft(kernel: KernelRig, interface: str) -> None:
    table = Netfilter((Masquerade(IPv4Network("192.168.1.0/24"), interface),))
    assert do(kernel, Verb.ADD, table) == ()
    assert there(kernel, Netfilter) == {table}


def test_what_nft_refuses_leaves_the_old_table_as_it_was(kernel: KernelRig) -> None:
    assert do(kernel, Verb.ADD, NAT) == ()
    (failure,) = do(kernel, Verb.SET, Netfilter((Masquerade(IPv4Network("10.0.0.0/8"), "x" * 16),)))
    assert failure.reason
    assert there(kernel, Netfilter) == {NAT}


# --- the wire -----------------------------------------------------------------------------------------------------


@contextmanager
def listening() -> Iterator[socket.socket]:
    def opened() -> socket.socket:
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
        wire.bind(("peer", 0x0806))
        wire.settimeout(5)
        return wire

    with call(THERE, opened) as wire:
        yield wire


def test_neighbours_hear_each_address_as_request_and_as_reply(kernel: KernelRig) -> None:
    (link,) = json.loads(command("ip", "-j", "link", "show", "dev", "wan"))
    mac = bytes.fromhex(link["address"].replace(":", ""))
    nowhere = Address("away", IPv4Interface("9.9.9.9/24"))
    assert do(kernel, Verb.ADD, VIP, SECOND) == ()
    with listening() as wire:
        kernel.plane.announce([VIP, nowhere, SECOND])
        frames = [wire.recv(2000) for _ in range(4)]
    for frame, (address, operation) in zip(frames, ((a, o) for a in (VIP, SECOND) for o in (1, 2)), strict=True):
        ip = address.address.ip.packed
        target = mac if operation == 2 else bytes(6)
        assert frame[:14] == b"\xff" * 6 + mac + b"\x08\x06"
        assert struct.unpack("!HHBBH6s4s6s4s", frame[14:42]) == (1, 0x0800, 6, 4, operation, mac, ip, target, ip)


def test_an_address_of_ipv6_is_no_duplicate_to_wait_for(kernel: KernelRig) -> None:
    assert do(kernel, Verb.ADD, VIP6) == ()
    links = json.loads(command("ip", "-j", "-6", "address", "show", "dev", "wan"))
    every = [address for link in links for address in link.get("addr_info", ())]
    (address,) = [address for address in every if address["local"] == "2001:db8::1"]
    assert address["nodad"]
    assert not address.get("tentative")
    assert address["valid_life_time"] <= 60


def test_a_neighbour_heeds_the_unasked_advertisement_of_ipv6(kernel: KernelRig) -> None:
    ip(
        ["addr add 2001:db8::2/64 dev peer nodad", "neigh add 2001:db8::1 lladdr 02:00:00:00:00:99 dev peer nud stale"],
        THERE,
    )
    assert do(kernel, Verb.ADD, VIP6) == ()
    kernel.plane.announce([VIP6])
    (link,) = json.loads(command("ip", "-j", "link", "show", "dev", "wan"))
    for _ in range(50):
        (known,) = json.loads(run(THERE, ("ip", "-j", "neigh", "show", "2001:db8::1")).stdout)
        if known["lladdr"] == link["address"]:
            break
        time.sleep(0.02)
    assert known["lladdr"] == link["address"]
    assert "router" in known


def test_a_link_that_is_down_is_no_error(kernel: KernelRig) -> None:
    assert do(kernel, Verb.ADD, VIP) == ()
    command("ip", "link", "set", "wan", "down")
    kernel.plane.announce([VIP])
