"""What a router tells Prometheus: names by the conventions, all that there is, and not too much of it."""

import re
from dataclasses import replace
from typing import Any

import pytest

from clusterd.counters import Counters
from clusterd.desired import destination_key, service_key
from clusterd.health import Verdict
from clusterd.metrics import (
    ALL,
    Call,
    Checked,
    Commits,
    Counted,
    Figures,
    Histogram,
    Kernel,
    Lease,
    Takeovers,
    Value,
    families,
)
from clusterd.metrics.figures import NEVER
from clusterd.model import Cluster
from clusterd.plane import Key
from clusterd.weights import Pool, Standing
from tests.clusterd.examples import manual

CLUSTER = manual()
WEB = CLUSTER.virtuals["web"]
COUNTED: dict[Key, Counters] = {
    service_key(WEB): Counters(connections=12, active=5, inactive=7, packets_in=30, packets_out=20, bytes_in=3000),
    destination_key(WEB, "rs1"): Counters(connections=12, packets_in=30),
}


def took(*values: float) -> Histogram:
    made = Histogram((0.1, 1.0))
    for value in values:
        made.add(value)
    return made


FIGURES = Figures(
    cluster_name="main",
    router="r1",
    version="1.2",
    cluster=CLUSTER,
    ready=True,
    paused=False,
    problems={"kernel": 2, "peers": 0},
    events={"drift": 3},
    commits=Commits(7, 6, False, took(0.5), {"seen": took(0.2)}),
    active={"default": True, "b": False},
    lease=Lease(2.5, 1.9, 3.0),
    takeovers=Takeovers({"fast": 1}, took(0.3)),
    kernel=Kernel(100, 2, 4),
    checked=Checked({("tcp", "passed"): 9}, took(0.01), 1),
    calls={"get": Call(took(0.01), {"unavailable": 1}), "watch": Call(None, {"refused": 0})},
    silence_s=0.7,
    verdicts={("web", "rs1"): Verdict(True, 0.0, "ok"), ("web", "rs2"): Verdict(False, 0.0, "refused")},
    pools={"web": Pool({"rs1": Standing(2), "rs2": Standing(None)})},
    kept={"web": 1},
    could_not_depool={"web": 5},
    counted=Counted(COUNTED, 4.0),
    certificates={"cert": 2e9},
)


def told(figures: Figures = FIGURES, most: int = 10_000) -> dict[tuple[str, ...], Value]:
    """Every sample by its name and its labels without the common ones, which are the same everywhere."""
    found: dict[tuple[str, ...], Value] = {}
    for family in families(figures, most):
        for labels, value in family.samples:
            assert labels[:2] == (figures.cluster_name, figures.router)
            assert len(labels) == 2 + len(family.metric.labels)
            found[(family.metric.name.removeprefix("clusterd_"), *labels[2:])] = value
    return found


@pytest.mark.parametrize(
    ("sample", "value"),
    [
        (("router_info", "1.2"), 1),
        (("ready",), True),
        (("paused",), False),
        (("problems", "kernel"), 2),
        (("events_total", "drift"), 3),
        (("certificate_expiry_timestamp_seconds", "cert"), 2e9),
        (("commit_seen_number",), 7),
        (("commit_applied_number",), 6),
        (("converged",), False),
        (("active", "default"), True),
        (("active", "b"), False),
        (("lease_margin_seconds",), 2.5),
        (("lease_margin_lowest_seconds",), 1.9),
        (("lease_ttl_seconds",), 3.0),
        (("takeovers_total", "fast"), 1),
        (("drift_repairs_total",), 4),
        (("kernel_operations_total",), 100),
        (("kernel_operations_failed_total",), 2),
        (("checks_total", "tcp", "passed"), 9),
        (("checks_total", WEB.check.type, "inconclusive"), 0),
        (("prober_starts_total",), 1),
        (("store_errors_total", "get", "unavailable"), 1),
        (("store_errors_total", "watch", "refused"), 0),
        (("store_silence_seconds",), 0.7),
        (("virtual_servers", "web"), len(WEB.servers)),
        (("virtual_servers_up", "web"), 1),
        (("virtual_servers_kept", "web"), 1),
        (("could_not_depool_total", "web"), 5),
        (("virtual_sorry", "web"), False),
        (("virtual_connections_total", "web"), 12),
        (("virtual_active_connections", "web"), 5),
        (("virtual_inactive_connections", "web"), 7),
        (("virtual_packets_total", "web", "in"), 30),
        (("virtual_packets_total", "web", "out"), 20),
        (("virtual_bytes_total", "web", "in"), 3000),
        (("virtual_bytes_total", "web", "out"), 0),
        (("server_up", "web", "rs1"), True),
        (("server_up", "web", "rs2"), False),
        (("server_weight", "web", "rs1"), 2),
        (("server_weight", "web", "rs2"), 0),
        (("server_connections_total", "web", "rs1"), 12),
        (("ipvs_counters_age_seconds",), 4.0),
        (("objects_left_out", "virtual"), 0),
        (("objects_left_out", "server"), 0),
    ],
)
def test_what_a_router_knows_is_told(sample: tuple[str, ...], value: float) -> None:
    assert told()[sample] == value


