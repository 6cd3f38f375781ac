"""The page of benchmarks: rows of measurements as a table and a plot, put into their section of docs/benchmarks.md.

<!-- takeover -->
... made by `script/bench takeover`
<!-- /takeover -->
"""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from tests.lab.bench.probes import Load
from tests.lab.bench.takeovers import Row

_DOTS = {"clusterd": "#1f6feb", "keepalived": "#9a6700"}


def replaced(page: str, section: str, text: str) -> str:
    """Return the page with this text as the section. Raises ValueError where the page has no such section."""
    begin, end = f"<!-- {section} -->\n", f"<!-- /{section} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no section {section}")
    return f"{before}{begin}{text.rstrip()}\n{end}{after}"


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured of one event, of all systems in one run."""

    circumstances: str
    rows: tuple[Row, ...]


def by_event(found: Iterable[Row], said: str) -> dict[str, Run]:
    """Return the runs that these rows are, by event."""
    given = list(found)
    events = dict.fromkeys(row.event for row in given)
    return {event: Run(said, tuple(row for row in given if row.event == event)) for event in events}


def runs(file: Path) -> dict[str, Run]:
    """Return the runs that are kept in a file, by event; none where there is no file."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    return {
        event: Run(run["circumstances"], tuple(Row(event=event, **row) for row in run["rows"]))
        for event, run in kept.items()
    }


def keep(file: Path, known: Mapping[str, Run]) -> None:
    """Write runs to a file: one line for each row."""
    parts = []
    for event, run in known.items():
        rows = [json.dumps({key: value for key, value in asdict(row).items() if key != "event"}) for row in run.rows]
        lines = ",\n".join(f"    {row}" for row in rows)
        parts.append(
            f'{json.dumps(event)}: {{"circumstances": {json.dumps(run.circumstances)}, "rows": [\n{lines}\n]}}'
        )
    file.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def rows(known: Mapping[str, Run]) -> list[Row]:
    """Return the rows of all runs."""
    return [row for run in known.values() for row in run.rows]


def circumstances(known: Mapping[str, Run]) -> str:
    """Return when and on what each event was measured; events of one run together."""
    events: dict[str, list[str]] = {}
    for event, run in known.items():
        events.setdefault(run.circumstances, []).append(event)
    return "\n\n".join(f"{', '.join(names)}: {said}" for said, names in events.items())


def grouped(rows: Iterable[Row]) -> Mapping[tuple[str, str], Sequence[Row]]:
    """Return the rows of each (event, system), events together."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.event, row.system), []).append(row)
    events = list(dict.fromkeys(event for event, _ in found))
    return dict(sorted(found.items(), key=lambda pair: events.index(pair[0][0])))


def table(measured: Iterable[Row]) -> str:
    """Return a Markdown table: median and worst of each cell, in seconds."""
    lines = [
        "| event | system | gap, median (worst) | wait, median (worst) | failed, median | answered twice, worst |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for (event, system), each in grouped(measured).items():
        gap, wait = _spread([row.gap_s for row in each]), _spread([row.wait_s for row in each])
        failed = statistics.median(row.failed for row in each)
        twice = max(row.twice for row in each)
        lines.append(f"| {event} | {system} | {gap} | {wait} | {failed:g} | {twice or 'never'} |")
    return "\n".join(lines)


def loads(rows: Iterable[Load]) -> str:
    """Return a Markdown table of what checks cost, a line for each measurement."""
    lines = [
        "| program | checks | checks/s | of a core | CPU each | 99 % begin within | latest | memory | files |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        late = [f"{1000 * each:g} ms" if each is not None else "–" for each in (row.late_p99_s, row.late_worst_s)]
        lines.append(
            f"| {row.program} | {row.count} × {row.type} | {row.checks_s:g} | {row.core:.2f} | {row.cost_us:g} µs "
            f"| {late[0]} | {late[1]} | {row.memory_mb:g} MB | {row.files} |"
        )
    return "\n".join(lines)


def _spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({max(seconds):.2f} s)"


def plot(measured: Iterable[Row], file: Path) -> None:
    """Draw every takeover as a dot: gap in seconds, logarithmic, one line for each event and system."""
    cells = grouped(measured)
    mpl.rcParams["svg.hashsalt"] = "clusterd"  # the same figures give the same file
    figure = Figure(figsize=(9, 0.42 * len(cells) + 1.2), layout="constrained")
    axes = figure.subplots()
    for place, ((_, system), each) in enumerate(cells.items()):
        gaps = [max(row.gap_s, 0.01) for row in each]
        colour = _DOTS[system.split(",")[0]]
        axes.scatter(gaps, [place] * len(gaps), s=22, color=colour, alpha=0.6, linewidths=0)
        axes.scatter([statistics.median(gaps)], [place], s=160, color=colour, marker="|")
    axes.set_xscale("log")
    axes.set_xlabel("longest time without a request that succeeds (s); | is the median")
    axes.set_yticks(range(len(cells)), [f"{event}: {system}" for event, system in cells])
    axes.invert_yaxis()
    axes.grid(visible=True, axis="x", alpha=0.3)
    figure.savefig(file, format="svg", metadata={"Date": None})
