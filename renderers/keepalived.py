"""A Cluster as keepalived.conf(5) for one of its routers, as keepalived 2.2 reads it.

The floating addresses become one vrrp_instance an interface, held together by a sync group; every enabled virtual
server becomes a virtual_server with a checker for each real server. What the format cannot say stands in the file as
a comment where it belongs, and is told as a warning.

The limits here are those that `keepalived -t` enforces: it refuses a file in which a number is out of range.
"""

from collections import defaultdict
from collections.abc import Sequence
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface
from itertools import count
from typing import Any

from clusterd.desired import floating
from clusterd.model import (
    Check,
    Cluster,
    Forwarding,
    Server,
    Settings,
    Sync,
    Tunnel,
    Virtual,
    checked_port,
    family,
    forwarding,
)
from renderers import keepalived_checks
from renderers.notes import Notes
from renderers.rendering import Rendering, fill

FIRST_ROUTER_ID = 51  # of the first instance; each further one has the next
ROUTER_IDS = 255
PRIORITIES = (1, 254)  # RFC 5798, section 5.2.4: 0 and 255 have meanings of their own
ADVERTS_S = (0.01, 40.95)  # RFC 5798, section 5.2.7: centiseconds, twelve bits
DOWN_ADVERTS = (1, 100)  # down_timer_adverts
LONGEST_CONNECT_S = 4294.967295
SHORTEST_S = 0.000001
MOST_ADVERTISED = 20  # addresses in one advert; keepalived.conf(5), virtual_ipaddress_excluded
_LB_KINDS: dict[Forwarding, str] = {"nat": "NAT", "direct": "DR", "tunnel": "TUN"}


def render(cluster: Cluster, router: str | None = None) -> Rendering:
    """Return the file for a router, by default the one of the highest priority, and what the format could not say.

    Raises KeyError where there is no such router.
    """
    notes = Notes()
    routers = cluster.routers
    if router is None:
        router = max(routers, key=lambda name: routers[name].priority, default=None)
    values = {
        "router": router,
        "advert": _advert(cluster.settings, notes),
        "priority": _priority(cluster, router, notes),
        "instances": _instances(cluster),
        "sync": cluster.settings.sync,
        "timeouts": _timeouts(cluster.settings),
        "virtuals": [_virtual(cluster, name, notes) for name in cluster.virtuals],
    }
    _settings(cluster.settings, notes)
    return Rendering(fill("keepalived.conf.j2", **values, notes=notes.remarks), notes.warnings)


def _settings(settings: Settings, notes: Notes) -> None:
    plain = Settings()
    if settings.masquerade:
        notes.add("cluster", "masquerade", "cannot be said in keepalived.conf, only as a ruleset for nft")
    if settings.protect:
        notes.add("cluster", "protect", "cannot be said in keepalived.conf, only as a ruleset for nft")
    if settings.sysctls:
        notes.add("cluster", "sysctls", "cannot be said in keepalived.conf: write them to sysctl.d")
    if settings.on_store_loss != plain.on_store_loss:
        notes.add("cluster", "on_store_loss", f"{settings.on_store_loss} is not said: keepalived asks no store")
    if settings.sync and settings.sync.window_s != Sync(interface=settings.sync.interface).window_s:
        notes.add("cluster", "sync/window_s", f"{settings.sync.window_s:g} is not said: keepalived does not wait")
    if settings.reachability != plain.reachability:
        notes.add("cluster", "reachability", "is not said: keepalived would need a script for it")
    if settings.brakes != plain.brakes:
        notes.add("cluster", "brakes", "cannot be said in keepalived.conf")
    if settings.groups:
        notes.add("cluster", "groups", "is not said: all addresses move together")
    if settings.preempt_after_s != plain.preempt_after_s:
        notes.add("cluster", "preempt_after_s", "is not said: a running router keeps the addresses")
    if settings.heartbeat.fast != plain.heartbeat.fast:
        notes.add("cluster", "heartbeat/fast", "is not said: there is one interval of adverts")
    if settings.notify != plain.notify:
        notes.add(
            "cluster", "notify", "is not said: notify_master and notify_backup are for whoever trusts the programs"
        )
    if settings.heartbeat.port != plain.heartbeat.port:
        notes.add("cluster", "heartbeat/port", f"{settings.heartbeat.port} is not said: VRRP has no port")


