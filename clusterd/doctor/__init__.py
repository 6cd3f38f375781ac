"""What is well, or not, with a cluster: facts in, findings out. Pure.

Each check has a name, and each finding says how to mend it. What was not seen is unknown, and never ok.
"""

from clusterd.doctor import etcd, routers, servers
from clusterd.doctor.checks import CHECKS, Check
from clusterd.doctor.facts import Facts, HostFacts, Link, MemberFacts, ServerFacts
from clusterd.doctor.findings import ORDER, Finding

__all__ = [
    "CHECKS",
    "ORDER",
    "Check",
    "Facts",
    "Finding",
    "HostFacts",
    "Link",
    "MemberFacts",
    "ServerFacts",
    "examined",
]


def examined(facts: Facts) -> tuple[Finding, ...]:
    """Return what the facts say, in the order of the checks, and of the places inside each."""
    found = list(etcd.findings(facts.members, facts.login))
    if facts.clocks:
        found.append(routers.clock("clock", "this host", facts.clocks))
    if facts.cluster is not None:
        found += routers.findings(facts.cluster, facts)
        told = {place: seen for host in facts.hosts.values() for place, seen in host.servers.items()}
        found += servers.findings(facts.cluster, facts.view, {**facts.servers, **told})
    order = list(CHECKS)
    return tuple(sorted(found, key=lambda one: order.index(one.check)))
