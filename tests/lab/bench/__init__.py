"""Benchmarks on the lab's kernel: what `script/bench` measures, and the page that it writes."""
