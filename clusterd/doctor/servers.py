"""What is well, or not, with the real servers: what they say themselves by ssh, and what can be seen from outside."""

from collections.abc import Iterator
from dataclasses import dataclass

from clusterd.doctor.facts import ServerFacts
from clusterd.doctor.findings import Finding, finding
from clusterd.doctor.routers import clock
from clusterd.groups import gateways
from clusterd.model import Cluster, Forwarding, Server, Virtual, forwarding
from clusterd.overview import Overview, ServerLine
from clusterd.sysctls import hides_clients

_UNHEARD = ServerFacts()
_TUNNELS = ("tunl", "ip6tnl", "gre", "gue", "fou", "sit")


@dataclass(frozen=True, slots=True)
class _Case:
    """One real server behind one virtual server, and what is known of it."""

    cluster: Cluster
    virtual: Virtual
    server: Server
    place: str
    seen: ServerFacts
    line: ServerLine | None

    @property
    def way(self) -> Forwarding:
        return forwarding(self.cluster, self.virtual, self.server)

    @property
    def unseen(self) -> str:
        """Why the real server itself could not be asked."""
        if self.virtual.load.source != "ssh":
            return "only ssh would tell, and load/source is not ssh"
        return f"ssh: {self.seen.ssh}" if self.seen.ssh else "nobody asked it by ssh"


def findings(cluster: Cluster, view: Overview | None, servers: dict[str, ServerFacts]) -> Iterator[Finding]:
    """Yield what was found at each real server that is in use. `servers` is by virtual server and real server."""
    lines = {f"{v.name}/{s.name}": s for v in view.virtuals for s in v.servers} if view else {}
    for name, virtual in cluster.virtuals.items():
        for label, server in virtual.servers.items():
            if virtual.enabled and server.enabled:
                place = f"{name}/{label}"
                case = _Case(cluster, virtual, server, place, servers.get(place, _UNHEARD), lines.get(place))
                yield from _of(case)


def _of(case: _Case) -> Iterator[Finding]:
    yield _service(case)
    if case.virtual.load.source != "none":
        yield _load(case)
    if case.way == "nat":
        yield from _default_route(case)
        yield _public(case)
    else:
        yield _vip(case)
        yield _arp(case)
        if case.way == "tunnel":
            yield _rp_filter(case)
    if case.seen.clock_offset_s is not None:
        yield clock("server-clock", case.place, {case.seen.seen_by or "here": -case.seen.clock_offset_s})


def _service(case: _Case) -> Finding:
    if case.line is not None and case.line.up is not None:
        by = f", says {case.line.observer}" if case.line.observer else ""
        return finding("service", case.place, "ok" if case.line.up else "fail", f"{case.line.detail}{by}")
    if case.seen.answers is None:
        return finding("service", case.place, "unknown", "no router has checked it")
    if case.seen.answers:
        return finding("service", case.place, "fail", f"{case.seen.answers}, seen by {case.seen.seen_by}")
    return finding("service", case.place, "ok", f"it takes connections of {case.seen.seen_by}")


def _load(case: _Case) -> Finding:
    source = case.virtual.load.source
    if case.seen.load is not None:
        good = f"{source}: it can be read"
        return finding("load-source", case.place, "fail" if case.seen.load else "ok", case.seen.load or good)
    factor = next((each for each in case.line.factors if each.name == "load"), None) if case.line else None
    if factor is None:
        return finding("load-source", case.place, "unknown", f"{source}: no router tells what it reads")
    silent = "no data" in factor.says
    return finding("load-source", case.place, "fail" if silent else "ok", f"{factor.says}: {factor.why}")


