"""A Cluster as lvs.cf, readable by Piranha's parser.

The format is smaller than the document. What it cannot say stands in the file as a comment where it belongs, and is
told as a warning. Without warnings, `clusterd.lvscf.read` of the text gives a cluster that behaves the same: what
stood at its default may be written out, and a line break in a text has become ``\\r`` or ``\\n``.
"""

import math
import re
import shlex
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Address
from itertools import count
from typing import Any

from clusterd.errors import Problem
from clusterd.lvscf import masquerades
from clusterd.lvscf.grammar import SCHEDULERS
from clusterd.lvscf.mapping import LOAD_SOURCES, NANNY, PORT, PRIORITIES
from clusterd.model import (
    Check,
    Cluster,
    ExecCheck,
    Host,
    HttpCheck,
    Load,
    Router,
    SendExpectCheck,
    Settings,
    Sync,
    TcpCheck,
    Virtual,
    family,
    forwarding,
)
from renderers.notes import Notes
from renderers.rendering import Rendering, fill

_IPV4_ONLY = "lvs.cf has IPv4 only"
LONGEST_TEXT = 255  # bytes of a send or expect string
LONGEST_LABEL = 15  # of an interface with its alias: IFNAMSIZ, netdevice(7)
# A quote ends the text unless it is in the text's first word; single quotes around a text would be sent with it.
_UNSAYABLE = re.compile(r"\x00|\\[\r\n]|[ \t].*\"", re.DOTALL)
_MONITORS = {source: monitor for monitor, source in LOAD_SOURCES.items()}


class _Aliases:
    """Gives each floating address its own alias of its interface: eth0:1, eth0:2, …"""

    def __init__(self) -> None:
        self._next: defaultdict[str, count[int]] = defaultdict(lambda: count(1))
        self._given: dict[tuple[str, Host], str] = {}

    def place(self, address: IPv4Interface, interface: str) -> Mapping[str, str]:
        """Return where an address goes, as the format says it."""
        key = (interface, address.ip)
        if key not in self._given:
            self._given[key] = f"{interface}:{next(self._next[interface])}"
        return {"address": str(address.ip), "device": self._given[key], "netmask": str(address.netmask)}


def _noted(place: Mapping[str, str] | None, part: str, rest: str, notes: Notes) -> Mapping[str, str] | None:
    """Return a place, and note where the name of its device is too long."""
    if place and len(place["device"]) > LONGEST_LABEL:
        notes.add(part, rest + "interface", f"{place['device']} is longer than the name of an interface may be")
    return place


@dataclass(frozen=True, slots=True)
class _Section:
    """The compressed text of one virtual server, and all that it was made of: the device is its place's alias."""

    virtual: Virtual
    settings: Settings
    device: str
    packed: bytes


class Sections:
    """The sections of the virtual servers as they were rendered last: the next time only what is new is rendered."""

    def __init__(self) -> None:
        self._known: dict[str, _Section] = {}

    def texts(self, cluster: Cluster, aliases: _Aliases) -> Iterator[str]:
        """Yield the sections of a cluster, in its order."""
        before, self._known = self._known, {}
        for name, virtual in cluster.virtuals.items():
            place = _place(virtual, aliases)
            made_of = virtual, cluster.settings, place["device"] if place else ""
            known = before.get(name)
            if known is None or not _same(known, *made_of):
                text, _ = _section(cluster, name, place)
                known = _Section(*made_of, zlib.compress(text.encode(), 1))
            self._known[name] = known
            yield zlib.decompress(known.packed).decode()


def _same(known: _Section, virtual: Virtual, settings: Settings, device: str) -> bool:
    return known.virtual is virtual and known.settings is settings and known.device == device


def render(cluster: Cluster, serial_no: int) -> Rendering:
    """Return the cluster as lvs.cf with this serial number, and what the format could not say."""
    notes, aliases = Notes(), _Aliases()
    head = _head(cluster, serial_no, aliases, notes)
    made = [_section(cluster, name, _place(virtual, aliases)) for name, virtual in cluster.virtuals.items()]
    warnings = tuple(warning for _, warnings in made for warning in warnings)
    return Rendering(head + "".join(text for text, _ in made), notes.warnings + warnings)


def parts(cluster: Cluster, serial_no: int, sections: Sections) -> Iterator[str]:
    """Yield the text alone, part by part; `sections` are those of the time before."""
    aliases = _Aliases()
    yield _head(cluster, serial_no, aliases, Notes())
    yield from sections.texts(cluster, aliases)


