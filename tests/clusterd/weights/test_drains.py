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


NOBODY = Cluster()


def test_a_drain_keeps_its_moment_until_it_ends_and_a_new_one_has_its_own() -> None:
    one = cluster("rs1")
    first = drained({}, NOBODY, one, 10)
    assert first == {"web/rs1": 10}
    assert drained(first, one, cluster("rs1", "rs2"), 20) == {"web/rs1": 10, "web/rs2": 20}
    assert drained(first, one, cluster("rs2"), 30) == {"web/rs2": 30}
    assert drained(first, one, cluster(), 30) == {}
    assert drained(first, one, NOBODY, 40) == {}


def test_beside_a_virtual_server_that_stays_as_it_is_another_one_comes_and_goes() -> None:
    one = cluster("rs1")
    mail = cluster("rs2").virtuals["web"]
    both = one.model_copy(update={"virtuals": {**one.virtuals, "mail": mail}})
    first = drained({}, NOBODY, one, 10)
    second = drained(first, one, both, 20)
    assert second == {"web/rs1": 10, "mail/rs2": 20}
    assert drained(second, both, one, 30) == first