def _default_route(case: _Case) -> Iterator[Finding]:
    version = case.server.address.version
    wanted = [
        each.address.ip
        for each in gateways(case.cluster)
        if each.group == case.virtual.group and each.address.version == version
    ]
    if not wanted or hides_clients(case.cluster):  # then a router is who it answers, whatever its default route is
        return
    gateway, routes = str(wanted[0]), case.seen.default_routes
    mend = f"on {case.server.address}: ip route replace default via {gateway}"
    if routes is not None:
        ours = [route for route in routes if (":" in route) == (version == 6)]
        if gateway in ours:
            yield finding("default-route", case.place, "ok", f"via {gateway}")
        else:
            found = f"via {', '.join(ours)}" if ours else "missing"
            yield finding("default-route", case.place, "fail", f"{found}, not via the gateway {gateway}", mend)
    elif case.seen.way == "":
        yield finding("default-route", case.place, "ok", f"its answers to {case.seen.seen_by} go through the gateway")
    elif case.seen.way and case.seen.answers == "":
        told = f"it answers in its own network, but not the public address of {case.seen.seen_by}: {case.seen.way}"
        yield finding("default-route", case.place, "fail", told, mend)
    else:
        yield finding("default-route", case.place, "unknown", case.seen.way or case.unseen)


def _public(case: _Case) -> Finding:
    if not case.seen.public:
        return finding("public-network", case.place, "unknown", case.unseen)
    reached = [host for host, there in case.seen.public.items() if there]
    if reached:
        return finding("public-network", case.place, "ok", f"it reaches {', '.join(reached)}")
    return finding("public-network", case.place, "fail", f"it reaches none of {', '.join(case.seen.public)}")


def _vip(case: _Case) -> Finding:
    if case.seen.links is None:
        return finding("vip", case.place, "unknown", case.unseen)
    if case.virtual.address is None:
        return finding("vip", case.place, "unknown", "its address is known to the firewall mark's rules alone")
    vip = str(case.virtual.address.ip)
    on = _interfaces(case, vip)
    if not on:
        return finding("vip", case.place, "fail", f"{vip} is on none of its interfaces: it takes no packet for it")
    return finding("vip", case.place, "ok", f"{vip} on {', '.join(on)}")


def _arp(case: _Case) -> Finding:
    if case.seen.links is None or case.virtual.address is None:
        return finding("arp", case.place, "unknown", case.unseen)
    vip, outside = str(case.virtual.address.ip), _interfaces(case, str(case.server.address))
    shown = sorted(set(_interfaces(case, vip)) & set(outside))
    if shown:
        return finding("arp", case.place, "fail", f"{vip} is on {shown[0]}, which answers for it")
    if case.virtual.address.version == 6:
        return finding("arp", case.place, "ok", "no neighbour is told of an address of another interface")
    wrong = [
        f"{name} of {interface} is {value}, not {least}"
        for interface in outside
        for name, least in (("arp_ignore", 1), ("arp_announce", 2))
        if (value := _effective(case, interface, name)) is not None and value < least
    ]
    if wrong:
        return finding("arp", case.place, "fail", "; ".join(wrong))
    if not outside or _effective(case, outside[0], "arp_ignore") is None:
        return finding("arp", case.place, "unknown", "its settings could not be read")
    return finding("arp", case.place, "ok", f"{outside[0]} does not answer for {vip}")


def _rp_filter(case: _Case) -> Finding:
    if case.seen.links is None:
        return finding("rp-filter", case.place, "unknown", case.unseen)
    tunnels = [name for name in _conf(case) if name.startswith(_TUNNELS)]
    if not tunnels:
        return finding("rp-filter", case.place, "fail", "it has no tunnel's interface: nothing is unwrapped")
    strict = [name for name in tunnels if _effective(case, name, "rp_filter") == 1]
    if strict:
        return finding("rp-filter", case.place, "fail", f"rp_filter of {', '.join(strict)} is strict (1)")
    return finding("rp-filter", case.place, "ok", f"rp_filter of {', '.join(tunnels)} is not strict")


def _interfaces(case: _Case, address: str) -> list[str]:
    """Return which of its interfaces have an address."""
    return [name for name, addresses in (case.seen.links or {}).items() if address in addresses]


def _conf(case: _Case) -> list[str]:
    """Return the interfaces of whose settings it told."""
    return list(dict.fromkeys(name.split("/")[2] for name in case.seen.sysctls))


def _effective(case: _Case, interface: str, name: str) -> int | None:
    """Return a setting of an interface: the higher one of its own and of `all` (ip-sysctl.rst)."""
    found = [case.seen.sysctls.get(f"ipv4/conf/{each}/{name}") for each in ("all", interface)]
    known = [int(value) for value in found if value and value.isdecimal()]
    return max(known) if known else None
