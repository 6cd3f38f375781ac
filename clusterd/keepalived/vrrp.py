"""What vrrp_instance and vrrp_sync_group say: which addresses move where, and who the routers are."""

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface
from typing import Any

from clusterd.keepalived.grammar import INSTANCE, SYNC_GROUP
from clusterd.keepalived.statements import Section, Statement, entries, only, seconds
from clusterd.reading import Draft, free_name, number
from clusterd.words import host as read_host

_IGNORED = {"brd", "scope", "label"}  # words of an address that have a value and lose nothing
_PRIORITY, _STEP = 100, 50  # where nothing is said, and between a router and its peers
_SHORTEST_LEASE_S, _LONGEST_LEASE_S = 2, 3600  # deadtime_s of a document


@dataclass(frozen=True, slots=True)
class Floating:
    """An address that moves, and where it stands in the file."""

    address: str
    prefix: int
    interface: str
    line: int
    where: str


@dataclass(slots=True)
class Instance:
    """A vrrp_instance."""

    name: str
    section: Section
    interface: str
    source: str = ""  # this router's own address
    peers: list[str] = field(default_factory=list)
    floating: list[Floating] = field(default_factory=list)


def instance(made: Draft, statement: Statement) -> Instance:
    """Read one vrrp_instance."""
    name = " ".join(statement.words[1:])
    section = Section(made, f"vrrp_instance {name}", statement, INSTANCE)
    found = Instance(name, section, section.value("interface", str, ""))
    for keyword in ("mcast_src_ip", "unicast_src_ip"):
        found.source = section.value(keyword, read_host, "") or found.source
    for block in section.all("unicast_peer"):
        for each in entries(made, f"{section.path}/{block.key}", block):
            found.peers += [peer] if (peer := _peer(section, each)) else []
    for block in section.all("virtual_ipaddress", "virtual_ipaddress_excluded"):
        for each in entries(made, f"{section.path}/{block.key}", block):
            address = _floating(section, block, each, found.interface)
            found.floating += [address] if address else []
    return found


def _peer(section: Section, statement: Statement) -> str:
    line, where = statement.place.line, statement.place.where(f"{section.path}/unicast_peer/{statement.key}")
    try:
        host = read_host(statement.key)
    except ValueError as error:
        section.made.wrong(line, where, str(error))
        return ""
    if lost := " ".join(statement.words[1:]):
        section.made.warn(line, where, f"not carried over: {lost}")
    return host


def _floating(section: Section, block: Statement, statement: Statement, interface: str) -> Floating | None:
    made, line = section.made, statement.place.line
    said = statement.key
    where = statement.place.where(f"{section.path}/{block.key}/{said}")
    try:
        plain = ip_interface(said)
    except ValueError:
        made.wrong(line, where, f"an address is expected (a.b.c.d/prefix or IPv6/prefix), not {said!r}")
        return None
    rest = list(statement.words[1:])
    while rest:
        word = rest.pop(0)
        if word == "dev" and rest:
            interface = rest.pop(0)
        elif word in _IGNORED and rest:
            rest.pop(0)
        else:
            made.warn(line, where, f"{word} is not carried over")
    if not interface:
        made.wrong(line, where, "which interface carries it is not said: neither dev here nor interface above")
        return None
    return Floating(str(plain.ip), plain.network.prefixlen, interface.partition(":")[0], line, where)


def sync_groups(made: Draft, top: Sequence[Statement], found: Sequence[Instance]) -> None:
    """Read the groups: in a cluster all addresses move together, so what is left is to tell where they did not."""
    names, together = {each.name for each in found}, set[str]()
    for statement in top:
        if statement.key != "vrrp_sync_group":
            continue
        section = Section(made, " ".join(statement.words), statement, SYNC_GROUP)
        for block in section.all("group"):
            for member in entries(made, f"{section.path}/group", block):
                together.update(member.words)
                for name in member.words:
                    if name not in names:
                        where = member.place.where(f"{section.path}/group/{name}")
                        made.warn(member.place.line, where, "there is no vrrp_instance of this name")
    apart = [each for each in found if each.name not in together]
    if apart and len(found) > 1:
        for each in apart:
            each.section.said("its addresses move together with all others: a cluster has one active router")


