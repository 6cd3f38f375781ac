"""The alerts and the dashboard name only what routers tell; each alert comes when it should and not before."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusterd.metrics import ALL, PROCESS
from tests.promtool import promtool

PACKAGING = Path(__file__).parent.parent.parent / "packaging"
RULES = PACKAGING / "prometheus" / "clusterd.rules.yml"
DASHBOARD = PACKAGING / "grafana" / "clusterd.json"
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
}

Series = dict[str, str]


def of(router: str, name: str, **labels: str) -> str:
    written = "".join(f',{label}="{value}"' for label, value in labels.items())
    return f'clusterd_{name}{{cluster="main",router="{router}"{written}}}'


def two(name: str, values: str, others: str, **labels: str) -> Series:
    """One metric of two routers."""
    return {of("r1", name, **labels): values, of("r2", name, **labels): others}


def one(name: str, comes: str, stays_away: str, at: str, **labels: str) -> tuple[Series, Series, str]:
    """A case of one metric of one router."""
    return {of("r1", name, **labels): comes}, {of("r1", name, **labels): stays_away}, at


def late(count: str) -> Series:
    """How late checks begin: half of them at most 0.1 s, the others more than 0.5 s, or none of these."""
    half, limits = "check_lateness_seconds_bucket", ("0.1", "0.2", "0.5")
    return {**{of("r1", half, le=limit): "0+100x60" for limit in limits}, of("r1", half, le="+Inf"): count}


WEB = {"virtual": "web"}
RS1 = {"virtual": "web", "server": "rs1"}
# By alert: what makes it come, what does not, and after how long both are looked at. Values are promtool's: one each
# 15 s, a+bxn for n more of them that grow by b.
CASES: dict[str, tuple[Series, Series, str]] = {
    "ClusterdNoActiveRouter": (
        two("active", "1 1 0x8", "0x10", group="default"),
        two("active", "1 1 0 0x8", "0 0 0 1x8", group="default"),
        "75s",
    ),
    "ClusterdTwoActiveRouters": (
        two("active", "1x10", "0 1x9", group="default"),
        two("active", "1x10", "1 1 0x8", group="default"),
        "90s",
    ),
    "ClusterdNoStandby": (two("ready", "1x60", "0x60"), {of("r1", "ready"): "1x60"}, "11m"),
    "ClusterdTakeoversRepeated": (
        two("takeovers_total", "0+1x20", "0+1x20", cause="fast"),
        two("takeovers_total", "0 0 1x20", "0x20", cause="fast"),
        "5m",
    ),
    "ClusterdRouterSilent": (
        {'up{job="clusterd",instance="r1"}': "1 0x8"},
        {'up{job="clusterd",instance="r1"}': "1 0 1x8"},
        "90s",
    ),
    "ClusterdNoMetrics": ({}, {of("r1", "router_info", version="1"): "1x20"}, "3m"),
    "ClusterdLeaseMarginLow": (
        {of("r1", "lease_margin_lowest_seconds"): "0.7x8", of("r1", "lease_ttl_seconds"): "3x8"},
        {of("r1", "lease_margin_lowest_seconds"): "1.6x8", of("r1", "lease_ttl_seconds"): "3x8"},
        "30s",
    ),
    "ClusterdEtcdUnreachable": one("store_silence_seconds", "1 1+15x10", "1 16 1x10", "75s"),
    "ClusterdEtcdRefuses": (
        {of("r1", "store_errors_total", call="get", error="refused"): "0 0 1x8"},
        {of("r1", "store_errors_total", call="get", error="unavailable"): "0 0 1x8"},
        "1m",
    ),
    "ClusterdCertificateEnds": one(
        "certificate_expiry_timestamp_seconds", f"{13 * 86400}x60", f"{15 * 86400}x60", "11m", setting="cert"
    ),
    "ClusterdCommitNotApplied": (
        two("commit_seen_number", "7x8", "6x8") | two("commit_applied_number", "7x8", "6x8"),
        two("commit_seen_number", "6 7x8", "6 6 7x8") | two("commit_applied_number", "6 7x8", "6 6 7x8"),
        "90s",
    ),
    "ClusterdNotConverged": one("converged", "1 0x8", "1 0 1x8", "90s"),
    "ClusterdKernelRefuses": one("kernel_operations_failed_total", "0 0 1x8", "1x8", "1m"),
    "ClusterdDriftRepeated": one("drift_repairs_total", "0+1x20", "0 0 1x20", "3m"),
    "ClusterdFilesNotWritten": one("problems", "1x8", "0x8", "75s", about="files"),
    "ClusterdProblem": (
        {of("r1", "problems", about="peers"): "2x30"},
        {of("r1", "problems", about="peers"): "0x30", of("r1", "problems", about="kernel"): "1x30"},
        "6m",
    ),
    "ClusterdNoServerUp": (
        two("virtual_servers_up", "0x8", "0x8", **WEB) | two("virtual_servers", "3x8", "3x8", **WEB),
        two("virtual_servers_up", "0x8", "1x8", **WEB) | two("virtual_servers", "3x8", "3x8", **WEB),
        "45s",
    ),
    "ClusterdServerDown": (two("server_up", "0x12", "0x12", **RS1), two("server_up", "0x12", "1x12", **RS1), "150s"),
    "ClusterdCouldNotDepool": (
        {of("r1", "virtual_servers_kept", **WEB): "1x8", of("r1", "could_not_depool_total", **WEB): "1x8"},
        {of("r1", "virtual_servers_kept", **WEB): "0x8", of("r1", "could_not_depool_total", **WEB): "1x8"},
        "45s",
    ),
    "ClusterdSorryServer": one("virtual_sorry", "1x8", "1 0x8", "75s", **WEB),
    "ClusterdProberLate": (late("0+200x60"), late("0+100x60"), "12m"),
    "ClusterdProberRestarts": one("prober_starts_total", "1+1x20", "1 1 2x20", "3m"),
    "ClusterdChecksNotMade": (
        {of("r1", "checks_total", type="tcp", result="inconclusive"): "0+1x40"},
        {of("r1", "checks_total", type="tcp", result="failed"): "0+1x40"},
        "7m",
    ),
    "ClusterdObjectsLeftOut": one("objects_left_out", "5x60", "0x60", "11m", kind="server"),
}


def fires(alert: str, series: Series, at: str, count: int) -> dict[str, Any]:
    """A test for promtool: whether an alert fires once at that time, or not at all."""
    expr = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)'
    return {
        "interval": "15s",
        "name": f"{alert} {'comes' if count else 'does not come'}",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expr, "eval_time": at, "exp_samples": [{"labels": "{}", "value": count}]}],
    }


def test_the_rules_are_valid() -> None:
    assert promtool("check", "rules", "--lint=all", "--lint-fatal", RULES) == ""


def test_each_alert_comes_when_it_should_and_not_when_all_is_well(tmp_path: Path) -> None:
    assert CASES.keys() == ALERTS.keys()
    tests = []
    for alert, (bad, good, at) in CASES.items():
        tests += [fires(alert, bad, at, 1), fires(alert, good, at, 0)]
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": tests}))
    assert promtool("test", "rules", file) == ""


def test_what_an_alert_says_is_made_of_what_it_found(tmp_path: Path) -> None:
    said = {
        "summary": "2 routers are active in group default of cluster main",
        **{key: ALERTS["ClusterdTwoActiveRouters"]["annotations"][key] for key in ("description", "action")},
    }
    expected = {
        "exp_labels": {"severity": "critical", "cluster": "main", "group": "default"},
        "exp_annotations": said,
    }
    bad, _, at = CASES["ClusterdTwoActiveRouters"]
    test = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in bad.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": "ClusterdTwoActiveRouters", "exp_alerts": [expected]}],
    }
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "15s", "tests": [test]}))
    assert promtool("test", "rules", file) == ""


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_says_what_it_is_what_it_means_and_what_to_do(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert set(rule["annotations"]) == {"summary", "description", "action"}
    assert all(text.strip() for text in rule["annotations"].values())


# --- names --------------------------------------------------------------------------------------------------------


def told() -> set[str]:
    """Every name of a sample that routers tell (a test of the services holds that against a real one)."""
    parts = {f"{m.name}_{part}" for m in ALL if m.kind == "histogram" for part in ("bucket", "sum", "count")}
    return {metric.name for metric in ALL if metric.kind != "histogram"} | parts | set(PROCESS) | {"up"}


def named(expression: str) -> set[str]:
    """The metrics in an expression."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}', "", expression)
    return set(re.findall(r"\b(?:clusterd|process)_\w+|\bup\b", bare))


