"""What a router tells Prometheus: the list of its metrics, and what they are of one moment's figures. Pure.

    router ──▶ Figures ──▶ families() ──▶ one Family a metric ──▶ exposition (watchers.metrics)

Names follow Prometheus' conventions: base units, `_total` for what only grows, `_seconds`, `_info`.
"""

from clusterd.metrics.catalogue import ALL, COMMON_LABELS, PROCESS, Metric
from clusterd.metrics.families import Family, Value, families
from clusterd.metrics.figures import Call, Checked, Commits, Counted, Figures, Kernel, Lease, Takeovers
from clusterd.metrics.histogram import Histogram
from clusterd.metrics.page import markdown

__all__ = [
    "ALL",
    "COMMON_LABELS",
    "PROCESS",
    "Call",
    "Checked",
    "Commits",
    "Counted",
    "Family",
    "Figures",
    "Histogram",
    "Kernel",
    "Lease",
    "Metric",
    "Takeovers",
    "Value",
    "families",
    "markdown",
]
