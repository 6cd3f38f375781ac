"""How the checks of a virtual server's real servers become the one check that the document has for it."""

import re
from collections.abc import Sequence
from typing import Any

from clusterd.keepalived.grammar import CHECKS, KINDS, TIMING, URL
from clusterd.keepalived.statements import Section, Statement, only, seconds
from clusterd.lvscf.values import PORT
from clusterd.model.timing import regular
from clusterd.reading import Path, command, number

_CODES = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3}))?")
_DEFAULTS = {"delay_loop": 60.0, "connect_timeout": 5.0, "retry": 1.0}  # keepalived.conf(5)
_OK = ("200-299",)

Made = dict[str, Any]


def check(virtual: Section, servers: Sequence[Section], origins: dict[Path, tuple[int, str]]) -> Made:
    """Return the check of a virtual server: that of its first real server. What differs elsewhere is told."""
    found = [(each, _of_server(virtual, each)) for each in servers]
    if not found:
        return {"type": "tcp", **_timing(virtual)}
    (first, made), *others = found
    checks = first.all(*CHECKS)
    if checks:
        origins["check",] = (checks[0].place.line, first.where(checks[0]))
    else:
        first.said("has no check: clusterd connects to it with TCP")
    for each, other in others:
        if other != made:
            each.said("its check differs from that of the virtual server's first real server, which is taken for all")
    return made


def _of_server(virtual: Section, server: Section) -> Made:
    found = server.all(*CHECKS)
    known = [each for each in found if each.key in KINDS] or found
    for each in found:
        if each is not known[0]:
            server.warn(each, "not carried over: clusterd has one check for each virtual server")
    return _of_statement(virtual, server, known[0]) if known else {"type": "tcp", **_timing(virtual, server)}


def _of_statement(virtual: Section, server: Section, statement: Statement) -> Made:
    kind = statement.key
    if kind not in KINDS:
        server.warn(statement, "clusterd has no such check: it connects to the real server with TCP")
        return {"type": "tcp", **_timing(virtual, server)}
    section = Section(server.made, f"{server.path}/{kind}", statement, KINDS[kind])
    if kind in ("HTTP_GET", "SSL_GET"):
        made = _pages(virtual, server, section)
    elif kind == "SMTP_CHECK":
        made = {"type": "smtp", "hello": section.value("helo_name", str, "localhost")}
    elif kind == "DNS_CHECK":
        record, name = section.value("type", str, "SOA"), section.value("name", str, ".")
        made = {"type": "dns", "record": record.upper(), "name": name}
    elif kind == "UDP_CHECK":
        made = {"type": "udp"} | ({"expect": "*"} if section.last("require_reply") else {})
    elif kind == "MISC_CHECK":
        return _program(virtual, server, section)
    else:
        made = {"type": "icmp" if kind == "PING_CHECK" else "tcp"}
    port: Any = section.value("connect_port", PORT.read, None)
    return made | _timing(virtual, server, section) | ({"port": port} if port else {})


def _program(virtual: Section, server: Section, section: Section) -> Made:
    """Return the check that runs a program; its time is misc_timeout, by default that between two checks."""
    timing = _timing(virtual, server, section)
    timing["timeout_s"] = section.value("misc_timeout", seconds, timing["interval_s"])
    given = section.last("misc_path")
    try:
        words = command(" ".join(given.words[1:]) if given else "")
    except ValueError as error:
        section.warn(given or section.statement, f"not carried over, so the check connects with TCP: {error}")
        return {"type": "tcp", **timing}
    user = section.last("user")
    if user is None:
        section.said("is run as the user nobody, unless `user` of the check says otherwise")
    return {"type": "exec", "command": words} | ({"user": user.words[1]} if user else {}) | timing


def _timing(*sections: Section) -> Made:
    """Return the times; what is said of a check counts more than what is said of its server, and so on."""
    said = dict(_DEFAULTS)
    places: dict[str, tuple[Section, Statement]] = {}
    for section in sections:
        for word in TIMING:
            given = section.last("retry", "nb_get_retry") if word == "retry" else section.last(word)
            if given:
                try:
                    said[word] = seconds(only(given)) if word != "retry" else number(only(given))
                    places[word] = (section, given)
                except ValueError as error:
                    section.wrong(given, str(error))
    if said["retry"] and said.get("delay_before_retry", said["delay_loop"]) != said["delay_loop"]:
        section, given = places["delay_before_retry"]
        section.warn(given, "not carried over: a failed check is repeated after the same time as a good one")
    return {
        "interval_s": said["delay_loop"],
        "timeout_s": said["connect_timeout"],
        "fall": int(said["retry"]) + 1,
        "rise": 1,
    }


def _pages(virtual: Section, server: Section, section: Section) -> Made:
    version = section.last("http_protocol")
    if version and section.value("http_protocol", str, "1.1") != "1.1":
        section.warn(version, "not carried over: clusterd speaks HTTP/1.1")
    host = server.value("virtualhost", str, virtual.value("virtualhost", str, ""))
    pages = [_page(Section(section.made, f"{section.path}/url", each, URL), host) for each in section.all("url")]
    first, *others = pages or [{"status": list(_OK)} | ({"host": host} if host else {})]
    made: Made = {"type": "http", **first} | ({"also": others} if others else {})
    if section.statement.key == "SSL_GET":  # it takes every certificate
        made |= {"type": "https", "verify": False}
        if section.last("enable_sni") and "host" in first:
            made["server_name"] = first["host"]
    return made


def _page(url: Section, host: str) -> Made:
    made: Made = {"status": list(_OK), "path": url.value("path", str, "/")}
    host = url.value("virtualhost", str, host)
    codes = url.last("status_code")
    if codes:
        try:
            made["status"] = list(dict.fromkeys(_codes(word) for word in codes.words[1:]))
        except ValueError as error:
            url.wrong(codes, str(error))
    if url.last("digest"):
        made["digest"] = f"md5:{url.value('digest', str, '').lower()}"
    body = url.last("regex")
    if body:
        try:
            made["body"] = regular(only(body))
        except ValueError as error:
            url.warn(body, f"not carried over: {error}")
    return made | ({"host": host} if host else {})


def _codes(word: str) -> int | str:
    """Return a status code, or a range of them as the document has it. Raises ValueError."""
    match = _CODES.fullmatch(word)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
    if not 100 <= first <= last <= 599:
        raise ValueError(f"a status code or a range of them is expected, not {word!r}")
    return first if first == last else f"{first}-{last}"
