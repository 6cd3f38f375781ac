"""`script/weights`: draws runs of the simulated controllers into docs/weights.svg."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.clusterd.weights.queues import Queue, Run, busy, run, steady, waves

FILE = Path(__file__).parents[3] / "docs" / "weights.svg"
LONG_S = 1500.0
PIRANHA: dict[str, Any] = {"controller": "piranha", "interval_s": 20}
ODD, OTHERS = "#d1242f", ("#1f6feb", "#54aeff", "#8c959f")


def _with(odd: Queue) -> dict[str, Queue]:
    return {"a": Queue(), "b": Queue(), "c": Queue(), "odd": odd}


STORIES: dict[str, tuple[Callable[[], dict[str, Queue]], Callable[[float], float]]] = {
    "one has half the speed": (lambda: _with(Queue(speed=0.5)), steady(24)),
    "one has double the processors": (lambda: _with(Queue(cores=4)), steady(36)),
    "half the speed, requests in waves of 3 min": (lambda: _with(Queue(speed=0.5)), waves(8, 28, 180)),
    "one is busy with something else, 500 to 1000 s": (lambda: _with(Queue(other=busy(500, 1000, 6))), steady(18)),
}


def draw(file: Path) -> None:
    """Draw every story: weights and load by the default controller, load by Piranha's formula."""
    mpl.rcParams["svg.hashsalt"] = "clusterd"  # the same figures give the same file
    figure = Figure(figsize=(12, 2.4 * len(STORIES)), layout="constrained")
    rows = figure.subplots(len(STORIES), 3, squeeze=False)
    for row, (title, (queues, per_s)) in zip(rows, STORIES.items(), strict=True):
        ours = run(queues(), per_s, LONG_S)
        theirs = run(queues(), per_s, LONG_S, **PIRANHA)
        _lines(row[0], ours, ours.weights, f"{title}\nweight (smooth)")
        _lines(row[1], ours, ours.loads, "\nload per processor (smooth)")
        _lines(row[2], theirs, theirs.loads, "\nload per processor (piranha)")
    for axes in rows[-1]:
        axes.set_xlabel("seconds")
    figure.savefig(file, format="svg", metadata={"Date": None})


def _lines(axes: Axes, seen: Run, values: dict[str, list[float]], title: str) -> None:
    for name, colour in zip(values, (*OTHERS, ODD), strict=True):
        axes.plot(seen.times[::10], values[name][::10], color=colour, linewidth=1)
    axes.set_title(title, fontsize=9)
    if max(map(max, values.values())) > 20:
        axes.set_yscale("symlog", linthresh=10)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=FILE)
    draw(parser.parse_args().file)


if __name__ == "__main__":
    main()
