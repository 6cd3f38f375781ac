"""How late checks begin: whether this process keeps up with its work."""

from clusterd.metrics.histogram import SHORT_S, Histogram


class Lateness(Histogram):
    """Counts by how late something was, and remembers the worst."""

    __slots__ = ("worst_s",)

    def __init__(self) -> None:
        super().__init__(SHORT_S)
        self.worst_s = 0.0

    def add(self, value: float) -> None:
        """Count one."""
        super().add(value)
        self.worst_s = max(self.worst_s, value)

    def at_most_s(self, share: float) -> float:
        """Return a time that at least this share of all (0 to 1) was not later than."""
        wanted, seen = share * self.total, 0
        for count, limit_s in zip(self.counts, self.limits, strict=False):
            seen += count
            if seen >= wanted:
                return min(limit_s, self.worst_s)
        return self.worst_s
