"""Clusters for tests: the manual's, and any that hypothesis can think of."""

from ipaddress import IPv4Address
from typing import Any

from hypothesis import strategies as st

from clusterd.document import from_data, parse
from clusterd.model import Cluster

MANUAL = """\
cluster:
  nat_router: {address: 192.168.1.254/24, interface: eth1}
  masquerade: [{source: 192.168.1.0/24, interface: eth0}]
routers:
  r1: {public: 1.2.3.2, private: 192.168.1.252}
  r2: {public: 1.2.3.3, private: 192.168.1.253, priority: 50}
virtuals:
  web:
    address: 1.2.3.1/24
    interface: eth0
    port: 80
    check: {type: http, path: /}
    servers:
      rs1: {address: 192.168.1.1, weight: 2}
      rs2: {address: 192.168.1.2}
      rs3: {address: 192.168.1.3}
"""


def manual() -> Cluster:
    """Return the manual's cluster."""
    return parse(MANUAL)


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Valid clusters that differ in small things, as edits of one cluster do."""
    checks = [{"type": "tcp"}, {"type": "http"}, {"type": "http", "path": "/x", "status": [200, 204]}]
    check = draw(st.sampled_from(checks))
    virtuals: dict[str, Any] = {}
    for number in draw(st.sets(st.integers(0, 4))):
        virtuals[f"v{number}"] = {
            "address": f"1.2.3.{100 + number}/24",
            "interface": "eth0",
            "port": draw(st.integers(1, 3)),
            "check": check,
            "quiesce": draw(st.booleans()),
            "servers": {
                f"rs{server}": {"address": str(IPv4Address(0xC0A80100 + server)), "weight": draw(st.integers(0, 2))}
                for server in draw(st.sets(st.integers(1, 4)))
            },
        }
        if draw(st.booleans()):
            virtuals[f"v{number}"]["persistence"] = draw(st.sampled_from([{}, {"timeout_s": 60}]))
    routers = {
        f"r{number}": {"public": f"1.2.3.{number}", "priority": draw(st.integers(1, 2))}
        for number in draw(st.sets(st.integers(1, 3)))
    }
    settings = draw(st.sampled_from([{}, {"heartbeat": {"keepalive_s": 1.5}}, {"on_store_loss": "hold"}]))
    return from_data({"cluster": settings, "routers": routers, "virtuals": virtuals})
