"""How a virtual_server schedules, and how its real servers are reached, as the document says it."""

from collections.abc import Mapping
from typing import Any

from clusterd.keepalived.statements import Section, Statement
from clusterd.reading import number, scheduler_flags

_WAYS = {"NAT": "nat", "DR": "direct", "TUN": "tunnel"}
_CHECKSUMS = {"nocsum": "none", "csum": "csum", "remcsum": "remcsum"}
_FLAGS = ("flag-1", "flag-2", "flag-3", "sh-port", "sh-fallback", "mh-port", "mh-fallback")
_TIMEOUTS = ("tcp", "tcpfin", "udp")

Made = dict[str, Any]


def way(section: Section) -> tuple[str, Made]:
    """Return the way of forwarding, "" where none is said, and the tunnel where it is another one than ipip."""
    given = section.last("lb_kind", "lvs_method")
    if given is None:
        return "", {}
    found = _WAYS.get(given.words[1].upper() if len(given.words) > 1 else "", "")
    if not found:
        section.wrong(given, "NAT, DR or TUN is expected")
        return "", {}
    try:
        said = _tunnel(given)
    except ValueError as error:
        section.wrong(given, str(error))
        return found, {}
    return found, {} if said["type"] == "ipip" or found != "tunnel" else {"tunnel": said}


def _tunnel(given: Statement) -> Made:
    """Read TUN [type ipip|gre|gue port NUMBER] [nocsum|csum|remcsum]. Raises ValueError."""
    said: Made = {"type": "ipip"}
    rest = list(given.words[2:])
    while rest:
        word = rest.pop(0)
        if word in _CHECKSUMS:
            said["checksum"] = _CHECKSUMS[word]
        elif word in ("type", "port") and rest:
            said[word] = rest.pop(0) if word == "type" else number(rest.pop(0))
        else:
            raise ValueError(f"type, port or a checksum of the tunnel is expected, not {word!r}")
    return said


def scheduling(section: Section, body: Mapping[str, Any]) -> Made:
    """Return the flags of the scheduler, one-packet scheduling and the persistence with its engine."""
    made: Made = {}
    given = section.all(*_FLAGS)
    flags, lost = scheduler_flags(body["scheduler"], [each.key for each in given])
    for each in given:
        if each.key in lost:
            section.warn(each, f"not carried over: {body['scheduler']} has no {each.key}")
    if flags:
        made["flags"] = flags
    udp = body["protocol"] == "udp"
    if ops := section.last("ops"):
        made |= {"one_packet": True} if udp else {}
        if not udp:
            section.warn(ops, "not carried over: it is for udp")
    if engine := section.last("persistence_engine"):
        if udp and "persistence" in body:
            made["persistence"] = body["persistence"] | {"engine": section.value("persistence_engine", str, "")}
        else:
            section.warn(engine, "not carried over: it is for udp with persistence_timeout")
    return made


def limits(server: Section) -> Made:
    """Return the thresholds of a real server."""
    said = {"upper_threshold": "uthreshold", "lower_threshold": "lthreshold"}
    return {key: found for key, word in said.items() if (found := server.value(word, number, 0))}


def timeouts(section: Section) -> None:
    """Put what lvs_timeouts of global_defs says into the document."""
    given = section.last("lvs_timeouts")
    if given is None:
        return
    rest = list(given.words[1:])
    try:
        if not rest or len(rest) % 2 or any(word not in _TIMEOUTS for word in rest[::2]):
            raise ValueError("tcp, tcpfin or udp is expected, each with its seconds")
        for name, said in zip(rest[::2], rest[1::2], strict=True):
            section.made.put(("cluster", "timeouts", f"{name}_s"), number(said))
            section.made.origins["cluster", "timeouts", f"{name}_s"] = (given.place.line, section.where(given))
    except ValueError as error:
        section.wrong(given, str(error))