def _timeouts(settings: Settings) -> str:
    said = settings.timeouts
    values = (("tcp", said.tcp_s), ("tcpfin", said.tcpfin_s), ("udp", said.udp_s))
    return " ".join(f"{name} {timeout_s}" for name, timeout_s in values if timeout_s is not None)


def _advert(settings: Settings, notes: Notes) -> dict[str, object]:
    """Return the interval of adverts, and after how many missing ones a router is taken for dead."""
    beat = settings.heartbeat
    interval_s = round(_within(ADVERTS_S, beat.keepalive_s), 2)
    if interval_s != beat.keepalive_s:
        notes.add("cluster", "heartbeat/keepalive_s", f"{interval_s:g} stands in: VRRP counts hundredths up to 40.95 s")
    missing = int(_within(DOWN_ADVERTS, round(beat.deadtime_s / interval_s)))
    if abs(missing * interval_s - beat.deadtime_s) > SHORTEST_S:
        dead_s = missing * interval_s
        notes.add("cluster", "heartbeat/deadtime_s", f"{dead_s:g} stands in: VRRP counts {missing} missing adverts")
    return {"interval_s": _number(interval_s), "missing": missing}


def _priority(cluster: Cluster, router: str | None, notes: Notes) -> int:
    if router is None:
        notes.add("routers", "", "there is none, priority 100 stands in")
        return 100
    wanted = cluster.routers[router].priority
    priority = int(_within(PRIORITIES, wanted))
    if priority != wanted:
        notes.add("routers", f"{router}/priority", f"{priority} stands in for {wanted}, which means something else")
    return priority


def _instances(cluster: Cluster) -> list[dict[str, object]]:
    """Return what becomes a vrrp_instance: an interface and its floating addresses."""
    carried: defaultdict[str, list[IPv4Interface | IPv6Interface]] = defaultdict(list)
    for each in floating(cluster):
        carried[each.interface].append(each.address)
    numbers = (1 + number % ROUTER_IDS for number in count(FIRST_ROUTER_ID - 1))
    return [
        {
            "interface": interface,
            "router_id": number,
            "advertised": advertised,
            "excluded": [address for address in addresses if address not in advertised],
        }
        for (interface, addresses), number in zip(carried.items(), numbers, strict=False)
        for advertised in [_advertised(addresses)]
    ]


def _advertised(addresses: Sequence[IPv4Interface | IPv6Interface]) -> list[IPv4Interface | IPv6Interface]:
    """Return those that stand in the adverts: they are of one family (keepalived.conf(5), virtual_ipaddress)."""
    family = addresses[0].version
    return [address for address in addresses if address.version == family][:MOST_ADVERTISED]


def _persistent(virtual: Virtual) -> dict[str, object] | None:
    """Return the persistence: of an IPv6 address the granularity is a prefix length (keepalived.conf(5))."""
    kept = virtual.persistence
    if not kept:
        return None
    four = kept.prefix and family(virtual) == 4
    return {"timeout_s": kept.timeout_s, "netmask": IPv4Network((0, kept.prefix)).netmask if four else kept.prefix}


def _quorum(virtual: Virtual, part: str, notes: Notes) -> dict[str, int]:
    """Return the quorum, which keepalived refuses where all weights together do not reach it."""
    total = sum(_weight(server) for server in virtual.servers.values() if server.enabled)
    quorum = min(virtual.quorum, total)
    if quorum != virtual.quorum:
        notes.add(part, "quorum", f"{quorum} stands in for {virtual.quorum}: all weights together are no more")
    return {"quorum": quorum, "hysteresis": min(virtual.hysteresis, quorum - 1)}


_UNSAID = ("slow_start", "drain_deadline_s", "fail_open", "verdicts")


