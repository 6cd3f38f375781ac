"""How late checks begin: whether this process keeps up with its work."""

import bisect

LIMITS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Lateness:
    """Counts by how late something was; memory for a dozen numbers."""

    def __init__(self) -> None:
        self._counts = [0] * (len(LIMITS_S) + 1)
        self.worst_s = 0.0

    @property
    def total(self) -> int:
        """Return how many were counted."""
        return sum(self._counts)

    def add(self, late_s: float) -> None:
        """Count one."""
        self._counts[bisect.bisect_left(LIMITS_S, late_s)] += 1
        self.worst_s = max(self.worst_s, late_s)

    def at_most_s(self, share: float) -> float:
        """Return a time that at least this share of all (0 to 1) was not later than."""
        wanted, seen = share * self.total, 0
        for count, limit_s in zip(self._counts, LIMITS_S, strict=False):
            seen += count
            if seen >= wanted:
                return min(limit_s, self.worst_s)
        return self.worst_s
