"""Values counted by size, as Prometheus wants them: memory for a dozen numbers, whatever is counted."""

import bisect
from collections.abc import Sequence
from itertools import accumulate

SHORT_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # one call, one check
LONG_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # what the whole cluster takes part in


class Histogram:
    """How many values were at most so much: `counts` has one number for each limit, and one for what was more."""

    __slots__ = ("counts", "limits", "sum")

    def __init__(self, limits: Sequence[float]) -> None:
        self.limits = tuple(limits)
        self.counts = [0] * (len(self.limits) + 1)
        self.sum = 0.0

    @property
    def total(self) -> int:
        """How many were counted."""
        return sum(self.counts)

    def add(self, value: float) -> None:
        """Count one; below 0 (two clocks that differ) counts as 0."""
        self.counts[bisect.bisect_left(self.limits, value)] += 1
        self.sum += max(0.0, value)

    def merge(self, counts: Sequence[int], sum_: float) -> None:
        """Count what another histogram of the same limits has counted."""
        self.counts = [mine + other for mine, other in zip(self.counts, counts, strict=True)]
        self.sum += sum_

    def copy(self) -> "Histogram":
        """Return what was counted until now."""
        other = Histogram(self.limits)
        other.merge(self.counts, self.sum)
        return other

    def buckets(self) -> list[tuple[str, float]]:
        """Return each limit as text, +Inf the last, with how many values were not above it."""
        return list(zip([*map(str, self.limits), "+Inf"], accumulate(self.counts), strict=True))
