"""The page of benchmarks: figures in, table and plot out."""

from pathlib import Path

import pytest

from tests.lab.bench import page
from tests.lab.bench.probes import Load
from tests.lab.bench.takeovers import Row


def rows() -> list[Row]:
    return [
        Row("clusterd, leases of 3 s", "hand-over", 0.02, 0.10, 150, 0, 0),
        Row("keepalived, adverts of 1 s", "kill -9", 0.03, 0.03, 300, 0, 102),
        Row("clusterd, leases of 3 s", "kill -9", 2.00, 2.50, 300, 100, 0),
        Row("clusterd, leases of 3 s", "hand-over", 0.04, 0.12, 150, 0, 0),
        Row("clusterd, leases of 3 s", "hand-over", 0.10, 0.11, 150, 2, 0),
    ]


def test_each_event_and_system_is_a_line_with_median_and_worst() -> None:
    assert page.table(rows()).splitlines()[2:] == [
        "| hand-over | clusterd, leases of 3 s | 0.04 s (0.10 s) | 0.11 s (0.12 s) | 0 | never |",
        "| kill -9 | keepalived, adverts of 1 s | 0.03 s (0.03 s) | 0.03 s (0.03 s) | 0 | 102 |",
        "| kill -9 | clusterd, leases of 3 s | 2.00 s (2.00 s) | 2.50 s (2.50 s) | 100 | never |",
    ]


def test_a_run_of_one_event_leaves_what_was_measured_of_others(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    assert page.runs(file) == {}
    page.keep(file, page.by_event(rows(), "yesterday"))
    again = page.by_event([Row("clusterd, leases of 3 s", "hand-over", 0.01, 0.10, 150, 0, 0)], "today")
    known = page.runs(file) | again
    assert [row.gap_s for row in page.rows(known)] == [0.01, 0.03, 2.0]
    assert page.circumstances(known) == "hand-over: today\n\nkill -9: yesterday"
    page.keep(file, known)
    assert page.runs(file) == known


def test_a_section_is_replaced_and_the_rest_of_the_page_stays() -> None:
    before = "# a\n<!-- x -->\nold\n<!-- /x -->\nb\n<!-- y -->\n<!-- /y -->\n"
    after = page.replaced(before, "x", "new\n")
    assert after == before.replace("old", "new")
    assert page.replaced(after, "x", "new") == after


@pytest.mark.parametrize("text", ["", "<!-- x -->\n", "<!-- /x -->"])
def test_a_page_without_the_section_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no section x"):
        page.replaced(text, "x", "new")


def test_the_same_figures_give_the_same_plot(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg"):
        page.plot(rows(), tmp_path / name)
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "two.svg").read_text()
    assert "<svg" in drawn


def test_the_pages_sections_are_there() -> None:
    text = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
    assert page.replaced(text, "takeover", "x") != text


def test_each_load_of_checks_is_a_line() -> None:
    loads = [
        Load("clusterd", "tcp", 10_000, 4999.6, 0.422, 84.5, 0.002, 0.05, 82.5, 8),
        Load("keepalived", "tcp", 600, 300.0, 0.4, 1333.0, None, None, 5.6, 65),
    ]
    assert page.loads(loads).splitlines()[2:] == [
        "| clusterd | 10000 × tcp | 4999.6 | 0.42 | 84.5 µs | 2 ms | 50 ms | 82.5 MB | 8 |",
        "| keepalived | 600 × tcp | 300 | 0.40 | 1333 µs | – | – | 5.6 MB | 65 |",
    ]