def _head(cluster: Cluster, serial_no: int, aliases: _Aliases, notes: Notes) -> str:
    """Return what stands before the virtual servers, and note what could not be said there."""
    settings = cluster.settings
    routers = _routers(cluster, notes)
    gateway = settings.nat_router
    place = aliases.place(gateway.address, gateway.interface) if gateway else None
    values = {
        "serial_no": serial_no,
        "routers": routers,
        "private": _private(routers, notes),
        "heartbeat": _heartbeat(settings, notes),
        "network": settings.forwarding,
        "sync": settings.sync,
        "timeouts": {name: getattr(settings.timeouts, f"{name}_s") or 0 for name in ("tcp", "tcpfin", "udp")},
        "nat_router": _noted(place, "cluster", "nat_router/", notes),
    }
    if settings.on_store_loss != Settings().on_store_loss:
        notes.add("cluster", "on_store_loss", f"{settings.on_store_loss} cannot be said in lvs.cf")
    if settings.sync and settings.sync != Sync(interface=settings.sync.interface, id=settings.sync.id):
        notes.add("cluster", "sync", "lvs.cf has an interface and an id, the rest cannot be said")
    if settings.nat_router6:
        notes.add("cluster", "nat_router6", f"left out: {_IPV4_ONLY}")
    for key in ("brakes", "groups", "notify", "preempt_after_s", "protect", "reachability", "sysctls"):
        if getattr(settings, key) != getattr(Settings(), key):
            notes.add("cluster", key, "cannot be said in lvs.cf")
    if settings.masquerade != masquerades(cluster):
        notes.add("cluster", "masquerade", "cannot be said in lvs.cf: the administrator masquerades")
    return fill("lvs.cf.j2", **values, notes=notes.remarks)


def _section(cluster: Cluster, name: str, place: Mapping[str, str] | None) -> tuple[str, tuple[Problem, ...]]:
    """Return the text of one virtual server, and what the format could not say of it."""
    notes = Notes()
    values = _virtual(cluster, name, notes, place)
    return fill("lvs.cf.virtual.j2", virtual=values, notes=notes.remarks), notes.warnings


def _routers(cluster: Cluster, notes: Notes) -> dict[str, Router]:
    """Return the routers that the format has room for, by the names that it has for them."""
    four = [name for name, router in cluster.routers.items() if router.public.version == 4]
    for name in cluster.routers:
        if name not in four:
            notes.add("routers", name, f"left out: {_IPV4_ONLY}")
    ranked = sorted(four, key=lambda name: -cluster.routers[name].priority)
    roles = dict(zip(PRIORITIES, ranked, strict=False))
    for role, name in roles.items():
        if name != role:
            notes.add("routers", name, f"is called {role} in lvs.cf")
        if (priority := cluster.routers[name].priority) != PRIORITIES[role]:
            notes.add("routers", name, f"its priority {priority} cannot be said in lvs.cf")
    for name in ranked[len(PRIORITIES) :]:
        notes.add("routers", name, "left out: lvs.cf has two routers")
    return {role: cluster.routers[name] for role, name in roles.items()}


def _private(routers: Mapping[str, Router], notes: Notes) -> dict[str, Host]:
    """Return the private addresses to write, by role: of all routers or of none.

    The parser takes the backup's from the file only where the primary's stands too, and gives it none where only the
    primary's does. A router without one is said to have its public address, which is what the format means by none.
    """
    private: dict[str, Host] = {}
    for role, router in routers.items():
        for key in ("private", "public6", "private6"):
            address: Host | None = getattr(router, key)
            if address and address.version == 6:
                notes.add("routers", f"{role}/{key}", f"{address} is not said: {_IPV4_ONLY}")
            elif address:
                private[role] = address
    return {role: private.get(role, router.public) for role, router in routers.items()} if private else {}


def _heartbeat(settings: Settings, notes: Notes) -> dict[str, int]:
    beat = settings.heartbeat
    keepalive = _whole(math.floor, beat.keepalive_s, notes, "cluster", "heartbeat/keepalive_s")
    if beat.fast:
        notes.add("cluster", "heartbeat/fast", "cannot be said in lvs.cf")
    return {"port": beat.port, "keepalive": max(1, keepalive), "deadtime": beat.deadtime_s}


def _whole(rounded: Any, value: float, notes: Notes, part: str, rest: str) -> int:
    if not value.is_integer():
        notes.add(part, rest, f"{value:g} seconds cannot be said in lvs.cf, only whole ones")
    return int(rounded(value))


_UNSAID = ("slow_start", "drain_deadline_s", "quorum", "hysteresis", "fail_open", "verdicts")


