"""What the doctor says of etcd and of the routers."""

from dataclasses import replace

import pytest

from clusterd.doctor import CHECKS, Facts, Link, MemberFacts, examined
from clusterd.doctor.facts import HostFacts, host_facts
from clusterd.document import parse
from clusterd.releases import parsed
from tests.clusterd.doctor.seen import MEMBERS, only, well, with_host, wrong


def test_where_all_is_well_nothing_is_found_and_every_place_is_named() -> None:
    found = examined(well())
    assert {one.verdict for one in found} == {"ok"}
    assert {one.mend for one in found} == {""}
    assert {one.place for one in found if one.check == "default-route"} == {"web/rs1", "web/rs2", "web/rs3"}
    assert {one.place for one in found if one.check == "etcd-health"} == {f"{m.name} {m.endpoint}" for m in MEMBERS}
    assert {one.check for one in found} == CHECKS.keys() - {"load-source", "vip", "arp", "rp-filter"}


def test_findings_come_in_the_order_of_the_checks() -> None:
    order = [one.check for one in examined(well())]
    assert order == sorted(order, key=list(CHECKS).index)


def test_without_a_configuration_only_etcd_is_looked_at() -> None:
    facts = Facts(members=MEMBERS, clocks={"http://e1:2379": 0.0})
    assert {one.check for one in examined(facts)} == {*(c for c in CHECKS if c.startswith("etcd")), "clock"}


# --- etcd -----------------------------------------------------------------------------------------------------------


def of_etcd(member: MemberFacts, check: str, login: bool = False) -> tuple[str, str]:
    others = tuple(one for one in MEMBERS if one.name != member.name)
    facts = Facts(members=(member, *others), login=login)
    found = only(facts, check, f"{member.name} {member.endpoint}")
    assert bool(found.mend) == (found.verdict != "ok")
    return found.verdict, found.what


def test_a_member_that_does_not_answer_is_named_and_nothing_else_is_said_of_it() -> None:
    silent = MEMBERS[0].model_copy(update={"problem": "connection refused"})
    assert of_etcd(silent, "etcd-reachable") == ("fail", "connection refused")
    facts = Facts(members=(silent, *MEMBERS[1:]))
    assert {one.check for one in examined(facts) if one.place == "e1 http://e1:2379"} == {"etcd-reachable"}
    assert only(facts, "etcd-members", "etcd").verdict == "ok"
    nobody = [m.model_copy(update={"problem": "refused"}) for m in MEMBERS]
    assert {one.check for one in examined(Facts(members=tuple(nobody)))} == {"etcd-reachable"}


def test_a_member_without_a_quorum_or_with_an_alarm_is_not_well() -> None:
    lost = MEMBERS[0].model_copy(update={"unhealthy": "no leader"})
    assert of_etcd(lost, "etcd-health") == ("fail", "no leader")
    full = MEMBERS[0].model_copy(update={"alarms": ("NOSPACE",)})
    assert of_etcd(full, "etcd-health") == ("fail", "it raises an alarm: NOSPACE")
    assert of_etcd(MEMBERS[0], "etcd-health") == ("ok", "it reads with a quorum, and leads")
    assert of_etcd(MEMBERS[1], "etcd-health") == ("ok", "it reads with a quorum")


@pytest.mark.parametrize(
    ("version", "login", "verdict"),
    [
        ("3.3.25", False, "fail"),
        ("3.4.23", False, "warn"),
        ("3.4.44", True, "warn"),
        ("3.5.16", False, "warn"),
        ("3.5.18", False, "ok"),
        ("3.5.27", True, "warn"),
        ("3.5.28", True, "ok"),
        ("3.6.8", True, "warn"),
        ("3.6.8", False, "ok"),
        ("3.6.9", True, "ok"),
        ("3.7.1", True, "ok"),
        ("3.5.18-rc.1", False, "ok"),
        ("unknown", False, "unknown"),
    ],
)
def test_releases_with_faults_that_matter_are_warned_of(version: str, login: bool, verdict: str) -> None:
    member = MEMBERS[0].model_copy(update={"version": version})
    said, what = of_etcd(member, "etcd-version", login)
    assert said == verdict
    assert version in what
    assert ("CVE" in what) == (login and verdict == "warn" and version != "3.4.44")


def test_a_release_is_three_numbers() -> None:
    assert parsed("3.10.2") == (3, 10, 2)
    assert parsed("3.5") is None


@pytest.mark.parametrize(("listed", "verdict"), [(1, "warn"), (2, "warn"), (3, "ok"), (4, "warn"), (5, "ok")])
def test_members_are_to_be_three_or_more_and_an_odd_number(listed: int, verdict: str) -> None:
    members = tuple(member.model_copy(update={"listed": listed}) for member in MEMBERS)
    assert only(Facts(members=members), "etcd-members", "etcd").verdict == verdict


