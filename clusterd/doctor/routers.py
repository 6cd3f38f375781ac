"""What is well, or not, with the routers: as their hosts tell of themselves, and as etcd knows them."""

from collections.abc import Iterator, Mapping

from clusterd.desired import floating
from clusterd.doctor.facts import Facts, HostFacts, Link
from clusterd.doctor.findings import CLOCK_S, Finding, Verdict, finding
from clusterd.groups import gateways
from clusterd.model import Cluster, Router
from clusterd.overview import Overview, RouterLine
from clusterd.sysctls import sysctls

_FORWARDING = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
_OF_THE_HOST = ("interfaces", "forwarding", "settings", "ipvs", "tools", "peers", "clock")
_NEEDED = ("nft",)


def findings(cluster: Cluster, facts: Facts) -> Iterator[Finding]:
    """Yield what was found at each router of the document."""
    if not cluster.routers:
        yield finding(
            "router-alive", "routers", "fail", "the document has no router", "clusterd edit: add routers/NAME"
        )
    lines = {line.name: line for line in facts.view.routers} if facts.view else {}
    for name, router in cluster.routers.items():
        yield _alive(name, lines.get(name), facts.view)
        host = facts.hosts.get(name)
        if host is None:
            why = facts.silent.get(name, "it does not tell of itself")
            yield from (
                finding(check, name, "unknown", why, "clusterd doctor on that host sees it") for check in _OF_THE_HOST
            )
            continue
        yield _interfaces(cluster, name, router, host)
        yield from _settings(cluster, name, host)
        yield _ipvs(name, host, lines.get(name))
        yield _tools(name, host)
        yield _peers(name, host)
        yield clock("clock", name, host.clocks)


def _alive(name: str, line: RouterLine | None, view: Overview | None) -> Finding:
    if line is None or view is None or line.alive is None:
        return finding("router-alive", name, "unknown", "etcd does not tell whether it lives")
    if not line.alive:
        return finding("router-alive", name, "fail", "its service does not run, or does not reach etcd")
    if line.applied is None or line.applied < view.commit or line.converged is False:
        told = "; ".join(line.problems) or f"it has applied commit {line.applied} of {view.commit}"
        return finding("router-alive", name, "fail", told)
    if line.problems or line.not_ready:
        return finding("router-alive", name, "warn", "; ".join((*line.problems, *line.not_ready)))
    return finding("router-alive", name, "ok", f"{line.role}, at commit {line.applied}")


def _interfaces(cluster: Cluster, name: str, router: Router, host: HostFacts) -> Finding:
    if host.links is None:
        return finding("interfaces", name, "unknown", _unseen(host))
    links = {link.name: link for link in host.links}
    of = {address.partition("/")[0]: link for link in host.links for address in link.addresses}
    wanted = {path: getattr(router, path) for path in ("public", "private", "public6", "private6")}
    own = {path: str(address) for path, address in wanted.items() if address is not None}
    wrong = [f"{path} address {address} is on no interface" for path, address in own.items() if address not in of]
    used = {each.interface for each in floating(cluster)} | {of[each].name for each in own.values() if each in of}
    wrong += [f"there is no interface {each}" for each in sorted(used - links.keys())]
    wrong += [problem for each in sorted(used & links.keys()) if (problem := _dead(links[each]))]
    if wrong:
        return finding("interfaces", name, "fail", "; ".join(wrong))
    public, private = of.get(own["public"]), of.get(own.get("private", ""))
    if gateways(cluster) and public and private and public.name == private.name:
        return finding("interfaces", name, "warn", f"public and private side are one interface, {public.name}")
    return finding("interfaces", name, "ok", ", ".join(f"{each} on {of[each].name}" for each in own.values()))


def _dead(link: Link) -> str:
    if not link.up:
        return f"{link.name} is down"
    return "" if link.carrier else f"{link.name} has no carrier"


