"""Since when the document drains which server."""

from typing import Any

from clusterd.document import from_data
from clusterd.model import Cluster
from clusterd.weights import drained


def cluster(*draining: str) -> Cluster:
    servers: dict[str, Any] = {
        name: {"address": f"192.168.1.{number}", "drain": name in draining}
        for number, name in enumerate(("rs1", "rs2"), 1)
    }
    return from_data({"virtuals": {"web": {"address": "1.2.3.1", "interface": "eth0", "port": 80, "servers": servers}}})


def test_a_drain_keeps_its_moment_until_it_ends_and_a_new_one_has_its_own() -> None:
    first = drained({}, cluster("rs1"), 10)
    assert first == {"web/rs1": 10}
    assert drained(first, cluster("rs1", "rs2"), 20) == {"web/rs1": 10, "web/rs2": 20}
    assert drained(first, cluster("rs2"), 30) == {"web/rs2": 30}
    assert drained(first, Cluster(), 40) == {}