def _virtual(cluster: Cluster, name: str, notes: Notes, place: Mapping[str, str] | None) -> dict[str, Any]:
    virtual, part = cluster.virtuals[name], f"virtuals/{name}"
    if family(virtual) == 6:
        notes.add(part, "", f"left out: {_IPV4_ONLY}")
        return {"path": part, "said": False}
    _unsaid(virtual, part, notes)
    scheduler, monitor = virtual.scheduler, _MONITORS.get(virtual.load.source, "none")
    if scheduler not in SCHEDULERS:
        notes.add(part, "scheduler", f"lvs.cf does not know {scheduler}, wlc stands in")
        scheduler = "wlc"
    _load(virtual, part, notes)
    notes.unsaid(part, virtual, _UNSAID, "cannot be said in lvs.cf")
    if virtual.forwarding not in (None, cluster.settings.forwarding):
        notes.add(part, "forwarding", f"lvs.cf has one way for all, {virtual.forwarding} is not said")
    return {
        "name": name,
        "path": part,
        "said": True,
        "active": int(virtual.enabled and virtual.protocol != "sctp" and virtual.port != 0),
        "place": _noted(place, part, "", notes),
        "mark": virtual.mark,
        "port": virtual.port or virtual.check.port or PORT,
        "persistent": _persistence(virtual),
        "check": _check(virtual, part, notes),
        "load_monitor": monitor,
        "scheduler": scheduler,
        "protocol": "tcp" if virtual.protocol == "sctp" else virtual.protocol,
        "quiesce": virtual.quiesce,
        "sorry_server": _sayable(virtual.sorry_server, part, "sorry_server", notes),
        "servers": [
            _server(cluster, virtual, part, label, notes)
            for label, server in virtual.servers.items()
            if _sayable(server.address, part, f"servers/{label}", notes)
        ],
    }


def _load(virtual: Virtual, part: str, notes: Notes) -> None:
    load = virtual.load
    if load.source not in _MONITORS:
        notes.add(part, "load/source", f"lvs.cf does not know {load.source}: no load is read")
    elif load.source != "none":
        said = Load.model_validate({"source": load.source, **NANNY})
        for key in Load.model_fields:
            if getattr(load, key) != getattr(said, key):
                value = getattr(load, key)
                notes.add(part, f"load/{key}", f"{value} is not said: in lvs.cf it is nanny's {getattr(said, key)}")


def _sayable(address: Host | None, part: str, rest: str, notes: Notes) -> Host | None:
    """Return an address that the format can say, none otherwise, which is noted."""
    if isinstance(address, IPv6Address):
        notes.add(part, rest, f"left out: {_IPV4_ONLY}, not {address}")
        return None
    return address


def _place(virtual: Virtual, aliases: _Aliases) -> Mapping[str, str] | None:
    if not isinstance(virtual.address, IPv4Interface):
        return None
    return aliases.place(virtual.address, virtual.interface or "")


def _unsaid(virtual: Virtual, part: str, notes: Notes) -> None:
    """Tell what of IPVS the format does not know."""
    if virtual.protocol == "sctp":
        notes.add(part, "protocol", "lvs.cf has tcp and udp: it is said as not active, with tcp")
    if virtual.port == 0:
        notes.add(part, "port", "lvs.cf has one port each: it is said as not active, with 80")
    if virtual.ports:
        notes.add(part, "ports", "are not said: the administrator's rules give their packets the mark")
    for key in ("family", "flags", "one_packet", "tunnel"):
        if getattr(virtual, key) != Virtual.model_fields[key].default:
            notes.add(part, key, "cannot be said in lvs.cf")
    if virtual.persistence and virtual.persistence.engine:
        notes.add(part, "persistence/engine", "cannot be said in lvs.cf")
    if virtual.check.port and virtual.mark is None:
        notes.add(part, "check/port", "cannot be said in lvs.cf: a server is checked on the port that it serves")


def _persistence(virtual: Virtual) -> dict[str, object] | None:
    kept = virtual.persistence
    if not kept:
        return None
    return {"timeout_s": kept.timeout_s, "netmask": kept.prefix and IPv4Network((0, kept.prefix)).netmask}


def _server(cluster: Cluster, virtual: Virtual, part: str, label: str, notes: Notes) -> dict[str, object]:
    server, path = virtual.servers[label], f"{part}/servers/{label}"
    way = forwarding(cluster, virtual, server)
    if server.forwarding is not None and way != cluster.settings.forwarding:
        notes.add(path, "forwarding", f"lvs.cf has one way for all, {way} is not said")
    if server.drain:
        notes.add(path, "drain", f"is said as weight 0 instead of {server.weight}")
    for key in ("tunnel", "upper_threshold", "lower_threshold"):
        if getattr(server, key):
            notes.add(path, key, "cannot be said in lvs.cf")
    port = server.port
    if port and virtual.mark is not None:
        notes.add(path, "port", f"{port} is not said: behind a mark it is the port that the client asks for")
        port = None
    if cluster.settings.forwarding != "nat" and port not in (None, virtual.port):
        notes.add(path, "port", f"{port} is not said: {cluster.settings.forwarding} forwarding cannot change the port")
        port = None
    return {
        "name": label,
        "path": path,
        "address": server.address,
        "active": int(server.enabled),
        "weight": 0 if server.drain else server.weight,
        "port": port,
    }


