"""What virtual_server and virtual_server_group mean as a document."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from clusterd.keepalived.checks import check
from clusterd.keepalived.forwarding import limits, scheduling, way
from clusterd.keepalived.grammar import REAL, VIRTUAL
from clusterd.keepalived.statements import Section, Statement, entries, flag
from clusterd.keepalived.text import Place
from clusterd.keepalived.vrrp import Floating
from clusterd.lvscf.values import PORT
from clusterd.reading import (
    WITHOUT_TCP,
    Draft,
    Path,
    addresses,
    free_name,
    ipv6,
    mark,
    mark_name,
    number,
    server_name,
    virtual_name,
)
from clusterd.words import client_bits
from clusterd.words import host as read_host

_PERSISTENT_S = "360"  # of a persistence_timeout that says no number
_NO_PORT = "it takes all ports, and is not persistent: IPVS schedules nothing for it"
_MADE_UP_PORT = 80

Endpoint = tuple[str, int]  # an address and a port, 0 for every port; or "" and a firewall mark
Origins = dict[Path, tuple[int, str]]


class Virtuals:
    """Adds virtual servers to the document."""

    def __init__(
        self, made: Draft, floating: Mapping[str, Floating], interface: str | None, groups: Sequence[Statement]
    ) -> None:
        self._made = made
        self._floating = floating
        self._interface = interface
        self._groups = {" ".join(group.words[1:]): group for group in groups}

    def add(self, statement: Statement) -> None:
        """Add what one virtual_server says: one virtual server of the document for each address."""
        path = " ".join(statement.words)
        section = Section(self._made, path, statement, VIRTUAL)
        endpoints = list(self._endpoints(section))
        body, origins = _body(section, marks=bool(endpoints) and not any(host for host, _ in endpoints))
        servers = _servers(section, body, origins)
        body["check"] = check(section, servers, origins)
        if body["protocol"] in ("udp", "sctp") and body["check"]["type"] not in WITHOUT_TCP:
            section.said(f"{body['protocol']}, but checked with TCP: servers that take no TCP there count as down")
        taken = self._made.data["virtuals"]
        said = section.value("snmp_name", str, "") or "-".join(
            statement.words[2:] if statement.words[1:2] == ("group",) else ()
        )
        for host, port in endpoints:
            if host and not port and "persistence" not in body:
                section.said(f"the virtual server is not carried over: {_NO_PORT}")
                continue
            wanted = said if len(endpoints) == 1 else f"{said}-{host or 'mark'}-{port}"
            plain = virtual_name(host, port, body["protocol"], taken) if host else mark_name(port, taken)
            name = free_name(wanted, taken) if said else plain
            at = ("virtuals", name)
            self._made.origins[at] = (statement.place.line, statement.place.where(path))
            for inner, origin in origins.items():
                self._made.origins[*at, *inner] = origin
            where = self._carried(section, host, at) | {"port": port} if host else _marked(section, port)
            taken[name] = copy.deepcopy(body) | where
            _own_ports(section, taken[name])

    def _endpoints(self, section: Section) -> Iterator[Endpoint]:
        _, *said = section.statement.words
        if len(said) == 2 and said[0] == "group":
            if said[1] in self._groups:
                yield from self._members(self._groups[said[1]])
            else:
                place = section.statement.place
                self._made.wrong(place.line, place.where(section.path), f"there is no virtual_server_group {said[1]}")
        else:
            yield from self._addresses(section.statement.place, section.path, said)

    def _members(self, group: Statement) -> Iterator[Endpoint]:
        for each in entries(self._made, " ".join(group.words), group):
            yield from self._addresses(each.place, f"{' '.join(group.words)}/{each.key}", each.words)

    def _addresses(self, place: Place, path: str, said: Sequence[str]) -> Iterator[Endpoint]:
        where = place.where(path)
        host = said[0] if said else ""
        try:
            if host == "fwmark":
                yield "", mark(said[1] if len(said) > 1 else "")
                return
            if len(said) > 2:
                raise ValueError("an address and a port are expected")
            port: Any = PORT.read(said[1]) if len(said) > 1 else 0
            hosts = list(_range(host))
        except ValueError as error:
            self._made.wrong(place.line, where, str(error))
            return
        yield from ((each, port) for each in hosts)

    def _carried(self, section: Section, host: str, at: tuple[str, ...]) -> dict[str, Any]:
        place = self._floating.get(host)
        if place:
            self._made.origins[*at, "interface"] = (place.line, place.where)
            return {"address": f"{host}/{place.prefix}", "interface": place.interface}
        line, where = section.statement.place.line, section.statement.place.where(section.path)
        if self._interface is None:
            no = f"no vrrp_instance has {host}, so which interface carries it is not said: give it with --interface"
            self._made.wrong(line, where, no)
            self._made.reported.add((*at, "interface"))
        else:
            self._made.warn(line, where, f"no vrrp_instance has {host}: it is put on {self._interface}")
        return {"address": host, "interface": self._interface}


def _body(section: Section, marks: bool) -> tuple[dict[str, Any], Origins]:
    """Return what all addresses of a virtual_server share, and where it stood.

    With a firewall mark keepalived heeds no protocol: it is that of what else is said.
    """
    body: dict[str, Any] = {"servers": {}, "scheduler": "wlc", "protocol": "udp"}
    origins: Origins = {}
    given = section.last("lb_algo", "lvs_sched")
    if given:
        origins["scheduler",] = (given.place.line, section.where(given))
        body["scheduler"] = section.value(given.key, str, "wlc")
    if given := section.last("protocol"):
        origins["protocol",] = (given.place.line, section.where(given))
        body["protocol"] = section.value("protocol", str.lower, "tcp")
    elif marks:
        body["protocol"] = "udp" if section.last("ops", "persistence_engine") else "tcp"
    else:
        section.said("no protocol is said: udp, as keepalived takes it")
    if given := section.last("persistence_timeout"):
        origins["persistence",] = (given.place.line, section.where(given))
        timeout_s = section.value("persistence_timeout", number, 0, bare=_PERSISTENT_S)
        prefix = section.value("persistence_granularity", client_bits, None)
        if timeout_s:
            body["persistence"] = {"timeout_s": timeout_s, "prefix": prefix}
    elif given := section.last("persistence_granularity"):
        section.warn(given, "not carried over: without persistence_timeout it has no effect")
    _quorum(section, body, origins)
    body |= scheduling(section, body)
    said, tunnel = way(section)
    body |= {"forwarding": said or "nat"} | tunnel
    _sorry_server(section, body, origins)
    return body, origins


def _quorum(section: Section, body: dict[str, Any], origins: Origins) -> None:
    """Carry the quorum over. A hysteresis that is not below it is made so, as keepalived does (check_data.c)."""
    quorum = max(1, section.value("quorum", number, 1))
    for key, value in (("quorum", quorum), ("hysteresis", min(section.value("hysteresis", number, 0), quorum - 1))):
        if given := section.last(key):
            origins[key,] = (given.place.line, section.where(given))
            body[key] = value


def _range(said: str) -> Iterator[str]:
    """Return the addresses of one line of a group: A-B, where B may be the last part alone, or A/BITS.

    Raises ValueError.
    """
    first, dash, last = said.partition("-")
    if dash:
        between = ":" if ipv6(first) else "."
        whole = last if between in last else f"{first.rpartition(between)[0]}{between}{last}"
        return addresses(read_host(first), read_host(whole))
    first, slash, bits = said.partition("/")
    if slash:
        start = ip_address(read_host(first))
        network = ip_network((start, min(number(bits), start.max_prefixlen)), strict=False)
        return addresses(str(start), str(network.broadcast_address))
    return iter([read_host(said)])


def _marked(section: Section, found: int) -> dict[str, Any]:
    family = section.value("ip_family", str, "inet")
    return {"mark": found} | ({"family": "ipv6"} if family == "inet6" else {})


def _sorry_server(section: Section, body: dict[str, Any], origins: Origins) -> None:
    given = section.last("sorry_server")
    if given is None:
        return
    try:
        if not 2 <= len(given.words) <= 3:
            raise ValueError("an address and a port are expected")
        body["sorry_server"] = read_host(given.words[1])
        origins["sorry_server",] = (given.place.line, section.where(given))
        said: Any = PORT.read(given.words[2]) if len(given.words) == 3 else 0
    except ValueError as error:
        section.wrong(given, str(error))
        return
    if said and str(said) != section.statement.words[-1]:
        section.warn(given, f"port {said} is left out: a sorry server has the virtual server's")


def _servers(section: Section, body: dict[str, Any], origins: Origins) -> list[Section]:
    """Put the real servers into what a virtual_server says; return what they say of their checks."""
    found = []
    for statement in section.all("real_server"):
        path = f"{section.path}/{' '.join(statement.words)}"
        server = Section(section.made, path, statement, REAL)
        words = statement.words[1:]
        try:
            if not 1 <= len(words) <= 2:
                raise ValueError("an address and a port are expected")
            host = read_host(words[0])
            port: Any = PORT.read(words[1]) if len(words) == 2 else 0
        except ValueError as error:
            section.made.wrong(statement.place.line, statement.place.where(path), str(error))
            continue
        said = server.value("snmp_name", str, "")
        name = free_name(said, body["servers"]) if said else server_name(host, port, body["servers"])
        body["servers"][name] = {"address": host, "port": port, "weight": server.value("weight", number, 1)}
        origins["servers", name] = (statement.place.line, statement.place.where(path))
        said_way, tunnel = way(server)
        if said_way == "tunnel" and "tunnel" in body:
            tunnel = tunnel or {"tunnel": {"type": "ipip"}}  # what is said of a server says all of its tunnel
        body["servers"][name] |= tunnel | limits(server)
        if said_way and said_way != body["forwarding"]:
            body["servers"][name]["forwarding"] = said_way
        found.append(server)
    quiet = [each for each in found if each.value("inhibit_on_failure", flag, False, bare="yes")]
    body["quiesce"] = bool(quiet) or section.value("inhibit_on_failure", flag, False, bare="yes")
    if quiet and len(quiet) < len(found):
        section.said("inhibit_on_failure of some of its real servers is taken for all")
    return found


def _own_ports(section: Section, virtual: dict[str, Any]) -> None:
    """Leave each real server the port of its own that it needs; say where it is checked if nothing else does."""
    usual = virtual.get("port", 0)
    for name, server in virtual["servers"].items():
        port, said = server.pop("port"), server.get("forwarding", virtual["forwarding"])
        if port in (0, usual):
            continue
        if said == "nat":
            server["port"] = port
        elif not usual:
            virtual["check"].setdefault("port", port)  # where the clients' port goes on, it says no more than this
        else:
            section.said(f"port {port} of {name} is left out: {said} forwarding cannot change it")
    if not (usual or "port" in virtual["check"] or all("port" in server for server in virtual["servers"].values())):
        virtual["check"]["port"] = _MADE_UP_PORT
        section.said(f"no port says what is checked: {_MADE_UP_PORT} stands in, see check/port")