def test_endpoints_of_two_clusters_are_noticed() -> None:
    members = tuple(member.model_copy(update={"leader": True}) for member in MEMBERS[:2])
    found = only(Facts(members=members), "etcd-members", "etcd")
    assert (found.verdict, found.what) == ("fail", "e1, e2 all lead: the endpoints are several clusters")


# --- routers --------------------------------------------------------------------------------------------------------


def test_a_router_that_does_not_tell_of_its_host_is_not_ok_there() -> None:
    facts = well()
    facts = replace(facts, hosts={"r1": facts.hosts["r1"]}, silent={"r2": "it did not answer"})
    of_the_host = {"interfaces", "forwarding", "settings", "ipvs", "tools", "peers", "clock"}
    assert wrong(facts) == {(check, "r2", "unknown") for check in of_the_host}
    assert only(facts, "ipvs", "r2").what == "it did not answer"
    assert only(replace(facts, silent={}), "ipvs", "r2").what == "it does not tell of itself"


@pytest.mark.parametrize(
    ("changes", "verdict", "what"),
    [
        ({"alive": False}, "fail", "its service does not run, or does not reach etcd"),
        ({"alive": None}, "unknown", "etcd does not tell whether it lives"),
        ({"applied": 0}, "fail", "it has applied commit 0 of 1"),
        ({"applied": None}, "fail", "it has applied commit None of 1"),
        ({"converged": False, "problems": ("the kernel refused",)}, "fail", "the kernel refused"),
        ({"problems": ("so dark",), "not_ready": ("1 unchecked",)}, "warn", "so dark; 1 unchecked"),
        ({}, "ok", "backup, at commit 1"),
    ],
)
def test_a_router_has_to_live_and_to_have_applied_the_last_commit(
    changes: dict[str, object], verdict: str, what: str
) -> None:
    facts = well()
    assert facts.view is not None
    lines = tuple(one.model_copy(update=changes) if one.name == "r2" else one for one in facts.view.routers)
    found = only(replace(facts, view=facts.view.model_copy(update={"routers": lines})), "router-alive", "r2")
    assert (found.verdict, found.what) == (verdict, what)


def test_who_lives_is_not_known_without_a_view() -> None:
    assert only(replace(well(), view=None), "router-alive", "r1").verdict == "unknown"


def test_a_document_without_routers_says_so() -> None:
    found = only(well(parse("virtuals: {}")), "router-alive", "routers")
    assert (found.verdict, found.mend) == ("fail", "clusterd edit: add routers/NAME")


LO = Link(name="lo", up=True, carrier=True)
ETH0 = Link(name="eth0", up=True, carrier=True, addresses=("1.2.3.2/24",))
ETH1 = Link(name="eth1", up=True, carrier=True, addresses=("192.168.1.252/24",))
BOTH = ETH0.model_copy(update={"addresses": (*ETH0.addresses, *ETH1.addresses)})


@pytest.mark.parametrize(
    ("links", "verdict", "what"),
    [
        ((LO, ETH0, ETH1), "ok", "1.2.3.2 on eth0, 192.168.1.252 on eth1"),
        ((LO, ETH0), "fail", "private address 192.168.1.252 is on no interface; there is no interface eth1"),
        ((ETH0.model_copy(update={"up": False}), ETH1), "fail", "eth0 is down"),
        ((ETH0.model_copy(update={"carrier": False}), ETH1), "fail", "eth0 has no carrier"),
        (
            (BOTH, LO, ETH1.model_copy(update={"addresses": ()})),
            "warn",
            "public and private side are one interface, eth0",
        ),
        (None, "unknown", "no netlink"),
    ],
)  # fmt: skip
def test_interfaces_carry_the_routers_addresses_and_are_two(
    links: tuple[Link, ...] | None, verdict: str, what: str
) -> None:
    found = only(with_host(well(), "r1", links=links, unseen=("no netlink",)), "interfaces", "r1")
    assert (found.verdict, found.what) == (verdict, what)


def test_a_router_with_one_side_is_fine_without_nat() -> None:
    text = "routers: {r1: {public: 1.2.3.2}}"
    facts = with_host(well(parse(text)), "r1", links=(ETH0,))
    assert only(facts, "interfaces", "r1").verdict == "ok"


