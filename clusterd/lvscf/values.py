"""The kinds of values that lvs.cf has: words in, a plain value out, ValueError in Piranha's words where it is none.

Nothing is looked up: a host is a dotted quad and a service has one of the names below, so that a file means the same
on every machine.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from clusterd.document import suggestion

# What strtol(3) reads with base 0; 18 digits are more than any value here needs.
_NUMBER = re.compile(r"([-+]?)(0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,18}|[1-9][0-9]{0,18})")
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")

# Names of the services that LVS clusters carry, as /etc/services has them for TCP.
SERVICES = {
    "ftp-data": 20,
    "ftp": 21,
    "ssh": 22,
    "telnet": 23,
    "smtp": 25,
    "domain": 53,
    "gopher": 70,
    "finger": 79,
    "http": 80,
    "www": 80,
    "kerberos": 88,
    "pop3": 110,
    "sunrpc": 111,
    "nntp": 119,
    "ntp": 123,
    "imap": 143,
    "imap2": 143,
    "snmp": 161,
    "bgp": 179,
    "ldap": 389,
    "https": 443,
    "smtps": 465,
    "submissions": 465,
    "syslog": 514,
    "printer": 515,
    "rtsp": 554,
    "submission": 587,
    "ldaps": 636,
    "rsync": 873,
    "ftps-data": 989,
    "ftps": 990,
    "telnets": 992,
    "imaps": 993,
    "pop3s": 995,
    "ms-sql-s": 1433,
    "radius": 1812,
    "nfs": 2049,
    "squid": 3128,
    "mysql": 3306,
    "ms-wbt-server": 3389,
    "sip": 5060,
    "postgresql": 5432,
    "http-alt": 8080,
    "webcache": 8080,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: how many words it takes (0: any number) and what they mean."""

    words: int
    read: Callable[..., object]


def _number(word: str) -> int:
    found = _NUMBER.fullmatch(word)
    if not found:
        raise ValueError(f"integer expected, not {word!r}")
    sign, digits = found.groups()
    octal = digits.isdigit() and digits.startswith("0")
    return int(sign + digits, 8 if octal else 0)


def _boolean(word: str) -> bool:
    if word not in ("0", "1"):
        raise ValueError(f"boolean expected (0 or 1), not {word!r}")
    return word == "1"


def _port(word: str) -> int:
    if _NUMBER.fullmatch(word):
        return _number(word)
    if word not in SERVICES:
        raise ValueError(f"port expected, not {word!r}: a number or the name of a service{suggestion(word, SERVICES)}")
    return SERVICES[word]


def _host(word: str) -> str:
    try:
        return str(IPv4Address(word))
    except AddressValueError:
        named = _HOST_NAME.fullmatch(word) and not re.fullmatch(r"[0-9.]+", word)
        why = f"{word!r} is a name, which is not looked up here: write its IPv4 address"
        raise ValueError(why if named else f"host expected (a.b.c.d), not {word!r}") from None


def _host_and_device(host: str, device: str) -> tuple[str, str]:
    """Return the address and the interface without its alias: clusterd adds addresses, not aliases."""
    return _host(host), device.partition(":")[0]


def _netmask(word: str) -> int:
    """Return the prefix length. 0.0.0.0 is what the parser stores where no netmask is given, and means 32 like it."""
    try:
        hosts = int(IPv4Address(word)) ^ 0xFFFFFFFF
    except AddressValueError:
        hosts = -2
    if hosts & (hosts + 1) and hosts != 0xFFFFFFFF:
        raise ValueError(f"netmask expected, not {word!r}")
    return 32 - hosts.bit_length() or 32


def _word(word: str) -> str:
    return word


def choice(*words: str) -> Kind:
    """Return the kind that is one of these words."""

    def read(word: str) -> str:
        if word not in words:
            raise ValueError(f"unknown value {word!r}{suggestion(word, words)}")
        return word

    return Kind(1, read)


def _list(*words: str) -> tuple[str, ...]:
    if words[:1] != ("[",) or words[-1:] != ("]",):
        raise ValueError("a list is written [ a b ]")
    return words[1:-1]


NUMBER = Kind(1, _number)
BOOLEAN = Kind(1, _boolean)
PORT = Kind(1, _port)
HOST = Kind(1, _host)
HOST_AND_DEVICE = Kind(2, _host_and_device)
NETMASK = Kind(1, _netmask)
WORD = Kind(1, _word)
LIST = Kind(0, _list)