def _check(virtual: Virtual, part: str, notes: Notes) -> dict[str, object]:
    check = virtual.check
    program = _program(check, part, notes)
    send, expect, regex = _texts(check, part, notes)
    quoted_send = _quoted(send, part, "check/send", notes)
    quoted_expect = _quoted(expect, part, "check/expect", notes)
    if (quoted_send is None) != (send is None) or (quoted_expect is None) != (expect is None):
        quoted_send = quoted_expect = None  # half a conversation would fail on servers that are well
    if program is None and isinstance(check, ExecCheck):
        quoted_expect = None
    if program is None and quoted_send is None and quoted_expect is None and virtual.port == PORT:
        notes.add(part, "check", "on port 80 lvs.cf cannot ask for a connection only: an HTTP probe is sent")
    if check.timeout_s != check.interval_s:
        notes.add(part, "check/timeout_s", f"{check.timeout_s:g} is not said: lvs.cf has the interval for both")
    for word, usual in (("recheck_s", None), ("initial", "unknown"), ("jitter", 1.0), ("data_path", False)):
        if getattr(check, word) != usual:
            notes.add(part, f"check/{word}", f"{getattr(check, word)} is not said: lvs.cf has nothing like it")
    for word in ("fall", "rise"):
        if getattr(check, word) != 1:
            notes.add(part, f"check/{word}", f"{getattr(check, word)} is not said: in lvs.cf one result decides")
    return {
        "program": program,
        "send": quoted_send,
        "expect": quoted_expect,
        "regex": regex and quoted_expect is not None,
        "timeout": _whole(math.ceil, check.interval_s, notes, part, "check/interval_s"),
        "reentry": _whole(math.ceil, check.reentry_s, notes, part, "check/reentry_s"),
    }


def _texts(check: Check, part: str, notes: Notes) -> tuple[str | None, str | None, bool]:
    """Return what is sent, what is expected, and whether that is a regular expression."""
    if isinstance(check, SendExpectCheck):
        return check.send, check.expect, check.regex
    if isinstance(check, ExecCheck):
        return None, check.expect, check.regex
    if not isinstance(check, HttpCheck):
        if not isinstance(check, TcpCheck):
            notes.add(part, "check", f"lvs.cf has no check of type {check.type}: it only connects")
        return None, None, False
    for word, usual in (("headers", {}), ("also", ()), ("body", None), ("digest", None)):
        if getattr(check, word) != usual:
            notes.add(part, f"check/{word}", "is not said: in lvs.cf the status of one page decides")
    notes.add(part, "check", "the http check is said as send and expect")
    host = rf"Host: {check.host}\r\n" if check.host else ""
    path = check.path.replace("\\", r"\\")
    codes = "|".join(_codes(each) for each in check.status)
    expect = f"^HTTP/1.[01] {f'({codes})' if '|' in codes else codes}"
    return rf"{check.method} {path} HTTP/1.0\r\n{host}\r\n", expect, True


def _program(check: Check, part: str, notes: Notes) -> str | None:
    """Return the program of an exec check in quotes, none where the format cannot say it."""
    if not isinstance(check, ExecCheck):
        return None
    command = shlex.join(check.command)
    if not check.expect or "%%" in command or '"' in command or len(command.encode()) > LONGEST_TEXT:
        notes.add(part, "check/command", "lvs.cf cannot say this program: the check only connects")
        return None
    notes.add(part, "check/user", f"{check.user} is not said: nanny runs programs as root")
    return f'"{command}"'


def _codes(status: int | str) -> str:
    """Return a status code, or a range of them, as a regular expression."""
    if isinstance(status, int):
        return str(status)
    first, _, last = status.partition("-")
    if first.endswith("00") and last.endswith("99"):
        hundreds = first[0] if first[0] == last[0] else f"[{first[0]}-{last[0]}]"
        return f"{hundreds}[0-9][0-9]"
    return "|".join(map(str, range(int(first), int(last) + 1)))


def _quoted(text: str | None, part: str, rest: str, notes: Notes) -> str | None:
    """Return a text in quotes, none where the format cannot say it."""
    if text is None:
        return None
    line = text.replace("\r", r"\r").replace("\n", r"\n")
    if _UNSAYABLE.search(text) or len(line.encode()) > LONGEST_TEXT:
        notes.add(part, rest, "lvs.cf cannot say this text: the check only connects")
        return None
    return f'"{line}"'
