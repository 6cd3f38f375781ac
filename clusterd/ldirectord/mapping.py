"""What the sections of ldirectord.cf mean as a document, and from which line each part comes."""

import re
from collections.abc import Callable
from typing import Any

from clusterd.ldirectord.checks import check, positive, service_of, yes
from clusterd.ldirectord.grammar import SERVICE_BY_PORT, WAYS
from clusterd.ldirectord.syntax import Given, Section
from clusterd.lvscf.values import PORT
from clusterd.reading import (
    WITHOUT_TCP,
    Draft,
    addresses,
    endpoint,
    ipv6,
    mark,
    mark_name,
    number,
    server_name,
    virtual_name,
)
from clusterd.words import client_bits
from clusterd.words import host as read_host

_REAL = re.compile(
    r"""(?P<first>\[[^\]\s]*\]|[^\s:>]+?)(->(?P<last>\[[^\]\s]*\]|[^\s:>]+))?(:(?P<port>[\w-]+))?"""
    r"""\s+(?P<way>\w+)(\s+(?P<weight>\d+))?"""
    r"""(\s+"(?P<request>.*)"[,\s]\s*"(?P<receive>.*)")?\s*""",
    re.DOTALL,
)
_MADE_UP_PORT = 80

_PLACES = {
    "scheduler": "scheduler",
    "persistent": "persistence",
    "fallback": "sorry_server",
    "fallback6": "sorry_server",
    "virtualhost": "check/host",
    "request": "check/path",
}


def fill(made: Draft, sections: list[Section], interface: str | None) -> None:
    """Put what the sections say into the document."""
    everywhere, *virtuals = sections
    made.put(("virtuals",), {})
    for section in virtuals:
        target = _target(section)
        if target:
            _virtual(section, everywhere, target, interface)
    kinds: dict[str, Callable[[str], object]] = {"fork": yes, "quiescent": yes}
    kinds |= {"fallback": _fallback, "fallback6": _fallback}
    for word in everywhere.given:
        everywhere.value(word, kinds.get(word, positive), None)  # so that what no virtual server needs is checked too


def _target(section: Section) -> tuple[str, ...]:
    """Return the virtual server's name, address and protocol, nothing where it is left out, which is told."""
    if section.address.isdigit():
        return _marked(section)
    host, port = endpoint(section.address)
    try:
        address: Any = read_host(host)
        said: Any = PORT.read(port)
    except ValueError as error:
        section.made.wrong(section.line, section.path, str(error))
        return ()
    protocol = section.value("protocol", _protocol, "udp" if said == 53 else "tcp")
    return virtual_name(address, said, protocol, section.made.data["virtuals"]), address, str(said), protocol


def _marked(section: Section) -> tuple[str, ...]:
    try:
        found = mark(section.address)
    except ValueError as error:
        section.made.wrong(section.line, section.path, str(error))
        return ()
    protocol = section.value("protocol", _protocol_of_mark, "tcp")
    one_packet = section.value("ops", yes, False)
    return mark_name(found, section.made.data["virtuals"]), "", str(found), "udp" if one_packet else protocol


def _protocol(word: str) -> str:
    if word not in ("tcp", "udp"):
        raise ValueError(f"tcp or udp is expected, not {word!r}")
    return word


def _protocol_of_mark(word: str) -> str:
    if word != "fwm":
        raise ValueError(f"fwm is expected, not {word!r}")
    return "tcp"


def _virtual(section: Section, everywhere: Section, target: tuple[str, ...], interface: str | None) -> None:
    name, address, said, protocol = target
    made, at, port = section.made, ("virtuals", name), int(said) if address else 0
    made.origins[at] = (section.line, section.path)
    if address and interface is None:
        made.wrong(
            section.line, section.path, f"which interface carries {address} is not said: give it with --interface"
        )
        made.reported.add((*at, "interface"))
    where = {"address": address, "interface": interface, "port": port} if address else {"mark": int(said)}
    made.put(at, where | {"protocol": protocol})
    if section.value("ops", yes, False):
        _one_packet(section, at, protocol)
    made.data["virtuals"][name] |= {
        "scheduler": section.value("scheduler", str, "wrr"),
        "forwarding": None,
        "quiesce": section.value("quiescent", yes, everywhere.value("quiescent", yes, False)),
        "servers": {},
    }
    for word, place in _PLACES.items():
        if word in section.given:
            made.origins[*at, *place.split("/")] = (section.given[word].line, section.where(word))
    _persistence(section, at)
    texts = [_real(section, given, at, port) for given in section.reals]
    said_texts = section.value("request", str, ""), section.value("receive", str, "")
    own = list(dict.fromkeys(text or said_texts for text in texts)) or [said_texts]
    if len(own) > 1:
        made.warn(section.line, section.path, "its real servers are checked in different ways: the first way is taken")
    service = section.value("service", service_of, SERVICE_BY_PORT.get(port, "none"))
    known = made.data["virtuals"][name].pop("check", {})  # a port that only a check can use
    how = known | check(section, everywhere, service, own[0])
    made.put((*at, "check"), how)
    if not address:
        _checked_port(section, at, service)
    if section.value("checktype", str, "") == "off":
        for server in made.data["virtuals"][name]["servers"].values():
            server["enabled"] = False  # ldirectord activates none of them
    if protocol == "udp" and how["type"] not in WITHOUT_TCP:
        made.warn(section.line, section.path, "udp, but checked with TCP: servers that take no TCP there count as down")
    word = "fallback6" if ipv6(address) else "fallback"
    if word not in section.given and "fallback" in section.given:
        word = "fallback"
    _sorry_server(section if word in section.given else everywhere, word, target)


