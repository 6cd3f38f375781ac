"""Checks as checkers of keepalived.conf(5): each a keyword, and the lines of its block."""

import re
import shlex
from collections.abc import Iterable

from clusterd.model import (
    Check,
    DnsCheck,
    ExecCheck,
    HttpCheck,
    HttpsCheck,
    IcmpCheck,
    Page,
    SmtpCheck,
    TcpCheck,
    UdpCheck,
    accepted,
)
from renderers.notes import Notes

_SAYABLE = re.compile(r'[^"\\#!$]{1,500}')  # the rest ends a string, begins a comment or is expanded
_PORTLESS = ("PING_CHECK", "MISC_CHECK")
_HEX_OF_MD5 = "md5:"
LONGEST_MISC_S = 4294  # whole seconds of what keepalived counts in microseconds

Lines = list[str]


def said(check: Check, part: str, notes: Notes) -> dict[str, object]:
    """Return the keyword, the lines of its block, and which of the timing it takes; a TCP_CHECK for what it has not."""
    keyword, lines = _checker(check, part, notes) or ("TCP_CHECK", [])
    return {
        "keyword": keyword,
        "lines": lines,
        "connects": keyword != "MISC_CHECK",
        "has_port": keyword not in _PORTLESS,
    }


def _checker(check: Check, part: str, notes: Notes) -> tuple[str, Lines] | None:
    if isinstance(check, TcpCheck):
        return None
    if isinstance(check, HttpCheck | HttpsCheck):
        return _pages(check, part, notes)
    if isinstance(check, ExecCheck):
        return _program(check, part, notes)
    if isinstance(check, IcmpCheck):
        return "PING_CHECK", []
    if isinstance(check, DnsCheck) and check.answer is None:
        return "DNS_CHECK", [f"type {check.record}", f"name {check.name}"]
    if isinstance(check, UdpCheck) and not check.send and check.expect in (None, "*"):
        return "UDP_CHECK", ["require_reply"] if check.expect else []
    if isinstance(check, SmtpCheck):
        if check.starttls:
            notes.add(part, "check/starttls", "is not said: keepalived does not begin TLS")
        return "SMTP_CHECK", [f"helo_name {check.hello}"]
    if check.type == "send_expect":
        notes.add(part, "check", "keepalived cannot send and expect: the check only connects")
    else:
        notes.add(part, "check", f"keepalived has no such check of type {check.type}: it only connects")
    return None


def _pages(check: HttpCheck | HttpsCheck, part: str, notes: Notes) -> tuple[str, Lines] | None:
    if not all(_SAYABLE.fullmatch(page.path) for page in check.pages):
        notes.add(part, "check/path", "keepalived cannot say this path: the check only connects")
        return None
    for word, usual in (("method", "GET"), ("headers", {})):
        if getattr(check, word) != usual:
            notes.add(part, f"check/{word}", "is not said: keepalived asks with GET, and headers of its own")
    lines = ["http_protocol 1.1"]
    if isinstance(check, HttpsCheck):
        if check.verify:
            notes.add(part, "check/verify", "is not said: keepalived takes every certificate")
        if check.server_name:
            lines.append("enable_sni")
            if check.server_name != check.host:
                notes.add(part, "check/server_name", "is not said: keepalived takes the host for it")
    for number, page in enumerate(check.pages):
        lines += _url(page, part, f"check/also/{number - 1}" if number else "check", notes)
    return "SSL_GET" if isinstance(check, HttpsCheck) else "HTTP_GET", lines


def _url(page: Page, part: str, where: str, notes: Notes) -> Lines:
    lines = [f'\tpath "{page.path}"']
    if page.host:
        lines.append(f'\tvirtualhost "{page.host}"')
    lines.append(f"\tstatus_code {' '.join(_ranges(accepted(page.status)))}")
    if page.digest and page.digest.startswith(_HEX_OF_MD5):
        lines.append(f"\tdigest {page.digest.removeprefix(_HEX_OF_MD5)}")
    elif page.digest:
        notes.add(part, f"{where}/digest", "is not said: keepalived has digests by MD5 only")
    if page.body and _SAYABLE.fullmatch(page.body):
        lines.append(f'\tregex "{page.body}"')
    elif page.body:
        notes.add(part, f"{where}/body", "is not said: this expression would be read as something else")
    return ["url {", *lines, "}"]


def _program(check: ExecCheck, part: str, notes: Notes) -> tuple[str, Lines] | None:
    command = shlex.join(check.command)
    if check.expect or re.search("%[hp%]", command) or not _SAYABLE.fullmatch(command):
        notes.add(part, "check/command", "keepalived cannot say this program: the check only connects")
        return None
    return "MISC_CHECK", [
        f'misc_path "{command}"',
        f"misc_timeout {min(max(1, round(check.timeout_s)), LONGEST_MISC_S)}",
        f"user {check.user}",
    ]


def _ranges(codes: Iterable[int]) -> list[str]:
    """Return status codes in order, neighbours as ranges: 200-204."""
    found: list[list[int]] = []
    for code in sorted(set(codes)):
        if found and found[-1][-1] == code - 1:
            found[-1].append(code)
        else:
            found.append([code])
    return [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in found]
