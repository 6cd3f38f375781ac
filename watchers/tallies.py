"""What all probers of a router have counted since it was started, one after the other."""

from collections import Counter

from clusterd.metrics import Checked
from clusterd.metrics.histogram import SHORT_S, Histogram
from watchers.prober_messages import Tally


class Tallies:
    """Adds up what they say. `starts` is how many there were."""

    def __init__(self) -> None:
        self.starts = 0
        self._results = Counter[tuple[str, str]]()
        self._late = Histogram(SHORT_S)

    def add(self, tally: Tally) -> None:
        """Count what a prober did."""
        for kind, results in tally.results.items():
            for result, count in results.items():
                self._results[kind, result] += count
        self._late.merge(tally.late, tally.late_sum_s)

    def all(self) -> Checked:
        """Return the sum until now."""
        return Checked(dict(self._results), self._late.copy(), self.starts)
