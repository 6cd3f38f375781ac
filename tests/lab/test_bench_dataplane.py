"""The benchmark of the data plane: the same cluster in everybody's words; figures in, tables and plot out."""

from pathlib import Path

import pytest

from clusterd import ipvsadm, keepalived
from clusterd.desired import desired
from clusterd.model import Cluster
from clusterd.plane import Destination, Item, Key, Service
from clusterd.store.contract import Lease
from tests.lab.bench import dataplane, figures, leased_router, page, plans
from tests.lab.bench.figures import CLUSTERD, IPVSADM, KEEPALIVED, Figure
from tests.lab.bench.sizes import WEIGHT, Size

SMALL, BIG, WIDE, LARGEST = Size(10, 10), Size(1000, 10), Size(1000, 30), Size(3000, 10)
FIGURES = [
    Figure.of(figures.COMMIT, CLUSTERD, SMALL, [0.02, 0.03, 0.9]),
    Figure.of(figures.COMMIT, KEEPALIVED, SMALL, [0.03]),
    Figure.of(figures.COMMIT, CLUSTERD, BIG, [0.05]),
    Figure.of(figures.COMMIT, KEEPALIVED, BIG, [2.6]),
    Figure.of(figures.READ, IPVSADM, WIDE, [1.0]),
    Figure.of(figures.READ, CLUSTERD, WIDE, [1.9]),
    Figure.of(figures.FIRST, CLUSTERD, WIDE, [2.1]),
    Figure.of(figures.PLAN_EQUAL, CLUSTERD, WIDE, [0.06]),
    Figure.of(figures.SPENT, CLUSTERD, LARGEST, [0.4]),
    Figure.of(figures.ROUTER_MB, CLUSTERD, LARGEST, [150]),
    Figure.of(figures.PROBER_MB, CLUSTERD, LARGEST, [100.5]),
    Figure.of(figures.IDLE, CLUSTERD, BIG, [0.011, 0.001]),
]


def ipvs(cluster: Cluster) -> dict[Key, Item]:
    up = {(name, label): True for name, virtual in cluster.virtuals.items() for label in virtual.servers}
    return {key: item for key, item in desired(cluster, up).items() if isinstance(item, Service | Destination)}


def test_a_cluster_of_a_size_is_the_same_for_everybody() -> None:
    size = Size(13, 3)
    assert ipvs(size.cluster()) == size.plane()
    assert ipvs(ipvsadm.read(size.rules(), "eth0").cluster) == size.plane()
    assert ipvs(keepalived.read(size.keepalived(), "eth0").cluster) == size.plane()
    assert Size.of(size.name) == size


def test_one_weight_changes_for_everybody() -> None:
    size = Size(13, 3)
    ours = ipvs(size.reweighted(size.cluster(), WEIGHT + 1))
    assert ours == ipvs(keepalived.read(size.keepalived(WEIGHT + 1), "eth0").cluster)
    assert [item.key for key, item in ours.items() if item != size.plane()[key]] == [size.last()]


def test_figures_come_back_as_they_were_told_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures.tell(*FIGURES)
    assert [figures.told(line) for line in capsys.readouterr().out.splitlines()] == FIGURES
    assert figures.told("something else") is None
    parts = {"table": dataplane.Part("today", tuple(FIGURES))}
    assert dataplane.kept(tmp_path / "none.json") == {}
    dataplane.keep(tmp_path / "figures.json", parts)
    assert dataplane.kept(tmp_path / "figures.json") == parts


def test_figures_of_one_size_replace_those_of_before_and_no_others() -> None:
    first, second = Figure.of(figures.COMMIT, CLUSTERD, SMALL, [0.1]), Figure.of(figures.COMMIT, CLUSTERD, BIG, [0.2])
    again = Figure.of(figures.COMMIT, CLUSTERD, BIG, [0.3])
    before, new = dataplane.Part("yesterday", (first, second)), dataplane.Part("today", (again,))
    assert dataplane.joined(before, new) == dataplane.Part("today", (first, again))
    assert dataplane.joined(None, new) == new


def test_each_goal_says_what_was_measured_and_whether_it_was_reached() -> None:
    assert dataplane.goals_table(dataplane.goals(FIGURES)).splitlines()[2:] == [
        "| one weight, to both kernels, 10 x 10 | 0.03 | 1 x 0.03 | 1 x keepalived's reload | reached |",
        "| one weight, to both kernels, 1,000 x 10 | 0.05 | 0.0192 x 2.6 | 1/50 x keepalived's reload | reached |",
        "| one weight, to both kernels, 1,000 x 10 | 0.05 | 1.67 x 0.03 | 1.5 x the same at 10 x 10 | **missed** |",
        "| read back and compare, 1,000 x 30 | 1.9 | 1.9 x 1 | 2 x `ipvsadm -Ln` | reached |",
        "| read back and compare, when nothing is known, 1,000 x 30 | 2.1 | 2.1 x 1 | 2 x `ipvsadm -Ln` | **missed** |",
        "| plan of one change, items equal, 1,000 x 30, natively | 0.06 | | 0.05 s | **missed** |",
        "| most of a lease that was used up, while 3,000 x 10 come | 0.4 | | half of it | reached |",
        "| resident memory of router and prober, 3,000 x 10 | 250 | | 250 MB | **missed** |",
        "| idle router, 1,000 x 10 | 0.011 | | 0.01 of a core | **missed** |",
    ]
    assert dataplane.goals([]) == []


def test_costs_stand_in_the_order_of_sizes_with_their_units() -> None:
    assert dataplane.growth_table(FIGURES[:2] + FIGURES[-3:]).splitlines() == [
        "| what | program | 10 x 10 | 1,000 x 10 | 3,000 x 10 |",
        "| --- | --- | ---: | ---: | ---: |",
        "| one weight | clusterd | 0.03 s | | |",
        "| one weight | keepalived | 0.03 s | | |",
        "| router's memory | clusterd | | | 150 MB |",
        "| prober's memory | clusterd | | | 100 MB |",
        "| idle router | clusterd | | 0.006 of a core | |",
    ]


def test_the_same_figures_give_the_same_plot(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        dataplane.plot(FIGURES, tmp_path / name)
    assert (tmp_path / "one.svg").read_text() == (tmp_path / "two.svg").read_text()


def test_the_plan_is_measured_with_items_that_are_shared_and_with_equal_ones() -> None:
    found = plans.measured(Size(2, 2))
    assert [(each.what, each.program) for each in found] == [
        (figures.PLAN_SHARED, CLUSTERD),
        (figures.PLAN_EQUAL, CLUSTERD),
    ]


def test_the_page_has_a_place_for_it() -> None:
    text = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
    assert page.replaced(text, "dataplane", "x") != text


def test_a_router_tells_when_more_of_its_lease_was_used_up_than_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now_s = 100.0
    monkeypatch.setattr(leased_router, "boottime_s", lambda: now_s)
    margin = leased_router.Margin()
    for now_s, ttl_s in ((100.0, 3), (101.0, 3), (102.5, 3), (103.5, 3), (107.0, 0), (109.0, 3), (110.0, 3)):
        margin.take(Lease(1, ttl_s, now_s))
    told = capsys.readouterr().err.splitlines()
    assert told == [f"lease margin {left} of 3 s" for left in ("2.000", "1.500", "-0.500")]
