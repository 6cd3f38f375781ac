"""Facts of hosts on which all is well, to be changed by tests."""

from dataclasses import replace

from clusterd.desired import floating
from clusterd.doctor import Facts, Finding, HostFacts, Link, MemberFacts, ServerFacts, examined
from clusterd.model import Cluster
from clusterd.overview import Observed, overview
from clusterd.reports import RouterReport, VerdictReport
from clusterd.sysctls import sysctls
from tests.clusterd.examples import manual

MEMBERS = tuple(
    MemberFacts(endpoint=f"http://e{n}:2379", name=f"e{n}", version="3.5.33", leader=n == 1, listed=3)
    for n in (1, 2, 3)
)
ASKED = ServerFacts(
    seen_by="r1",
    answers="",
    ssh="",
    default_routes=("192.168.1.254",),
    public={"1.2.3.2": True, "1.2.3.3": False},
    links={"lo": ("127.0.0.1",), "eth0": ("192.168.1.1",)},
    clock_offset_s=0.3,
)


def host(cluster: Cluster, name: str) -> HostFacts:
    """Return what is seen of a router's host that is as it has to be."""
    router = cluster.routers[name]
    return HostFacts(
        links=(
            Link(name="lo", up=True, carrier=True, addresses=("127.0.0.1/8",)),
            Link(name="eth0", up=True, carrier=True, addresses=(f"{router.public}/24", "1.2.3.1/24")),
            Link(name="eth1", up=True, carrier=True, addresses=(f"{router.private}/24",)),
        ),
        settings={each.name: each.value for each in sysctls(cluster, floating(cluster))},
        ipvs="IP Virtual Server version 1.2.1 (size=4096)",
        modules={"ip_vs_wlc": True},
        programs={"nft": "nftables v1.0.6", "ipvsadm": "ipvsadm v1.31", "etcdctl": "etcdctl version: 3.5.33"},
        peers={other: {str(cluster.routers[other].public): ""} for other in cluster.routers if other != name},
        clocks={"http://e1:2379": 0.4, "http://e2:2379": None},
    )


def well(cluster: Cluster | None = None) -> Facts:
    """Return the facts of a cluster in which all is well, by default the manual's, and whose servers tell by ssh."""
    found = cluster or manual()
    reports = {
        name: RouterReport(role="backup", head=1, applied=1, converged=True, ready=True) for name in found.routers
    }
    verdicts = {
        (name, label): (VerdictReport(observer="r1", up=True, detail="status 200"),)
        for name, virtual in found.virtuals.items()
        for label in virtual.servers
    }
    hosts = {name: host(found, name) for name in found.routers}
    servers = {f"{name}/{label}": ASKED for name, label in verdicts}
    if "r1" in hosts:
        hosts["r1"] = hosts["r1"].model_copy(update={"servers": servers})
    view = overview("main", 1, found, Observed(routers=reports, verdicts=verdicts))
    return Facts(found, view, MEMBERS, hosts=hosts)


def with_host(facts: Facts, name: str, **changes: object) -> Facts:
    """Return the facts with other ones of one router's host."""
    return replace(facts, hosts={**facts.hosts, name: facts.hosts[name].model_copy(update=changes)})


def with_server(facts: Facts, place: str, **changes: object) -> Facts:
    """Return the facts with other ones of one real server."""
    servers = facts.hosts["r1"].servers
    return with_host(facts, "r1", servers={**servers, place: servers[place].model_copy(update=changes)})


def only(facts: Facts, check: str, place: str) -> Finding:
    """Return the one finding of a check at a place."""
    (found,) = [one for one in examined(facts) if (one.check, one.place) == (check, place)]
    return found


def wrong(facts: Facts) -> set[tuple[str, str, str]]:
    """Return all findings that are not ok."""
    return {(one.check, one.place, one.verdict) for one in examined(facts) if one.verdict != "ok"}
