"""Plain data → YAML in the document's style: one line for what has nothing named inside, one name a line around it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from clusterd.document.yaml_reader import scalar

_TAG = "tag:yaml.org,2002:"
_WIDTH = 120
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*|[0-9]+(\.[0-9]+){3}(/[0-9]+)?")
_IPV6 = re.compile(r"(?=[0-9a-f.]*:)[0-9a-f:.]+(/[0-9]+)?")  # quoted: a colon has a meaning in flow style
_MISREAD = {"true", "false", "yes", "no", "on", "off", "null"}  # by YAML 1.1, if not by us: better quoted
_FLOAT = re.compile(r"[0-9]+\.[0-9]+")


class _Odd(Exception):
    """Something that has to be quoted, folded or looked at more closely."""


def dump_data(data: Mapping[str, Any]) -> str:
    """Return plain data as YAML in the document's style."""
    if not data:
        return "{}\n"
    return "".join(_top_level(data))


def dump_value(value: Any) -> str:
    """Return a value that holds others as YAML by itself: a list has one of them a line."""
    if isinstance(value, Mapping):
        return dump_data(value)
    items = [_node(each, 2) for each in value]
    node = yaml.SequenceNode(_TAG + "seq", items, flow_style=not items)
    return str(yaml.serialize(node, Dumper=yaml.CSafeDumper, width=_WIDTH, allow_unicode=True))


def _top_level(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what `_thorough` makes of the data in pieces, as many of them as possible by the quick way.

    libyaml is slow by all that it takes into account, and a big document has 100,000 scalars without any difficulty.
    """
    for key, value in data.items():
        inner = value if isinstance(value, dict) else {}
        try:
            head = "".join(_block({key: {}} if inner else {key: value}, 0))
        except _Odd:
            yield _thorough({key: value})
            continue
        yield f"{key}:\n" if inner else head
        for name, item in inner.items():
            try:
                yield "".join(_block({name: item}, 1))
            except _Odd:
                yield _thorough({key: {name: item}}).partition("\n")[2]


def _block(data: Mapping[str, Any], depth: int) -> Iterator[str]:
    for key, value in data.items():
        start = f"{'  ' * depth}{_alone(key)}:"
        if isinstance(value, dict) and value and (depth == 0 or any(isinstance(v, dict) for v in value.values())):
            if len(start) > _WIDTH:
                raise _Odd
            yield start + "\n"
            yield from _block(value, depth + 1)
            continue
        line = f"{start} {_alone(value)}\n"
        if len(line) > _WIDTH:
            raise _Odd
        yield line


def _alone(value: Any) -> str:
    """Return what stands in a line of its own, where a colon means nothing before a letter or a digit.

    Without `::` it may look like hours and minutes of YAML 1.1, and is looked at more closely.
    """
    if isinstance(value, str) and _IPV6.fullmatch(value):
        if "::" in value and not value.endswith(":"):
            return value
        raise _Odd
    return _flow(value)


def _flow(value: Any) -> str:
    if isinstance(value, str):
        if _PLAIN.fullmatch(value) and value.lower() not in _MISREAD:
            return value
        if _IPV6.fullmatch(value):
            return f"'{value}'"
    elif isinstance(value, dict):
        return "{" + ", ".join([f"{_flow(k)}: {_flow(v)}" for k, v in value.items()]) + "}"
    elif isinstance(value, list | tuple):
        return "[" + ", ".join([_flow(v) for v in value]) + "]"
    elif value is None or isinstance(value, bool | int):
        return json.dumps(value)
    elif value.is_integer():
        return repr(int(value))
    elif _FLOAT.fullmatch(repr(value)):
        return repr(value)
    raise _Odd


def _thorough(data: Mapping[str, Any]) -> str:
    return str(yaml.serialize(_node(dict(data), 0), Dumper=yaml.CSafeDumper, width=_WIDTH, allow_unicode=True))


def _node(value: Any, depth: int) -> yaml.Node:
    if isinstance(value, dict):
        leaf = depth > 1 and not any(isinstance(v, dict) for v in value.values())
        pairs = [(_node(str(k), depth), _node(v, depth + 1)) for k, v in value.items()]
        return yaml.MappingNode(_TAG + "map", pairs, flow_style=leaf)
    if isinstance(value, list | tuple):
        return yaml.SequenceNode(_TAG + "seq", [_node(v, depth + 1) for v in value], flow_style=True)
    if isinstance(value, str):
        misread = scalar(yaml.ScalarNode(_TAG + "str", value)) != value  # PyYAML's own quoting is for YAML 1.1
        return yaml.ScalarNode(_TAG + "str", value, style='"' if misread else None)
    if value is None or isinstance(value, bool):
        return yaml.ScalarNode(_TAG + ("null" if value is None else "bool"), json.dumps(value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return yaml.ScalarNode(_TAG + ("int" if isinstance(value, int) else "float"), repr(value))
