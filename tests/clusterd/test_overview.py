"""The cluster at one look: what is told of routers and real servers, and what is an alarm."""

from dataclasses import replace
from typing import Any

from clusterd import document
from clusterd.counters import Counters
from clusterd.desired import destination_key, service_key
from clusterd.model import Cluster
from clusterd.overview import Holder, Observed, Overview, ServerLine, overview, with_counters
from clusterd.plane import Key
from clusterd.reports import Followed, Pause, PoolReport, RouterReport, StandingReport, VerdictReport

DOCUMENT = """\
routers:
  r1: {public: 1.2.3.2}
  r2: {public: 1.2.3.3}
virtuals:
  web:
    address: 1.2.3.1/24
    interface: eth0
    port: 80
    sorry_server: 192.168.1.9
    servers:
      rs1: {address: 192.168.1.1, weight: 2}
      rs2: {address: 192.168.1.2, port: 8080}
"""
BLUE = DOCUMENT.replace("    port: 80\n", "    port: 80\n    group: blue\n")
CLUSTER = document.parse(DOCUMENT)
WELL = RouterReport(role="backup", head=3, applied=3, converged=True, ready=True)
HOLDER = Holder(group="default", router="r1", token=7)


def said(up: bool | None, observer: str = "r1", detail: str = "it was asked") -> VerdictReport:
    return VerdictReport(observer=observer, up=up, since="2026-01-31T10:00:00Z", detail=detail)


SEEN = Observed(
    routers={"r1": WELL.model_copy(update={"role": "active"}), "r2": WELL},
    leases_s={"r1": 2.0},
    holders=(HOLDER,),
    verdicts={("web", "rs1"): (said(True), said(True, "r2")), ("web", "rs2"): (said(True), said(True, "r2"))},
)


def look(seen: Observed = SEEN, cluster: Cluster = CLUSTER, commit: int = 3) -> Overview:
    return overview("main", commit, cluster, seen)


def judged(**verdicts: VerdictReport | tuple[VerdictReport, ...]) -> Observed:
    told = {name: one if isinstance(one, tuple) else (one,) for name, one in verdicts.items()}
    return replace(SEEN, verdicts={("web", name): one for name, one in told.items()})


def servers(view: Overview) -> dict[str, ServerLine]:
    return {server.name: server for server in view.virtuals[0].servers}


def changed(text: str, by: str) -> Cluster:
    return document.parse(DOCUMENT.replace(text, by))


def test_when_all_is_well_there_is_no_alarm() -> None:
    view = look()
    assert (view.alarms, view.late, view.converged) == ((), (), True)
    assert [(router.name, router.role, router.lease_left_s) for router in view.routers] == [
        ("r1", "active", 2.0),
        ("r2", "backup", None),
    ]
    assert view.routers[0].holds == (HOLDER,)
    assert {name: (one.state, one.effective_weight, one.port) for name, one in servers(view).items()} == {
        "rs1": ("up", 2, 80),
        "rs2": ("up", 1, 8080),
    }


def test_whoever_follows_a_commit_that_etcd_lost_is_late() -> None:
    lost = WELL.model_copy(update={"applied": 4, "follows": Followed(number=4, hash="lost")})
    seen = replace(SEEN, routers={"r1": WELL, "r2": lost}, head_hash="head")
    assert look(seen).late == ("r2 follows commit 4, which this etcd does not have",)
    assert look(replace(seen, head_hash="")).late == ()


def test_a_warning_is_no_alarm_and_is_told_once_whichever_routers_have_it() -> None:
    old, older = "etcd 3.5.1 (e1): old", "etcd 3.4.23 (e2): older"
    routers = {
        "r1": WELL.model_copy(update={"warnings": (old,)}),
        "r2": WELL.model_copy(update={"warnings": (old, older)}),
    }
    view = look(replace(SEEN, routers=routers))
    assert (view.alarms, view.warnings) == ((), (old, older))


def test_the_active_routers_verdict_decides_and_disagreement_is_an_alarm() -> None:
    view = look(judged(rs1=(said(False, "r1", "refused"), said(True, "r2")), rs2=said(True)))
    rs1 = servers(view)["rs1"]
    assert (rs1.state, rs1.effective_weight, rs1.observer, rs1.detail) == ("down", None, "r1", "refused")
    assert rs1.disagreement
    assert view.alarms == ("routers disagree on web/rs1: down says r1 (refused), up says r2 (it was asked)",)


def test_without_an_active_router_the_first_one_that_is_alive_tells() -> None:
    view = look(replace(judged(rs1=said(True, "r2"), rs2=said(True, "r2")), holders=(), routers={"r2": WELL}))
    assert servers(view)["rs1"].observer == "r2"
    assert view.alarms == ("no router is active", "router r1 is not alive")


def test_a_verdict_that_cannot_be_read_is_none() -> None:
    view = look(judged(rs1=said(None), rs2=said(True)))
    assert (servers(view)["rs1"].state, servers(view)["rs1"].effective_weight) == ("unchecked", None)


def test_drained_and_disabled_servers_say_so() -> None:
    drained = servers(look(cluster=changed("weight: 2", "weight: 2, drain: true")))["rs1"]
    assert (drained.state, drained.effective_weight) == ("draining", 0)
    disabled = servers(look(cluster=changed("weight: 2", "enabled: false")))["rs1"]
    assert (disabled.state, disabled.effective_weight) == ("disabled", None)