def _virtual(cluster: Cluster, name: str, notes: Notes) -> dict[str, Any]:
    virtual, part = cluster.virtuals[name], f"virtuals/{name}"
    enabled = [label for label, server in virtual.servers.items() if server.enabled]
    weighted = any(_weight(virtual.servers[label]) for label in enabled)  # a quorum of 1 needs one (keepalived -t)
    said = virtual.enabled and weighted
    if not said:
        why = "none of its servers has a weight" if enabled else "it has no enabled server"
        notes.add(part, "", f"left out: {why if virtual.enabled else 'it is not enabled'}")
        return {"path": part, "said": said}
    if virtual.load.source != "none":
        notes.add(part, "load/source", f"{virtual.load.source} is not said: keepalived keeps the configured weights")
    notes.unsaid(part, virtual, _UNSAID, "cannot be said in keepalived.conf")
    for label, server in virtual.servers.items():
        if not server.enabled:
            notes.add(part, f"servers/{label}", "left out: it is not enabled")
        elif server.drain:
            notes.add(part, f"servers/{label}/drain", f"is said as weight 0 instead of {server.weight}")
    way = virtual.forwarding or cluster.settings.forwarding
    if virtual.ports:
        notes.add(part, "ports", "are not said: rules of nft give their packets the mark")
    if virtual.mark is not None and virtual.protocol != "tcp":
        notes.add(part, "protocol", f"{virtual.protocol} is not said: keepalived heeds none with a mark")
    return {
        "path": part,
        "said": said,
        "endpoint": _endpoint(virtual),
        "family": virtual.family,
        "scheduler": virtual.scheduler,
        "flags": virtual.flags,
        "one_packet": virtual.one_packet,
        "kind": _kind(way, virtual.tunnel),
        "engine": virtual.persistence and virtual.persistence.engine,
        "persistent": _persistent(virtual),
        "protocol": virtual.protocol.upper() if virtual.mark is None else None,
        "quiesce": virtual.quiesce,
        **_quorum(virtual, part, notes),
        "sorry_server": virtual.sorry_server and f"{virtual.sorry_server} {virtual.port or ''}".rstrip(),
        "check": _check(virtual.check, part, notes),
        "servers": [_server(cluster, virtual, label, way) for label in enabled],
    }


def _endpoint(virtual: Virtual) -> str:
    """Return what clients use as keepalived says it: a mark, or an address and unless it is every port a port."""
    if virtual.mark is not None or virtual.address is None:
        return f"fwmark {virtual.mark}"
    return f"{virtual.address.ip} {virtual.port}" if virtual.port else str(virtual.address.ip)


def _kind(way: Forwarding, tunnel: Tunnel | None) -> str:
    """Return a way of forwarding, with the tunnel's type, port and checksum: TUN type gue port 6080 csum."""
    if way != "tunnel" or tunnel is None or tunnel.type == "ipip":
        return _LB_KINDS[way]
    port = f" port {tunnel.port}" if tunnel.port else ""
    return f"{_LB_KINDS[way]} type {tunnel.type}{port} {'nocsum' if tunnel.checksum == 'none' else tunnel.checksum}"


def _weight(server: Server) -> int:
    return 0 if server.drain else server.weight


def _server(cluster: Cluster, virtual: Virtual, label: str, usual: Forwarding) -> dict[str, object]:
    server = virtual.servers[label]
    way, tunnel = forwarding(cluster, virtual, server), server.tunnel or virtual.tunnel
    return {
        "name": label,
        "address": server.address,
        "port": server.port or virtual.port or "",
        "weight": _weight(server),
        "kind": _kind(way, tunnel) if (way, tunnel) != (usual, virtual.tunnel) else None,
        "upper": server.upper_threshold,
        "lower": server.lower_threshold,
        "checked": checked_port(virtual, server),
    }


def _check(check: Check, part: str, notes: Notes) -> dict[str, object]:
    timeout_s = min(check.timeout_s, LONGEST_CONNECT_S)
    if timeout_s != check.timeout_s:
        notes.add(part, "check/timeout_s", f"{timeout_s:g} stands in, the longest that keepalived can wait")
    if check.rise != 1:
        notes.add(part, "check/rise", f"{check.rise} is not said: in keepalived one success is enough")
    if check.reentry_s:
        notes.add(part, "check/reentry_s", f"{check.reentry_s:g} is not said: in keepalived one success is enough")
    for word, usual in (("recheck_s", None), ("initial", "unknown"), ("jitter", 1.0), ("data_path", False)):
        if getattr(check, word) != usual:
            notes.add(part, f"check/{word}", f"{getattr(check, word)} is not said: keepalived has nothing like it")
    return {
        "interval_s": _number(check.interval_s),
        "timeout_s": _number(timeout_s),
        "retries": check.fall - 1,
        **keepalived_checks.said(check, part, notes),
    }


def _within(limits: tuple[float, float], value: float) -> float:
    least, most = limits
    return min(max(least, value), most)


def _number(value: float) -> str:
    """Return seconds as keepalived reads them: microseconds at most, and never an exponent."""
    return f"{max(SHORTEST_S, value):.6f}".rstrip("0").rstrip(".")
