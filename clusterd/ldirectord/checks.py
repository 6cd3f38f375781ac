"""How the directives of a virtual server become the one check that the document has for it."""

import re
import warnings
from collections.abc import Mapping
from typing import Any

from clusterd.document import suggestion
from clusterd.ldirectord.grammar import CHECKTYPES, SERVICES
from clusterd.ldirectord.syntax import Given, Section
from clusterd.lvscf.values import PORT
from clusterd.model.timing import regular
from clusterd.reading import GREETINGS, command, number

CONNECT_S, NEGOTIATE_S, INTERVAL_S = 5, 30, 10  # ldirectord's defaults
LONGEST_TEXT = 255  # of the document's send and expect
_OK = ("200-299",)
# What a service is asked for without a login, by the type of check.
_SPOKEN: Mapping[str, dict[str, Any]] = {
    "smtp": {"type": "smtp"},
    "submission": {"type": "smtp"},
    "dns": {"type": "dns"},
    "mysql": {"type": "mysql"},
    "pgsql": {"type": "postgres"},
}
_CONVERSATION = {"http", "https", "simpletcp", *GREETINGS, *_SPOKEN}


def check(section: Section, everywhere: Section, service: str, texts: tuple[str, str]) -> dict[str, Any]:
    """Return the check of a virtual server; `texts` are what is requested and what must be received, "" for none."""
    kind = section.value("checktype", _checktype, "negotiate")
    given = section.given.get("checktype", Given(section.line, "checktype", kind))
    said = {"type": "tcp"}
    if kind == "ping":
        said = {"type": "icmp"}
    elif kind == "external":
        said = _program(section, given)
    elif kind not in ("negotiate", "connect"):
        section.warn(given, f"clusterd has no check {kind}: it connects to each real server with TCP")
    elif kind == "negotiate":
        if service in _CONVERSATION:
            said = _conversation(section, service, *texts)
        else:
            why = "no check is made by ldirectord" if service == "none" else f"clusterd has no check of {service}"
            section.made.warn(section.line, section.path, f"{why}: clusterd connects to each real server with TCP")
        if kind != given.value:
            section.warn(given, "not carried over: clusterd negotiates every time")
    if said["type"] != "send_expect":
        _unused(section, service, said["type"])
    port: Any = section.value("checkport", PORT.read, None)
    return said | _timing(section, everywhere, kind) | ({"port": port} if port else {})


def _program(section: Section, given: Given) -> dict[str, Any]:
    """Return the check that runs checkcommand with the arguments that ldirectord gives it."""
    try:
        words = command(section.value("checkcommand", str, "/bin/true"))
    except ValueError as error:
        section.warn(given, f"not carried over, so the check connects with TCP: {error}")
        return {"type": "tcp"}
    section.warn(
        given, "is run as the user nobody, and is not told of the virtual server: its arguments 1 and 2 are empty"
    )
    return {"type": "exec", "command": [*words, "", "", "%h", "%p"]}


def _checktype(word: str) -> str:
    if word.isdigit():
        return "negotiate"  # every so many connects
    if word not in CHECKTYPES:
        raise ValueError(f"unknown check {word!r}{suggestion(word, CHECKTYPES)}")
    return word


def service_of(word: str) -> str:
    """Return the service, which is one that ldirectord knows. Raises ValueError."""
    if word not in SERVICES:
        raise ValueError(f"unknown service {word!r}{suggestion(word, SERVICES)}")
    return word


def _timing(section: Section, everywhere: Section, kind: str) -> dict[str, Any]:
    """Return the times. The two timeouts stand in for each other, first here and then in the global ones."""
    first, second = "checktimeout", "negotiatetimeout"
    if kind == "negotiate":
        first, second = second, first
    timeout_s = NEGOTIATE_S if kind == "negotiate" else CONNECT_S
    for around, word in ((everywhere, second), (everywhere, first), (section, second), (section, first)):
        timeout_s = around.value(word, positive, timeout_s)
    interval_s = everywhere.value("checkinterval", positive, INTERVAL_S)
    if "checkinterval" in section.given:
        if everywhere.value("fork", yes, False):
            interval_s = section.value("checkinterval", positive, interval_s)
        else:
            section.warn(section.given["checkinterval"], "not carried over: it has no effect without fork = yes")
    fall = section.value("failurecount", positive, everywhere.value("failurecount", positive, 1))
    return {"interval_s": interval_s, "timeout_s": timeout_s, "fall": fall, "rise": 1}


