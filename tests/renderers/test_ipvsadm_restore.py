"""On a kernel with IPVS: what is rendered for ipvsadm -R is what ipvsadm -Sn prints afterwards."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest

from clusterd import document
from clusterd.model import Cluster, Scheduler
from renderers.ipvsadm import render
from tests.clusterd.examples import manual
from tests.lab.namespaces import ip, run

pytestmark = pytest.mark.lab
NAME = "restored"


@pytest.fixture(autouse=True)
def _namespace() -> Iterator[None]:
    ip([f"netns add {NAME}"])
    ip(["link set lo up"], NAME)  # IPVS asks the table of local addresses whether a server's address is unicast
    yield
    ip([f"netns del {NAME}"])


def everything() -> Cluster:
    """Return a cluster with every scheduler, way of forwarding, protocol and kind of persistence."""
    ways = ("nat", "direct", "tunnel")
    kept: tuple[dict[str, Any], ...] = ({}, {"persistence": {}}, {"persistence": {"timeout_s": 2678400, "prefix": 1}})
    virtuals: dict[str, Any] = {}
    for n, scheduler in enumerate(get_args(Scheduler)):
        servers = {
            way: {"address": f"10.0.0.{last}", "weight": weight, "forwarding": way}
            for way, last, weight in zip(ways, (1, 2, 3), (0, 1, 65535), strict=True)
        }
        virtuals[scheduler] = {
            "address": f"1.2.3.{n + 1}/24",
            "interface": "eth0",
            "port": 80 + n,
            "protocol": ("tcp", "udp")[n % 2],
            "scheduler": scheduler,
            "servers": servers | {"far": {"address": "10.0.0.4", "port": 8080}},
            **kept[n % 3],
        }
    return document.from_data({"virtuals": virtuals})


@pytest.mark.parametrize("cluster", [manual(), everything()], ids=["manual", "everything"])
def test_ipvsadm_restores_what_is_rendered_and_prints_the_same(cluster: Cluster) -> None:
    text = render(cluster).text
    restored = run(NAME, ["ipvsadm", "-R"], input_text=text)
    assert restored.stderr == ""
    assert restored.returncode == 0
    saved = run(NAME, ["ipvsadm", "-Sn"])
    assert sorted(saved.stdout.splitlines()) == sorted(text.splitlines())  # the kernel's order is that of its hashes
