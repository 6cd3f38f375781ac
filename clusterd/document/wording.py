"""What is wrong with a value, in the document's words instead of the validator's."""

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_network
from typing import Any, get_args

from pydantic_core import ErrorDetails

from clusterd.model import Check

_LONGEST = 60  # characters of a value that is repeated in a message

# What a text that has to match a pattern is like.
PATTERNS: Mapping[str, str] = {
    r"^[A-Za-z0-9][A-Za-z0-9_.-]*$": "a name has letters, digits, _, . and -, and begins with a letter or a digit",
    r"^[0-9]{1,5}-[0-9]{1,5}$": "a range of ports is written 8000-8010",
    r"^[A-Za-z0-9_.-]+$": "the name of an interface has letters, digits, _, . and -",
    r"^/[!-~]*$": "a path begins with / and has no blanks; what is not ASCII is written %XX",
    r"^[A-Za-z0-9_.:\[\]-]+$": "a host is a name or an address, without blanks",
    r"^[^\x00-\x1f\x7f]*$": "an argument has no control characters",
    r"^[1-5][0-9]{2}-[1-5][0-9]{2}$": "a range of status codes is written 200-299",
    r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$": "a digest is sha256: with 64 digits or md5: with 32, 0-9 and a-f",
    r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$": "the name of a header has letters, digits and - without blanks",
    r"^[!-~]([\x20-~]*[!-~])?$": "the value of a header is ASCII and does not begin or end with a blank",
    r"^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$": "a name of a host has letters, digits, ., - and _",
    r"^/[^\x00-\x1f\x7f]*$": "a file is named by its full path",
    r"^(\.|([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?)$": "a domain name is expected (www.example.org, or . alone)",
    r"^[!-~]+$": "it is ASCII without blanks",
    r"^[!-~]*$": "it is ASCII without blanks",
    r"^[A-Za-z0-9_][A-Za-z0-9_.@-]*$": "the name of a user has letters, digits, _, ., @ and -, without blanks",
    r"^[a-z_][a-z0-9_-]*$": "a user is a name of small letters, digits, _ and -, and does not begin with a digit",
}

_EXPECTED: Mapping[str, str] = {
    "model_type": "keys with values are expected here ({key: value})",
    "model_attributes_type": "keys with values are expected here ({key: value})",
    "mapping_type": "keys with values are expected here ({key: value})",
    "dict_type": "keys with values are expected here ({key: value})",
    "tuple_type": "a list is expected here ([a, b])",
    "int_type": "a whole number is expected",
    "int_parsing": "a whole number is expected",
    "int_from_float": "a whole number is expected",
    "float_type": "a number is expected",
    "float_parsing": "a number is expected",
    "finite_number": "a number is expected",
    "bool_type": "true or false is expected",
    "string_type": "a text is expected (in quotes, where it looks like something else)",
    "host": "an IPv4 or IPv6 address is expected (a.b.c.d or 2001:db8::1, without a prefix)",
    "host6": "an IPv6 address is expected (2001:db8::1, without a prefix)",
    "host_with_prefix": "an IPv4 or IPv6 address with its network's prefix is expected (a.b.c.d/24 or 2001:db8::1/64)",
    "host_with_prefix4": "an IPv4 address with its network's prefix is expected (a.b.c.d/24)",
    "host_with_prefix6": "an IPv6 address with its network's prefix is expected (2001:db8::1/64)",
}


def told(detail: ErrorDetails) -> str:
    """Return what one finding of the validator means. One that has no words here keeps the validator's."""
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "value_error":
        message = detail["msg"].removeprefix("Value error, ")
        return message if isinstance(given, Mapping | list | tuple) else f"{message}, not {shown(given)}"
    if kind == "too_short":
        return f"at least {context['min_length']} is expected"
    if kind == "string_too_long":
        return f"at most {context['max_length']} characters are expected, not {len(given)}"
    if kind in _SPECIAL:
        return _SPECIAL[kind](given, context)
    return f"{_EXPECTED.get(kind, detail['msg'])}, not {shown(given)}"


def shown(value: Any) -> str:
    """Return a value as the document writes it, cut where it is long."""
    if isinstance(value, Mapping):
        return "keys with values"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value) if isinstance(value, str) else "nothing" if value is None else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the rest of a sentence about an unknown word: the nearest known one, or all of them."""
    words = [other for other in dict.fromkeys(known) if other != word]
    near = difflib.get_close_matches(word, words, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known here: {', '.join(words)}" if words else ""


def _of_several(given: Any, context: Mapping[str, Any]) -> str:
    return f"unknown value {shown(given)}{suggestion(str(given)[:_LONGEST], _words(context['expected']))}"


def _type(_given: Any, context: Mapping[str, Any]) -> str:
    return f"unknown type {shown(context['tag'])}{suggestion(context['tag'], _words(context['expected_tags']))}"


def _network(given: Any, _context: Mapping[str, Any]) -> str:
    message = f"an IPv4 or IPv6 network is expected (a.b.c.0/24 or 2001:db8::/64), not {shown(given)}"
    try:
        return f"{message}; did you mean {ip_network(given, strict=False)}?" if isinstance(given, str) else message
    except ValueError:
        return message


def _pattern(given: Any, context: Mapping[str, Any]) -> str:
    return f"{PATTERNS.get(context['pattern'], 'it has characters that cannot stand here')}, not {shown(given)}"


def _words(quoted: str) -> list[str]:
    return re.findall(r"'([^']*)'", quoted)


_TYPES = [name for kind in get_args(get_args(Check)[0]) for name in get_args(kind.model_fields["type"].annotation)]
_SPECIAL: Mapping[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "literal_error": _of_several,
    "union_tag_invalid": _type,
    "union_tag_not_found": lambda given, context: (
        f"needs a type; known here: {', '.join(_TYPES)}"
        if isinstance(given, Mapping)
        else f"{_EXPECTED['model_type']}, not {shown(given)}"
    ),
    "network": _network,
    "string_pattern_mismatch": _pattern,
    "greater_than": lambda given, context: f"must be more than {context['gt']:g}, not {shown(given)}",
    "greater_than_equal": lambda given, context: f"must be at least {context['ge']:g}, not {shown(given)}",
    "less_than_equal": lambda given, context: f"must be at most {context['le']:.15g}, not {shown(given)}",
}