@pytest.mark.parametrize(
    ("sample", "total"),
    [
        (("convergence_seconds",), 0.5),
        (("convergence_stage_seconds", "seen"), 0.2),
        (("takeover_seconds",), 0.3),
        (("check_lateness_seconds",), 0.01),
        (("store_call_seconds", "get"), 0.01),
    ],
)
def test_how_long_things_took_is_told(sample: tuple[str, ...], total: float) -> None:
    value = told()[sample]
    assert isinstance(value, Histogram)
    assert (value.total, value.sum) == (1, total)


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"lease": Lease(NEVER, None, 3.0)}, ("lease_margin_seconds",)),
        ({"lease": Lease(NEVER, None, 3.0)}, ("lease_margin_lowest_seconds",)),
        ({"verdicts": {}}, ("server_up", "web", "rs1")),
        ({"counted": Counted({}, None)}, ("ipvs_counters_age_seconds",)),
        ({"counted": Counted({}, 4.0)}, ("virtual_connections_total", "web")),
        ({}, ("server_up", "web", "rs3")),
        ({}, ("server_active_connections", "web", "rs1")),
        ({}, ("server_inactive_connections", "web", "rs1")),
        ({}, ("store_call_seconds", "watch")),
    ],
)
def test_what_is_not_known_is_not_told(change: dict[str, Any], missing: tuple[str, ...]) -> None:
    assert missing not in told(replace(FIGURES, **change))


def test_a_real_server_that_is_not_enabled_is_neither_up_nor_counted_and_has_no_weight() -> None:
    off = WEB.model_copy(
        update={"servers": {**WEB.servers, "rs1": WEB.servers["rs1"].model_copy(update={"enabled": False})}}
    )
    found = told(replace(FIGURES, cluster=CLUSTER.model_copy(update={"virtuals": {"web": off}}), pools={}))
    assert ("server_up", "web", "rs1") not in found
    assert found["virtual_servers", "web"] == len(WEB.servers) - 1
    assert found["virtual_servers_up", "web"] == 0
    assert found["server_weight", "web", "rs1"] == 0


def test_before_there_is_a_configuration_a_router_tells_of_itself() -> None:
    empty = replace(FIGURES, cluster=Cluster(), verdicts={}, pools={}, counted=Counted({}, None))
    assert told(empty)["commit_seen_number",] == 7
    assert told(empty)["objects_left_out", "server"] == 0


def of_objects(found: dict[tuple[str, ...], Value]) -> list[tuple[str, ...]]:
    return [sample for sample in found if sample[0].startswith(("virtual_", "server_", "could_not_depool"))]


def test_objects_have_no_more_series_than_wanted_whole_ones_only_and_the_rest_is_counted() -> None:
    whole = told()
    of_web = [sample for sample in of_objects(whole) if "rs" not in sample[-1] and "rs1" not in sample]
    virtual = [sample for sample in of_web if not sample[0].startswith("server_")]
    rs1 = [sample for sample in of_objects(whole) if "rs1" in sample]
    for most, virtuals, servers in (
        (0, 0, 0),
        (len(virtual) - 1, 0, 0),
        (len(virtual), 1, 0),
        (len(virtual) + len(rs1) - 1, 1, 0),
        (len(virtual) + len(rs1), 1, 1),
        (len(of_objects(whole)), 1, len(WEB.servers)),
    ):
        found = told(most=most)
        assert len(of_objects(found)) <= most
        assert found["objects_left_out", "virtual"] == 1 - virtuals
        assert found["objects_left_out", "server"] == len(WEB.servers) - servers
        assert len({sample[2] for sample in of_objects(found) if sample[0] == "server_weight"}) == servers


def test_names_follow_the_conventions() -> None:
    for metric in ALL:
        assert re.fullmatch(r"clusterd(_[a-z]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.kind != "histogram" or metric.unit == "seconds"
        assert not {"ms", "milliseconds", "minutes", "kilobytes"} & set(metric.name.split("_"))
        assert all(re.fullmatch("[a-z]+", label) for label in metric.labels)
        assert metric.meaning[0].islower() or metric.meaning[0].isdigit()
    assert len({metric.name for metric in ALL}) == len(ALL)


def test_a_histogram_counts_what_was_at_most_a_limit_and_what_was_more() -> None:
    one = took(0.05, 0.1, 0.5, 7.0, -1.0)
    assert one.buckets() == [("0.1", 3), ("1.0", 4), ("+Inf", 5)]
    assert one.total == 5
    assert one.sum == pytest.approx(7.65)
    other = one.copy()
    other.merge((1, 0, 0), 0.01)
    assert other.counts == [4, 1, 1]
    assert other.sum == pytest.approx(7.66)
    assert (one.counts, one.total) == ([3, 1, 1], 5)
