"""The data plane's part of the page: what was to be reached and what was, how costs grow, and a plot of that."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Drawing

from tests.lab.bench import figures
from tests.lab.bench.figures import CLUSTERD, IPVSADM, KEEPALIVED, UNITS, Figure
from tests.lab.bench.sizes import Size

_SMALL, _BIG, _WIDE, _LARGEST = Size(10, 10), Size(1000, 10), Size(1000, 30), Size(3000, 10)
_COLOURS = {CLUSTERD: "#1f6feb", KEEPALIVED: "#9a6700", IPVSADM: "#6e7781"}
_GROWING = (figures.COMMIT, figures.BUILD, figures.READ, figures.SAME, figures.PLAN_SHARED, figures.PLAN_EQUAL)


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of the measurement gave, and when and on what."""

    circumstances: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Goal:
    """Something to be reached: `measured` is at most so many times `against`; `bound` says so in words."""

    what: str
    measured: float
    bound: str
    most: float
    against: float | None = None  # where it is a number that is compared with `most` itself

    @property
    def ratio(self) -> float:
        """How many times it is."""
        return self.measured / (self.against or 1.0)

    @property
    def reached(self) -> bool:
        """Whether that is few enough."""
        return self.ratio <= self.most


def kept(file: Path) -> dict[str, Part]:
    """Return the parts that are kept in a file, by name; none where there is no file."""
    found = json.loads(file.read_text()) if file.exists() else {}
    return {
        name: Part(part["circumstances"], tuple(map(figures.decoded, part["figures"]))) for name, part in found.items()
    }


def keep(file: Path, parts: Mapping[str, Part]) -> None:
    """Write parts to a file: one line for each figure."""
    texts = []
    for name, part in parts.items():
        lines = ",\n".join(f"    {json.dumps(asdict(figure))}" for figure in part.figures)
        said = json.dumps(part.circumstances)
        texts.append(f'{json.dumps(name)}: {{"circumstances": {said}, "figures": [\n{lines}\n]}}')
    file.write_text("{\n" + ",\n".join(texts) + "\n}\n")


def joined(before: Part | None, new: Part) -> Part:
    """Return a part that was measured, with what was measured of it before at other sizes, or of another kind."""
    if before is None:
        return new
    fresh = {(each.what, each.program, each.size) for each in new.figures}
    stays = tuple(each for each in before.figures if (each.what, each.program, each.size) not in fresh)
    return Part(new.circumstances, stays + new.figures)


def figures_of(parts: Mapping[str, Part]) -> list[Figure]:
    """Return the figures of all parts."""
    return [figure for part in parts.values() for figure in part.figures]


def text(parts: Mapping[str, Part]) -> str:
    """Return the section of the page."""
    found = figures_of(parts)
    said = "\n".join(f"- {name}: {part.circumstances}" for name, part in parts.items())
    plotted = "![how costs grow](benchmarks-dataplane.svg)"
    return f"{said}\n\n{goals_table(goals(found))}\n\nMedians:\n\n{growth_table(found)}\n\n{plotted}"


def goals(found: Sequence[Figure]) -> list[Goal]:
    """Return those of which everything was measured."""
    known = {(each.what, each.program, each.size): each for each in found}
    ours, reload = "one weight, to both kernels", "keepalived's reload"
    listing, build = "2 x `ipvsadm -Ln`", "`ipvsadm -R`"
    ratios = [
        (f"{ours}, {_SMALL}", figures.COMMIT, _SMALL, KEEPALIVED, _SMALL, f"1 x {reload}", 1.0),
        (f"{ours}, {_BIG}", figures.COMMIT, _BIG, KEEPALIVED, _BIG, f"1/50 x {reload}", 0.02),
        (f"{ours}, {_BIG}", figures.COMMIT, _BIG, CLUSTERD, _SMALL, f"1.5 x the same at {_SMALL}", 1.5),
        (f"{figures.BUILD}, {_BIG}", figures.BUILD, _BIG, IPVSADM, _BIG, f"0.8 x {build}", 0.8),
        (f"{figures.BUILD}, {_WIDE}", figures.BUILD, _WIDE, IPVSADM, _WIDE, f"0.8 x {build}", 0.8),
        (f"{figures.READ}, {_WIDE}", figures.READ, _WIDE, IPVSADM, _WIDE, listing, 2.0),
        (f"{figures.FIRST}, {_WIDE}", figures.FIRST, _WIDE, IPVSADM, _WIDE, listing, 2.0),
    ]
    reached = []
    for what, kind, size, program, other, bound, most in ratios:
        theirs = figures.READ if kind == figures.FIRST else kind
        mine, against = known.get((kind, CLUSTERD, size)), known.get((theirs, program, other))
        if mine and against:
            reached.append(Goal(what, mine.median, bound, most, against.median))
    return reached + _absolute({(each.what, each.size): each for each in found})


