"""How the checks of a virtual server's real servers become the one check that the document has for it."""

import re
from collections.abc import Sequence
from typing import Any

from clusterd.keepalived.grammar import CHECK, CHECKS, HTTP, SMTP, TIMING, URL
from clusterd.keepalived.statements import Section, Statement, only, seconds
from clusterd.lvscf.values import PORT
from clusterd.reading import GREETINGS, Path, number

_CODES = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3}))?")
_DEFAULTS = {"delay_loop": 60.0, "connect_timeout": 5.0, "retry": 1.0}  # keepalived.conf(5)
_OK = tuple(range(200, 300))

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
    known = [each for each in found if each.key in ("HTTP_GET", "TCP_CHECK")] or found
    for each in found:
        if each is not known[0]:
            server.warn(each, "not carried over: clusterd has one check for each virtual server")
    return _of_statement(virtual, server, known[0]) if known else {"type": "tcp", **_timing(virtual, server)}


def _of_statement(virtual: Section, server: Section, statement: Statement) -> Made:
    kind = statement.key
    path = f"{server.path}/{kind}"
    if kind in ("HTTP_GET", "SSL_GET"):
        section = Section(server.made, path, statement, HTTP)
    elif kind in ("TCP_CHECK", "SMTP_CHECK"):
        section = Section(server.made, path, statement, SMTP if kind == "SMTP_CHECK" else CHECK)
    else:
        server.warn(statement, "clusterd has no such check: it connects to the real server with TCP")
        return {"type": "tcp", **_timing(virtual, server)}
    made: Made = {"type": "tcp"}
    if kind == "HTTP_GET":
        made = _http(virtual, server, section)
    elif kind == "SSL_GET":
        server.warn(statement, "clusterd's checks do not speak TLS: it connects to the real server with TCP")
    elif kind == "SMTP_CHECK":
        server.warn(statement, "of smtp only the greeting is checked")
        made = {"type": "send_expect", "expect": GREETINGS["smtp"]}
    port: Any = section.value("connect_port", PORT.read, None)
    return made | _timing(virtual, server, section) | ({"port": port} if port else {})


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


def _http(virtual: Section, server: Section, section: Section) -> Made:
    urls = section.all("url")
    version = section.last("http_protocol")
    if version and section.value("http_protocol", str, "1.1") != "1.1":
        section.warn(version, "not carried over: clusterd speaks HTTP/1.1")
    made: Made = {"type": "http", "status": list(_OK)}
    host = server.value("virtualhost", str, virtual.value("virtualhost", str, ""))
    if urls:
        url = Section(section.made, f"{section.path}/url", urls[0], URL)
        made["path"] = url.value("path", str, "/")
        host = url.value("virtualhost", str, host)
        codes = url.last("status_code")
        if codes:
            try:
                made["status"] = list(dict.fromkeys(code for word in codes.words[1:] for code in _codes(word)))
            except ValueError as error:
                url.wrong(codes, str(error))
    for each in urls[1:]:
        section.warn(each, "not carried over: clusterd asks for one path")
    return made | ({"host": host} if host else {})


def _codes(word: str) -> range:
    match = _CODES.fullmatch(word)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
    if not 100 <= first <= last <= 599:
        raise ValueError(f"a status code or a range of them is expected, not {word!r}")
    return range(first, last + 1)
