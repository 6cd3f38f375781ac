"""`python -m tests.lab.bench takeover`, `… prober`: measures and writes docs/benchmarks.md and its plots."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from tests.lab import guest, machine
from tests.lab.bench import page, probes
from tests.lab.bench.takeovers import EVENTS, ROW, Row

DOCS = guest.ROOT / "docs"
LIMIT_S = 4 * 3600


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
        click.echo(line)
        if line.startswith(probes.ROW):
            there.append(probes.Load(**json.loads(line.removeprefix(probes.ROW))))

    command = [sys.executable, "-m", "tests.lab.bench.probes", "beside", str(seconds)]
    if machine.run(command, limit_s=LIMIT_S, on_line=heard, mode="fast"):
        raise click.ClickException("the measurement beside keepalived failed; nothing was written")
    release = platform.release().partition("-")[0]
    processor = f"{os.cpu_count()} processors, Linux {release}, Python {platform.python_version()}"
    text = (
        f"{datetime.now(UTC).date()}, on the loopback of a machine with {processor}. {seconds:g} s each.\n\n"
        f"{page.loads(here)}\n\nBeside keepalived, in turns: {_circumstances()}\n\n{page.loads(there)}"
    )
    file = docs / "benchmarks.md"
    file.write_text(page.replaced(file.read_text(), "prober", text))
    click.echo(text)


def _measured(module: str, *arguments: str) -> list[Row]:
    """Run a module in the lab's machine and return its rows; what else it prints is shown."""
    rows: list[Row] = []

    def heard(line: str) -> None:
        click.echo(line)
        if line.startswith(ROW):
            rows.append(Row(**json.loads(line.removeprefix(ROW))))

    status = machine.run([sys.executable, "-m", module, *arguments], limit_s=LIMIT_S, on_line=heard)
    if status:
        raise click.ClickException(f"the measurement ended with status {status}; nothing was written")
    return rows


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
