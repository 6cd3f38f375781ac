"""The page docs/metrics.md, made from the catalogue."""

from clusterd.metrics.catalogue import COMMON_LABELS, PROCESS, SECTIONS, Metric

_INTRODUCTION = """\
# Metrics

Made by `script/docs` from the source; change that instead.

A router tells Prometheus what it does when its [settings](settings.md) say where, for instance
`metrics = "127.0.0.1:9642"`; by default it does not. Any path answers. With `metrics_cert` and `metrics_key` it speaks
TLS, and with `metrics_client_ca` only to who has a certificate of that authority. Where the place cannot be used the
router goes on without, and says so in its status.

```yaml
scrape_configs:
  - job_name: clusterd
    static_configs:
      - targets: ["192.168.1.252:9642", "192.168.1.253:9642"]
```

`packaging/prometheus/clusterd.rules.yml` has alerts, each with what to do, and `packaging/grafana/clusterd.json` a
dashboard.

What is told is what the router knows at that moment: a scrape reads no kernel and asks no etcd. Figures that only grow
begin at 0 with the service. Every metric has the labels {common} beside its own.

Virtual and real servers have about ten series each. There are at most `metrics_series` of them (10,000 by default): the
first ones in the order of the document, virtual servers before real ones; `clusterd_objects_left_out` counts the rest.
"""
_PROCESS = """
## The process

{names}: processor, memory, files and start of the service, as Prometheus' client library tells them, without labels.
"""


def markdown() -> str:
    """Return the page that lists every metric."""
    common = " and ".join(f"`{label}`" for label in COMMON_LABELS)
    process = _PROCESS.format(names=", ".join(f"`{name}`" for name in PROCESS))
    tables = "".join(_table(title, metrics) for title, metrics in SECTIONS.items())
    return _INTRODUCTION.format(common=common) + tables + process


def _table(title: str, metrics: tuple[Metric, ...]) -> str:
    lines = [f"\n## {title}\n", "| metric | type | labels | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.unit} | {metric.meaning} |")
    return "\n".join(lines) + "\n"