def _absolute(known: Mapping[tuple[str, Size], Figure]) -> list[Goal]:
    """Return those that are compared with no other program."""
    found = []
    for what in (figures.PLAN_SHARED, figures.PLAN_EQUAL):
        if planned := known.get((what, _WIDE)):
            found.append(Goal(f"{what}, {_WIDE}, natively", planned.median, "0.05 s", 0.05))
    if spent := known.get((figures.SPENT, _LARGEST)):
        found.append(Goal(f"{figures.SPENT}, while {_LARGEST} come", max(spent.values), "half of it", 0.5))
    router, prober = known.get((figures.ROUTER_MB, _LARGEST)), known.get((figures.PROBER_MB, _LARGEST))
    if router and prober:
        both = router.median + prober.median
        found.append(Goal(f"resident memory of router and prober, {_LARGEST}", both, "250 MB", 250))
    if idle := known.get((figures.IDLE, _BIG)):
        found.append(Goal(f"idle router, {_BIG}", max(idle.values), "0.01 of a core", 0.01))
    return found


def goals_table(reached: Iterable[Goal]) -> str:
    """Return what was to be reached as a Markdown table."""
    lines = ["| what | measured | compared with | at most | |", "| --- | ---: | ---: | --- | --- |"]
    for goal in reached:
        compared = f"{goal.ratio:.3g} x {goal.against:.3g}" if goal.against else ""
        said = "reached" if goal.reached else "**missed**"
        lines.append(_line(goal.what, f"{goal.measured:.3g}", compared, goal.bound, said))
    return "\n".join(lines)


def growth_table(found: Sequence[Figure]) -> str:
    """Return every figure as a Markdown table: a line for each program, a column for each size."""
    sizes = sorted({each.size for each in found}, key=lambda size: (size.servers, size.virtuals))
    known = {(each.what, each.program, each.size): each for each in found}
    lines = [
        "| what | program | " + " | ".join(map(str, sizes)) + " |",
        "| --- | --- |" + " ---: |" * len(sizes),
    ]
    for what, program in dict.fromkeys((each.what, each.program) for each in found):
        cells = [_cell(known.get((what, program, size))) for size in sizes]
        lines.append(_line(what, program, *cells))
    return "\n".join(lines)


def _line(*cells: str) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return f"{figure.median:.3g} {UNITS.get(figure.what, 's')}"


def plot(found: Sequence[Figure], file: Path) -> None:
    """Draw how each cost grows with the number of virtual servers, of ten real servers each."""
    mpl.rcParams["svg.hashsalt"] = "clusterd"  # the same figures give the same file
    drawing = Drawing(figsize=(9, 8), layout="constrained")
    for axes, what in zip(drawing.subplots(3, 2).flat, _GROWING, strict=True):
        for program, colour in _COLOURS.items():
            line = sorted(
                (each.virtuals, each.median)
                for each in found
                if (each.what, each.program, each.each) == (what, program, _SMALL.each)
            )
            if line:
                axes.plot(*zip(*line, strict=True), marker="o", color=colour, label=program)
        axes.set(xscale="log", yscale="log", title=what, xlabel="virtual servers, of 10 real servers", ylabel="s")
        axes.grid(visible=True, which="major", alpha=0.3)
        if axes.get_lines():
            axes.legend()
    drawing.savefig(file, format="svg", metadata={"Date": None})