def _one_packet(section: Section, at: tuple[str, ...], protocol: str) -> None:
    if protocol == "udp":
        section.made.put((*at, "one_packet"), True)
    else:
        section.warn(section.given["ops"], "not carried over: it is for udp")


def _checked_port(section: Section, at: tuple[str, ...], service: str) -> None:
    """Say at which port real servers behind a mark are checked where the section does not: at the service's."""
    virtual = section.made.data["virtuals"][at[1]]
    servers = virtual["servers"].values()
    if "port" in virtual["check"] or all("port" in server for server in servers):
        return
    usual = next((port for port, name in SERVICE_BY_PORT.items() if name == service), 0)
    virtual["check"]["port"] = usual or _MADE_UP_PORT
    if not usual:
        what = f"no port says what is checked: {_MADE_UP_PORT} stands in, see check/port"
        section.made.warn(section.line, section.path, what)


def _persistence(section: Section, at: tuple[str, ...]) -> None:
    timeout_s = section.value("persistent", number, 0)
    prefix = section.value("netmask", client_bits, None)
    if timeout_s:
        section.made.put((*at, "persistence"), {"timeout_s": timeout_s, "prefix": prefix})
    elif "netmask" in section.given:
        section.warn(section.given["netmask"], "not carried over: without persistent it has no effect")


def _real(section: Section, given: Given, at: tuple[str, ...], port: int) -> tuple[str, str] | None:
    """Add one real server or a range of them; return what it is asked and must answer, where it says that itself."""
    match = _REAL.fullmatch(given.value)
    try:
        if not match:
            raise ValueError(
                'a real server is written ADDRESS[->ADDRESS][:PORT] masq|gate|ipip [WEIGHT ["ASK", "GET"]]'
            )
        first, last = read_host(match["first"]), read_host(match["last"] or match["first"])
        own_port: Any = PORT.read(match["port"] or "0")
        if match["way"] not in WAYS:
            raise ValueError(f"masq, gate or ipip is expected, not {match['way']!r}")
        hosts = addresses(first, last)
        weight = number(match["weight"] or "1")
    except ValueError as error:
        section.made.wrong(given.line, section.where("real"), str(error))
        return None
    virtual, way = section.made.data["virtuals"][at[1]], WAYS[match["way"]]
    virtual["forwarding"] = virtual["forwarding"] or way
    server: dict[str, Any] = {"weight": weight}
    if way != virtual["forwarding"]:
        server["forwarding"] = way
    if way == "nat" and own_port not in (0, port):
        server["port"] = own_port
    elif own_port and not port:
        virtual["check"] = virtual.get("check", {}) | {"port": own_port}
    elif own_port not in (0, port):
        section.warn(given, f"port {own_port} is left out: {way} forwarding cannot change it")
    for host in hosts:
        name = server_name(host, own_port, virtual["servers"])
        virtual["servers"][name] = {"address": host} | server
        section.made.origins[*at, "servers", name] = (given.line, section.where("real"))
    return (match["request"], match["receive"]) if match["request"] is not None else None


def _fallback(text: str) -> tuple[str, int, str]:
    """Return the address of a fallback server, its port and way, 0 and "" where it says none. Raises ValueError."""
    words = text.split()
    if len(words) not in (1, 2) or (words[1:] and words[1] not in WAYS):
        raise ValueError(f"a fallback server is written ADDRESS[:PORT] [masq|gate|ipip], not {text!r}")
    host, port = endpoint(words[0])
    said: Any = PORT.read(port) if port or words[0].endswith(":") else 0
    return read_host(host), said, WAYS[words[1]] if words[1:] else ""


def _sorry_server(section: Section, word: str, target: tuple[str, ...]) -> None:
    address, port, way = section.value(word, _fallback, ("", 0, ""))
    if not address:
        return
    given, virtual = section.given[word], section.made.data["virtuals"][target[0]]
    virtual["sorry_server"] = address
    if port not in (0, virtual.get("port")):
        section.warn(given, f"port {port} is left out: a sorry server of {target[0]} has the virtual server's")
    if virtual["forwarding"] and way not in ("", virtual["forwarding"]):
        section.warn(given, f"{target[0]} reaches it by {virtual['forwarding']} forwarding, as its real servers")
