"""`python -m tests.lab.bench takeover`, `prober` or `dataplane`: measures, writes docs/benchmarks.md and its plots."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from tests.lab import guest, machine
from tests.lab.bench import dataplane, page, plans, probes
from tests.lab.bench.figures import Figure, told
from tests.lab.bench.sizes import Size
from tests.lab.bench.takeovers import EVENTS, ROW, Row

DOCS = guest.ROOT / "docs"
LIMIT_S = 4 * 3600
PARTS = {  # of the data plane: the module that runs in the lab's machine, None for what needs none
    "plan": None,
    "table": "tests.lab.bench.tables",
    "commit": "tests.lab.bench.commits",
    "burden": "tests.lab.bench.burden",
}


@click.group()
def main() -> None:
    """Measure clusterd beside keepalived and ipvsadm on a real kernel."""


@main.command()
@click.option("--rounds", default=10, show_default=True, help="how often each event happens to each system")
@click.option("--event", "events", multiple=True, type=click.Choice(list(EVENTS)), help="only this; may be repeated")
@click.option("--docs", default=DOCS, type=click.Path(path_type=Path), help="the folder with benchmarks.md")
def takeover(rounds: int, events: tuple[str, ...], docs: Path) -> None:
    """Measure what a client sees when the active router stops, dies, freezes or loses its power.

    What was measured of other events before stays on the page.
    """
    figures = docs / "benchmarks-takeover.json"
    runs = page.runs(figures)
    rows = _measured("tests.lab.bench.takeovers", str(rounds), *(events or EVENTS))
    runs |= page.by_event(rows, f"{_circumstances()} {rounds} rounds.")
    page.keep(figures, runs)
    page.plot(page.rows(runs), docs / "benchmarks-takeover.svg")
    table = page.table(page.rows(runs))
    text = f"{page.circumstances(runs)}\n\n{table}\n\n![the gaps](benchmarks-takeover.svg)"
    file = docs / "benchmarks.md"
    file.write_text(page.replaced(file.read_text(), "takeover", text))
    click.echo(table)


@main.command()
@click.option("--seconds", default=20.0, show_default=True, help="how long each load is measured")
@click.option("--docs", default=DOCS, type=click.Path(path_type=Path), help="the folder with benchmarks.md")
def prober(seconds: float, docs: Path) -> None:
    """Measure what checks cost: here on the loopback, and beside keepalived's checker on the lab's machine."""
    here = [probes.measured(*load, seconds) for load in probes.LOADS]
    there: list[probes.Load] = []

    def heard(line: str) -> None:
        if line.startswith(probes.ROW):
            there.append(probes.Load(**json.loads(line.removeprefix(probes.ROW))))

    _run([sys.executable, "-m", "tests.lab.bench.probes", "beside", str(seconds)], heard, "fast")
    text = (
        f"{datetime.now(UTC).date()}, on the loopback of a machine with {_here()}. {seconds:g} s each.\n\n"
        f"{page.loads(here)}\n\nBeside keepalived, in turns: {_circumstances()}\n\n{page.loads(there)}"
    )
    file = docs / "benchmarks.md"
    file.write_text(page.replaced(file.read_text(), "prober", text))
    click.echo(text)


@main.command("dataplane")
@click.option("--part", "parts", multiple=True, type=click.Choice(list(PARTS)), help="only this; may be repeated")
@click.option("--size", "sizes", multiple=True, metavar="NxM", help="only N virtual servers of M; may be repeated")
@click.option("--mode", default="steady", show_default=True, type=click.Choice(list(guest.MODES)), help="guest's clock")
@click.option("--docs", default=DOCS, type=click.Path(path_type=Path), help="the folder with benchmarks.md")
def of_dataplane(parts: tuple[str, ...], sizes: tuple[str, ...], mode: str, docs: Path) -> None:
    """Measure what the data plane costs, for 10 to 3,000 virtual servers, beside keepalived and ipvsadm.

    What was measured of other parts and sizes before stays on the page.
    """
    file = docs / "benchmarks-dataplane.json"
    known = dataplane.kept(file)
    for part in parts or PARTS:
        known[part] = dataplane.joined(known.get(part), _part(part, sizes, mode))
        dataplane.keep(file, known)
        page_file, text = docs / "benchmarks.md", dataplane.text(known)
        dataplane.plot(dataplane.figures_of(known), docs / "benchmarks-dataplane.svg")
        page_file.write_text(page.replaced(page_file.read_text(), "dataplane", text))
    click.echo(dataplane.text(known))


def _part(part: str, sizes: tuple[str, ...], mode: str) -> dataplane.Part:
    module = PARTS[part]
    if module is None:
        chosen = tuple(map(Size.of, sizes)) or plans.SIZES
        found = tuple(figure for size in chosen for figure in plans.measured(size))
        return dataplane.Part(f"{datetime.now(UTC).date()}, {_here()}.", found)
    seen: list[Figure] = []
    _run([sys.executable, "-m", module, *sizes], lambda line: seen.extend(filter(None, [told(line)])), mode)
    return dataplane.Part(_circumstances(), tuple(seen))


def _measured(module: str, *arguments: str) -> list[Row]:
    """Run a module in the lab's machine and return its rows; what else it prints is shown."""
    rows: list[Row] = []

    def heard(line: str) -> None:
        if line.startswith(ROW):
            rows.append(Row(**json.loads(line.removeprefix(ROW))))

    _run([sys.executable, "-m", module, *arguments], heard)
    return rows


def _run(command: list[str], heard: Callable[[str], None], mode: str = "steady") -> None:
    """Run a command in the lab's machine, show its lines and have them heard; nothing is written where it fails."""

    def shown(line: str) -> None:
        click.echo(line)
        heard(line)

    status = machine.run(command, limit_s=LIMIT_S, on_line=shown, mode=mode)
    if status:
        raise click.ClickException(f"the measurement ended with status {status}; nothing was written")


def _here() -> str:
    """What this program runs on."""
    release = platform.release().partition("-")[0]
    return f"{os.cpu_count()} processors, Linux {release}, Python {platform.python_version()}"


def _circumstances() -> str:
    kernel = sorted((guest.KERNEL / "boot").glob("vmlinuz-*"))
    if machine.kernel_has_ipvs():
        where = f"Linux {Path('/proc/sys/kernel/osrelease').read_text().strip()}"
    else:
        where = f"Linux {kernel[-1].name.removeprefix('vmlinuz-')} on an emulated processor"
    return f"{datetime.now(UTC).date()}, {where}, {_version('keepalived')}, {_version('etcd')}."


def _version(program: str) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    words = (done.stdout + done.stderr).split()
    return (
        f"{program} {next((word.strip('v,') for word in words if word.strip('v')[:1].isdigit()), 'of unknown version')}"
    )


if __name__ == "__main__":
    main()