def _settings(cluster: Cluster, name: str, host: HostFacts) -> Iterator[Finding]:
    wanted = {each.name: each.value for each in sysctls(cluster, floating(cluster))}
    forwarding = {key: value for key, value in wanted.items() if key in _FORWARDING}
    for check, some in (("forwarding", forwarding), ("settings", {k: wanted[k] for k in wanted.keys() - forwarding})):
        wrong = [
            f"net.{key.replace('/', '.')} is {host.settings[key]}, not {some[key]}"
            for key in sorted(some)
            if host.settings.get(key, some[key]) != some[key]
        ]
        unseen = sorted(key for key in some if key not in host.settings)
        if wrong:
            yield finding(check, name, "fail", "; ".join(wrong))
        elif unseen:
            names = ", ".join(f"net.{key.replace('/', '.')}" for key in unseen)
            yield finding(check, name, "unknown", f"this kernel does not show {names}")
        else:
            yield finding(check, name, "ok", f"{len(some)} setting{'' if len(some) == 1 else 's'} as wanted")


def _ipvs(name: str, host: HostFacts, line: RouterLine | None) -> Finding:
    if host.ipvs is None:
        return finding("ipvs", name, "unknown", _unseen(host))
    if not host.ipvs:
        return finding("ipvs", name, "fail", "the kernel has no IPVS")
    missing = [module for module, there in sorted(host.modules.items()) if there is False]
    if missing:
        return finding("ipvs", name, "fail", f"the kernel has no {', '.join(missing)}")
    proved = line is not None and line.converged is True  # its kernel has taken the services that use them
    doubtful = [module for module, there in sorted(host.modules.items()) if there is None and not proved]
    if doubtful:
        return finding("ipvs", name, "unknown", f"it cannot be told whether there is {', '.join(doubtful)}")
    return finding("ipvs", name, "ok", ", ".join((host.ipvs, *sorted(host.modules))))


def _tools(name: str, host: HostFacts) -> Finding:
    if not host.programs:
        return finding("tools", name, "unknown", _unseen(host))
    missing = [program for program, version in host.programs.items() if not version]
    told = ", ".join(f"{program}: {version}" for program, version in host.programs.items() if version)
    if not missing:
        return finding("tools", name, "ok", told)
    verdict: Verdict = "fail" if set(missing) & set(_NEEDED) else "warn"
    return finding("tools", name, verdict, f"there is no {', no '.join(missing)}")


def _peers(name: str, host: HostFacts) -> Finding:
    told = [(peer, address, why) for peer, paths in host.peers.items() for address, why in paths.items()]
    if not told:
        return finding("peers", name, "warn", "there is no other router: nobody takes over", "add one: routers/NAME")
    silent = [f"{peer} at {address}: {why}" for peer, address, why in told if why]
    if silent:
        return finding("peers", name, "fail", "; ".join(silent))
    unasked = [f"{peer} at {address}" for peer, address, why in told if why is None]
    if unasked:
        return finding("peers", name, "unknown", f"{', '.join(unasked)} could not be pinged, which root may")
    return finding("peers", name, "ok", ", ".join(f"{peer} at {address}" for peer, address, _ in told))


def clock(check: str, place: str, offsets_s: Mapping[str, float | None]) -> Finding:
    """Return what the offsets of other hosts' clocks say of the clock at a place."""
    known = {name: offset for name, offset in offsets_s.items() if offset is not None}
    if not known:
        return finding(check, place, "unknown", "no other clock could be read")
    far = [f"{name} is {offset:+.1f} s away" for name, offset in known.items() if abs(offset) > CLOCK_S]
    if far:
        return finding(check, place, "warn", "; ".join(far))
    return finding(check, place, "ok", f"within {CLOCK_S:g} s of {', '.join(known)}")


def _unseen(host: HostFacts) -> str:
    return "; ".join(host.unseen) or "it was not looked at"