def positive(word: str) -> int:
    """Return a number above 0. Raises ValueError."""
    if not number(word):
        raise ValueError("must be above 0")
    return number(word)


def yes(word: str) -> bool:
    """Return whether a directive says yes. Raises ValueError where it says neither yes nor no."""
    if word not in ("yes", "no"):
        raise ValueError(f"yes or no is expected, not {word!r}")
    return word == "yes"


def _conversation(section: Section, service: str, request: str, receive: str) -> dict[str, Any]:
    if service == "simpletcp":
        return _send_expect(section, request.lstrip("/"), receive) or {"type": "tcp"}
    if service in _SPOKEN:
        return _spoken(section, service, request)
    if service in GREETINGS:
        section.made.warn(section.line, section.path, f"of {service} only the greeting is checked")
        return {"type": "send_expect", "expect": GREETINGS[service]}
    method = section.value("httpmethod", str.upper, "GET")
    host = section.given.get("virtualhost")
    path = "/" + request.lstrip("/")
    if service == "https" or not receive:
        return _page(section, service, path, receive)
    head = f"Host: {host.value}\n" if host else ""
    send = f"{method} {path} HTTP/1.0\n{head}\n".replace("\\", r"\\").replace("\n", r"\r\n")
    expect = r"^HTTP/1\.[01] 2" + (f"[\\s\\S]*(?:{receive})" if receive else "")
    said = _send_expect(section, send, expect)
    return said or {"type": "http", "path": path, "status": list(_OK)}


def _page(section: Section, service: str, path: str, receive: str) -> dict[str, Any]:
    made: dict[str, Any] = {"type": service, "path": path, "status": list(_OK)}
    host, method = section.given.get("virtualhost"), section.value("httpmethod", str.upper, "GET")
    if host:
        made["host"] = host.value
    if method != "GET":
        made["method"] = method
    if service == "https":
        made["verify"] = False  # ldirectord takes every certificate
    if receive:
        try:
            made["body"] = regular(receive)
        except ValueError as error:
            section.warn(section.given.get("receive", Given(section.line, "receive", "")), f"not carried over: {error}")
    return made


def _spoken(section: Section, service: str, request: str) -> dict[str, Any]:
    made = dict(_SPOKEN[service])
    if service == "dns" and request:
        made |= {"name": request, "record": "A"}
    elif service in ("mysql", "pgsql"):
        section.made.warn(section.line, section.path, f"of {service} it is checked that it would let somebody log in")
    return made


def _send_expect(section: Section, send: str, expect: str) -> dict[str, Any] | None:
    """Return the check that sends and expects a regular expression; None, and a warning, where clusterd cannot."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(expect.encode("utf-8", "surrogateescape"))
    except (re.error, OverflowError, RecursionError, FutureWarning, UnicodeError) as error:
        why = f"it is not a regular expression as Python has them ({error})"
    else:
        if len(send) <= LONGEST_TEXT and len(expect) <= LONGEST_TEXT:
            return {"type": "send_expect", "send": send or None, "expect": expect or None, "regex": True}
        why = f"texts have at most {LONGEST_TEXT} characters"
    given = section.given.get("receive", Given(section.line, "receive", ""))
    section.warn(given, f"not carried over: {why}")
    return None


def _unused(section: Section, service: str, kind: str) -> None:
    """Warn of what belongs to a conversation that is not held."""
    needless = set() if kind in ("http", "https") else {"httpmethod", "virtualhost", "request", "receive"}
    for word in sorted(needless):
        given = section.given.get(word)
        if given and not (word == "httpmethod" and given.value.upper() == "GET"):
            section.warn(given, "not carried over: the check does not use it")
