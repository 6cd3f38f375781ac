"""Every factor of a real server's weight is told, with its reason."""

from dataclasses import replace

from clusterd import document
from clusterd.explanation import Explanation, Factor, explanations
from clusterd.overview import Observed, overview
from clusterd.reports import encoded, pool_report
from tests.clusterd.test_overview import DOCUMENT, SEEN, judged, said

NONE: dict[str, str] = {}
SETTER = "commit 3 by eve@host at 2026-01-31T09:00:00Z"


def told(seen: Observed = SEEN, text: str = DOCUMENT, origins: dict[str, str] | None = NONE) -> dict[str, Explanation]:
    cluster = document.parse(text)
    found = explanations(overview("main", 3, cluster, seen), cluster, "web", origins)
    return {one.server: one for one in found}


def factors(one: Explanation) -> dict[str, tuple[str, str]]:
    return {factor.name: (factor.says, factor.why) for factor in reversed(one.factors)}


def test_a_server_that_is_up_has_its_configured_weight_and_a_share() -> None:
    rs1 = told(origins={"virtuals/web/servers/rs1/weight": SETTER})["rs1"]
    assert (rs1.address, rs1.weight, rs1.share) == ("192.168.1.1:80", 2, 2 / 3)
    assert rs1.factors == (
        Factor("configured", "weight 2", SETTER),
        Factor("server", "enabled", "by default"),
        Factor("health", "up", "since 2026-01-31T10:00:00Z: it was asked, says r1, which decides"),
        Factor("health", "up", "since 2026-01-31T10:00:00Z: it was asked, says r2, which does not count here"),
        Factor("load", "none: static weight", "by default"),
    )


def test_a_drained_server_has_weight_0_and_says_who_drained_it() -> None:
    text = DOCUMENT.replace("weight: 2", "weight: 2, drain: true")
    rs1 = told(text=text, origins={"virtuals/web/servers/rs1/drain": SETTER})["rs1"]
    assert (rs1.weight, rs1.share) == (0, 0)
    assert factors(rs1)["drain"] == ("weight 0: connections go on, new ones go elsewhere", SETTER)


def test_a_server_that_is_down_leaves_the_pool_or_keeps_its_connections() -> None:
    seen = judged(rs1=said(False, detail="refused"), rs2=said(True))
    rs1 = told(seen)["rs1"]
    assert (rs1.weight, rs1.share) == (None, None)
    assert factors(rs1)["quiesce"] == ("off: it leaves the pool", "by default")
    kept = told(seen, DOCUMENT.replace("    port: 80\n", "    port: 80\n    quiesce: true\n"))["rs1"]
    assert kept.weight == 0
    assert factors(kept)["quiesce"] == ("on: it keeps its connections at weight 0", "by default")


def test_when_none_is_left_the_sorry_server_is_named() -> None:
    rs1 = told(judged(rs1=said(False), rs2=said(False)))["rs1"]
    assert factors(rs1)["sorry server"] == ("192.168.1.9 answers", "no real server is available")
    alone = told(judged(rs1=said(False)), DOCUMENT.replace("    sorry_server: 192.168.1.9\n", ""))["rs1"]
    assert "sorry server" not in factors(alone)


def test_an_unchecked_server_waits_for_its_first_check() -> None:
    rs1 = told(judged())["rs1"]
    assert factors(rs1)["health"] == ("unchecked", "no verdict yet: it joins the pool when its first check succeeds")


def test_a_verdict_without_a_time_or_a_detail_says_so() -> None:
    seen = replace(SEEN, verdicts={("web", "rs1"): (said(None, detail="").model_copy(update={"since": ""}),)})
    assert factors(told(seen)["rs1"])["health"] == ("not readable", "no detail, says r1, which counts")


def test_what_is_disabled_says_so() -> None:
    rs1 = told(judged(), DOCUMENT.replace("weight: 2", "enabled: false"))["rs1"]
    assert factors(rs1)["server"][0] == "disabled: not in the pool, and not checked"
    assert "health" not in factors(rs1)
    off = told(text=DOCUMENT.replace("    port: 80\n", "    port: 80\n    enabled: false\n"))["rs1"]
    assert factors(off)["virtual server"] == ("disabled", "by default")
    assert off.weight is None


def test_a_load_source_of_which_no_router_tells_is_told() -> None:
    rs1 = told(text=DOCUMENT.replace("    port: 80\n", "    port: 80\n    load: {source: ssh}\n"))["rs1"]
    assert factors(rs1)["load"][0] == "ssh: no router tells what it reads"


def test_where_the_history_cannot_be_asked_nothing_is_said_to_be_a_default() -> None:
    rs1 = told(origins=None)["rs1"]
    assert factors(rs1)["configured"] == ("weight 2", "who set it is not known while etcd is down")


def test_what_the_active_router_made_of_the_weight_is_told_with_reason_and_time() -> None:
    why = {"name": "load", "says": "agent: × 0.5", "why": "load 3.00 per processor", "since": "2026-01-31T10:00:00Z"}
    value = encoded({"servers": {"rs1": {"weight": 100, "factors": [why]}, "rs2": {"weight": 100}}})
    report = pool_report(value)
    assert report is not None
    rs1 = told(replace(SEEN, pools={("web", "r1"): report}))["rs1"]
    assert (rs1.weight, rs1.share) == (100, 0.5)
    assert [factor for factor in rs1.factors if factor.name == "load"] == [Factor(**why)]


def test_verdicts_that_count_together_are_told_as_one_decision() -> None:
    text = DOCUMENT.replace("    port: 80\n", "    port: 80\n    verdicts: any\n")
    seen = judged(rs1=(said(False), said(True, "r2"), said(True, "external-ops")))
    health = [(one.says, one.why) for one in told(seen, text)["rs1"].factors if one.name == "health"]
    since = "since 2026-01-31T10:00:00Z: it was asked, says"
    assert health == [
        ("up", "by verdicts: any: r2 sees it up"),
        ("down", f"{since} r1, which counts"),
        ("up", f"{since} r2, which counts"),
        ("up", f"{since} external-ops, which does not count here"),
    ]
