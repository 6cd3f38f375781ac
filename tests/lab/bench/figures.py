"""What was measured of the data plane: figures as lines of a program's output."""

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from tests.lab.bench.sizes import Size

CLUSTERD, KEEPALIVED, IPVSADM = "clusterd", "keepalived", "ipvsadm"
COMMIT, BUILD, SAME = "one weight", "first build", "look again"
READ, FIRST = "read back and compare", "read back and compare, when nothing is known"
PLAN_SHARED, PLAN_EQUAL = "plan of one change, items shared", "plan of one change, items equal"
SPENT, ROUTER_MB, PROBER_MB = "most of a lease that was used up", "router's memory", "prober's memory"
IDLE = "idle router"
UNITS = {SPENT: "of it", ROUTER_MB: "MB", PROBER_MB: "MB", IDLE: "of a core"}  # all else is in seconds
PREFIX = "figure "


@dataclass(frozen=True, slots=True)
class Figure:
    """What something cost a program at a size: one value for each time it was done, in the unit of `what`."""

    what: str
    program: str
    virtuals: int
    each: int
    values: tuple[float, ...]

    @classmethod
    def of(cls, what: str, program: str, size: Size, values: Iterable[float]) -> "Figure":
        """Return a figure, its values to four digits."""
        return cls(what, program, size.virtuals, size.each, tuple(float(f"{value:.4g}") for value in values))

    @property
    def size(self) -> Size:
        """Of what it is."""
        return Size(self.virtuals, self.each)

    @property
    def median(self) -> float:
        """The value in the middle."""
        return statistics.median(self.values)


def tell(*figures: Figure) -> None:
    """Print each as one line."""
    for figure in figures:
        print(PREFIX + json.dumps(asdict(figure)), flush=True)


def told(line: str) -> Figure | None:
    """Return the figure that a line tells, None where it tells something else."""
    return decoded(json.loads(line.removeprefix(PREFIX))) if line.startswith(PREFIX) else None


def decoded(fields: dict[str, object]) -> Figure:
    """Return a figure that was kept as JSON."""
    values = fields["values"]
    assert isinstance(values, list)
    return Figure(**{**fields, "values": tuple(values)})  # type: ignore[arg-type]  # as `asdict` wrote them