def expressions(node: Any) -> Iterator[str]:
    """Every expression of a dashboard."""
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from expressions(each)
    if isinstance(node, dict) and isinstance(node.get("expr"), str):
        yield node["expr"]


def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text())


def test_alerts_and_dashboard_name_only_metrics_that_there_are() -> None:
    for rule in ALERTS.values():
        assert named(rule["expr"])
        assert named(rule["expr"]) <= told(), rule["alert"]
    shown = list(expressions(dashboard()))
    assert shown
    for expression in shown:
        assert named(expression)
        assert named(expression) <= told(), expression


def test_labels_in_alerts_and_dashboard_are_those_of_their_metrics() -> None:
    labels = {metric.name: {"cluster", "router", *metric.labels} for metric in ALL} | {"up": {"job", "instance"}}
    for expression in (*(rule["expr"] for rule in ALERTS.values()), *expressions(dashboard())):
        for name, selected in re.findall(r"\b(clusterd_\w+|up)\{([^}]*)\}", expression):
            metric = name if name in labels else re.sub("_(bucket|sum|count)$", "", name)
            assert set(re.findall(r"(\w+)[=!]~?=?", re.sub(r'"[^"]*"', "", selected))) <= labels[metric], expression


def test_the_expressions_of_the_dashboard_are_valid(tmp_path: Path) -> None:
    rules = [
        {"record": f"r:{number}", "expr": each.replace("$__rate_interval", "5m").replace("$", "")}
        for number, each in enumerate(expressions(dashboard()))
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert promtool("check", "rules", file) == ""


def test_a_dashboard_can_be_imported_anywhere_and_each_panel_says_what_it_shows() -> None:
    board = dashboard()
    assert {each["name"] for each in board["templating"]["list"]} == {"datasource", "cluster", "router", "virtual"}
    assert board["uid"] == "clusterd"
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["title"]
        assert panel["description"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