def test_an_empty_pool_is_an_alarm_and_a_sorry_server_is_told() -> None:
    view = look(judged(rs1=said(False), rs2=said(False)))
    assert view.virtuals[0].sorry_server_in_use
    assert view.alarms == ("virtual server web has no real server in its pool: its sorry server answers",)
    alone = look(judged(), changed("    sorry_server: 192.168.1.9\n", ""))
    assert alone.alarms == ("virtual server web has no real server in its pool",)


def test_a_disabled_virtual_server_needs_nobody() -> None:
    view = look(replace(SEEN, holders=()), changed("    port: 80\n", "    port: 80\n    enabled: false\n"))
    assert view.alarms == ()
    assert servers(view)["rs1"].state == "disabled"
    unequal = judged(rs1=(said(False), said(True, "r2")))
    assert look(unequal, changed("weight: 2", "enabled: false")).alarms == (
        "virtual server web has no real server in its pool",
    )


def test_who_did_not_apply_the_commit_is_late() -> None:
    def late(**report: Any) -> tuple[str, ...]:
        return look(replace(SEEN, routers={"r1": WELL, "r2": WELL.model_copy(update=report)}), commit=3).late

    assert late(applied=2) == ("r2 is at commit 2 of 3",)
    assert late(applied=None) == ("r2 does not say which commit it applied",)
    assert late(converged=False) == ("r2's kernel is not as commit 3 wants it",)
    assert late(converged=None) == ()
    assert late(applied=4) == ()
    assert look(Observed()).late == ("no router is alive",)
    assert not look(Observed()).converged
    assert late(role="dry run") == ()
    dry = WELL.model_copy(update={"role": "dry run"})
    assert look(replace(SEEN, routers={"r1": dry, "r2": dry})).late == ("every router is in a dry run",)


def test_a_group_without_a_holder_is_an_alarm() -> None:
    cluster = document.parse("cluster: {groups: {blue: {}, idle: {}}}\n" + BLUE)
    assert look(cluster=cluster).alarms == ("no router is active for group blue",)


def test_each_groups_active_router_decides_for_its_virtual_servers() -> None:
    cluster = document.parse("cluster: {groups: {blue: {}}}\n" + BLUE)
    blue = Holder(group="blue", router="r2", token=9)
    told = (said(False), said(True, "r2"))
    view = look(replace(SEEN, holders=(HOLDER, blue), verdicts={("web", "rs1"): told}), cluster)
    assert [one.observer for one in view.virtuals[0].servers] == ["r2", ""]
    assert (view.virtuals[0].group, servers(view)["rs1"].effective_weight) == ("blue", 2)


def test_problems_strangers_and_strays_are_told() -> None:
    ill = WELL.model_copy(update={"problems": ("the kernel refused",)})
    view = look(replace(SEEN, routers={"r1": ill, "r2": WELL, "r9": WELL}, strays=("virtuals/web",)))
    assert view.alarms == (
        "router r1: the kernel refused",
        "virtuals/web in etcd is not what was committed; see `clusterd adopt`",
    )
    assert [router.configured for router in view.routers] == [True, True, False]


def test_a_pause_of_a_router_or_of_all_is_told_with_the_router() -> None:
    one, everyone = Pause(router="r1", by="eve"), Pause(router="all")
    view = look(replace(SEEN, pauses=(one, everyone)))
    assert [router.paused for router in view.routers] == [one, everyone]


def test_counters_come_with_an_overview_or_from_another_one() -> None:
    web = CLUSTER.virtuals["web"]
    counted: dict[Key, Counters] = {
        service_key(web): Counters(connections=9),
        destination_key(web, "rs1"): Counters(connections=8),
    }
    here = look(replace(SEEN, counters=counted, counted_by="r1"))
    assert here.counted_by == "r1"
    merged = with_counters(look(), here)
    assert merged == here
    assert [one.counters and one.counters.connections for one in merged.virtuals[0].servers] == [8, None]
    other = document.parse(DOCUMENT.replace("  web:", "  www:"))
    assert with_counters(look(cluster=other), here).virtuals[0].counters is None
    assert look(replace(SEEN, counted_by="r1")).counted_by == ""


def test_an_overview_goes_through_json_unchanged() -> None:
    view = look(replace(SEEN, pauses=(Pause(router="all"),), counters={}, counted_by="r1"))
    assert Overview.model_validate_json(view.model_dump_json()) == view


def test_the_weights_that_the_active_router_tells_are_the_effective_ones() -> None:
    report = PoolReport(servers={"rs1": StandingReport(weight=150)}, sorry=True, alarms=("fail open: rs1",))
    other = PoolReport(servers={"rs1": StandingReport(weight=7)})
    view = look(replace(SEEN, pools={("web", "r1"): report, ("web", "r2"): other}))
    assert {name: one.effective_weight for name, one in servers(view).items()} == {"rs1": 150, "rs2": None}
    assert view.virtuals[0].sorry_server_in_use
    assert view.alarms == ("virtual server web: fail open: rs1",)


def test_a_server_that_an_external_party_forces_down_is_down_and_no_disagreement() -> None:
    rs1 = servers(look(judged(rs1=(said(True), said(False, "external-ops")))))["rs1"]
    assert (rs1.state, rs1.effective_weight, rs1.observer, rs1.disagreement) == ("down", None, "external-ops", False)


def test_a_router_that_is_not_configured_has_no_say() -> None:
    some = changed("    port: 80\n", "    port: 80\n    verdicts: any\n")
    assert servers(look(judged(rs1=(said(False), said(True, "stranger"))), some))["rs1"].state == "down"