def test_a_setting_of_the_kernel_that_is_not_as_wanted_is_named() -> None:
    facts = well()
    settings = facts.hosts["r2"].settings
    off = with_host(facts, "r2", settings={**settings, "ipv4/ip_forward": "0", "ipv4/vs/conn_reuse_mode": "0"})
    assert wrong(off) == {("forwarding", "r2", "fail"), ("settings", "r2", "fail")}
    assert only(off, "forwarding", "r2").what == "net.ipv4.ip_forward is 0, not 1"
    blind = with_host(facts, "r2", settings={}, unseen=())
    assert only(blind, "forwarding", "r2").what == "this kernel does not show net.ipv4.ip_forward"
    assert wrong(blind) == {("forwarding", "r2", "unknown"), ("settings", "r2", "unknown")}


@pytest.mark.parametrize(
    ("changes", "verdict", "what"),
    [
        ({"ipvs": ""}, "fail", "the kernel has no IPVS"),
        ({"ipvs": None, "unseen": ("IPVS: permission denied",)}, "unknown", "IPVS: permission denied"),
        ({"modules": {"ip_vs_mh": False, "ip_vs_rr": True}}, "fail", "the kernel has no ip_vs_mh"),
        ({"modules": {"ip_vs_mh": None}, "ipvs": "IPVS 1"}, "ok", "IPVS 1, ip_vs_mh"),
        ({"ipvs": "IPVS 1"}, "ok", "IPVS 1, ip_vs_wlc"),
    ],
)
def test_ipvs_and_its_schedulers_have_to_be_there(changes: dict[str, object], verdict: str, what: str) -> None:
    found = only(with_host(well(), "r1", **changes), "ipvs", "r1")
    assert (found.verdict, found.what) == (verdict, what)


def test_a_scheduler_of_which_nothing_can_be_seen_is_there_where_the_kernel_has_taken_it() -> None:
    facts = replace(with_host(well(), "r1", modules={"ip_vs_mh": None}), view=None)
    found = only(facts, "ipvs", "r1")
    assert (found.verdict, found.what) == ("unknown", "it cannot be told whether there is ip_vs_mh")


@pytest.mark.parametrize(
    ("programs", "verdict", "what"),
    [
        ({"nft": "", "ipvsadm": "v1", "etcdctl": ""}, "fail", "there is no nft, no etcdctl"),
        ({"nft": "v1", "ipvsadm": ""}, "warn", "there is no ipvsadm"),
        ({"nft": "v1", "ipvsadm": "v2"}, "ok", "nft: v1, ipvsadm: v2"),
        ({}, "unknown", "it was not looked at"),
    ],
)
def test_the_router_needs_nft_and_people_the_other_programs(programs: dict[str, str], verdict: str, what: str) -> None:
    found = only(with_host(well(), "r1", programs=programs), "tools", "r1")
    assert (found.verdict, found.what) == (verdict, what)


def test_each_address_of_each_other_router_has_to_answer() -> None:
    facts = with_host(well(), "r1", peers={"r2": {"1.2.3.3": "", "192.168.1.253": "no answer within 1 s"}})
    found = only(facts, "peers", "r1")
    assert (found.verdict, found.what) == ("fail", "r2 at 192.168.1.253: no answer within 1 s")
    unasked = only(with_host(well(), "r1", peers={"r2": {"1.2.3.3": "", "192.168.1.253": None}}), "peers", "r1")
    assert unasked.verdict == "unknown"
    assert unasked.what.startswith("r2 at 192.168.1.253 could not be pinged")
    alone = only(with_host(well(), "r1", peers={}), "peers", "r1")
    assert (alone.verdict, alone.mend) == ("warn", "add one: routers/NAME")


def test_a_clock_that_is_away_from_those_of_etcd_is_warned_of() -> None:
    far = only(with_host(well(), "r1", clocks={"http://e1": -2.1, "http://e2": 2.0}), "clock", "r1")
    assert (far.verdict, far.what) == ("warn", "http://e1 is -2.1 s away")
    assert only(with_host(well(), "r1", clocks={"http://e1": None}), "clock", "r1").verdict == "unknown"
    assert only(well(), "clock", "r1").what == "within 2 s of http://e1:2379"


def test_what_a_router_tells_that_cannot_be_read_is_nothing_but_that() -> None:
    told = HostFacts(ipvs="IPVS", clocks={"e": None})
    assert host_facts(told.model_dump_json(exclude_defaults=True).encode()) == told
    for value in (b"\xff", b"[]", b'{"links": 3}', b"[" * 100_000):
        assert host_facts(value) == HostFacts(unseen=("what it tells cannot be read",))


def test_each_check_says_where_it_looks_at_what_and_how_to_mend_it() -> None:
    for check in CHECKS.values():
        assert check.where in ("etcd", "router", "real server")
        assert check.looks
        assert check.mend