def carriers(made: Draft, found: Sequence[Instance]) -> dict[str, Floating]:
    """Return every floating address once."""
    floating: dict[str, Floating] = {}
    for each in (address for one in found for address in one.floating):
        known = floating.setdefault(each.address, each)
        if known is not each:
            made.warn(each.line, each.where, f"not carried over: it stands in line {known.line} already")
    return floating


def gateways(made: Draft, floating: dict[str, Floating], used: Container[str]) -> list[str]:
    """Put the real servers' gateways into the document: the floating addresses in their network that serve nothing.

    Return them: at most one of each family. Other addresses that serve nothing are told.
    """
    servers = [
        ip_address(server["address"])
        for virtual in made.data["virtuals"].values()
        for server in virtual["servers"].values()
        if (server.get("forwarding") or virtual["forwarding"]) == "nat"
    ]
    chosen: dict[str, str] = {}
    for each in floating.values():
        network = ip_interface(f"{each.address}/{each.prefix}").network
        if each.address in used:
            continue
        key = "nat_router6" if network.version == 6 else "nat_router"
        if key in chosen or not any(server in network for server in servers):
            made.warn(each.line, each.where, "not carried over: no virtual server has it, and it is no gateway to one")
            continue
        chosen[key] = each.address
        made.origins["cluster", key] = (each.line, each.where)
        made.put(("cluster", key), {"address": f"{each.address}/{each.prefix}", "interface": each.interface})
        made.warn(each.line, each.where, "taken for the real servers' gateway: it is in their network")
    return [*chosen.values()]


def routers(made: Draft, found: Sequence[Instance], inside: Container[str], named: str) -> None:
    """Put this router and its peers into the document, as far as the file of one router says who they are."""
    if not found:
        return
    private = next((each for each in found if any(floating.address in inside for floating in each.floating)), None)
    public = next((each for each in found if each is not private), found[0])
    _heartbeat(made, public, found)
    priority = public.section.value("priority", number, _PRIORITY)
    if not public.source:
        public.section.said("not carried over: who the routers are: add them by hand, unicast_src_ip does not say")
        return
    name = free_name(named or "this", ())
    everyone: dict[str, Any] = {name: {"public": public.source, "priority": priority}}
    made.origins["routers", name] = (public.section.statement.place.line, public.section.path)
    first = public.section.value("state", str.upper, "BACKUP") == "MASTER"
    guess = max(priority - _STEP, 0) if first else min(priority + _STEP, 255)
    for peer in public.peers:
        label = free_name(f"peer-{peer}", everyone)
        everyone[label] = {"public": peer, "priority": guess}
        made.origins["routers", label] = (public.section.statement.place.line, public.section.path)
        public.section.said(f"the priority {guess} of {label} is made up: its own file says it")
    if private and private is not public and private.source:
        everyone[name]["private"] = private.source
        if len(private.peers) == len(public.peers) == 1:
            everyone[label]["private"] = private.peers[0]
        elif public.peers:
            private.section.said("which peer has which private address is not known: add them by hand")
    made.put(("routers",), everyone)


def _heartbeat(made: Draft, public: Instance, found: Sequence[Instance]) -> None:
    """A VRRP backup takes over after three advertisements that did not come (RFC 5798, 6.1), or as many as said."""
    given = public.section.last("advert_int")
    for each in found:
        other = each.section.last("advert_int")
        if each is not public and (other and other.words) != (given and given.words):
            each.section.warn(other or each.section.statement, f"that of {public.name} is taken for the whole cluster")
    if given is None:
        return
    try:
        each_s = seconds(only(given))
    except ValueError as error:
        public.section.wrong(given, str(error))
        return
    missing = public.section.value("down_timer_adverts", number, 3)
    deadtime_s = min(max(_SHORTEST_LEASE_S, math.ceil(missing * each_s)), _LONGEST_LEASE_S)
    if deadtime_s != missing * each_s:
        public.section.warn(given, f"a router that was active counts as dead after {deadtime_s} s")
    if 2 * each_s > deadtime_s:
        each_s = deadtime_s / 2
        public.section.warn(given, f"a sign of life every {each_s:g} s: one of them may come late")
    at = ("cluster", "heartbeat")
    made.origins[at] = (given.place.line, public.section.where(given))
    made.put(at, {"keepalive_s": each_s, "deadtime_s": deadtime_s})
