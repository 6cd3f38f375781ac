"""YAML text → plain data, and the line of each path.

YAML is read as its core schema means it: only true/false are booleans, `on` and `12:30` are texts. Keys are always
texts. Aliases are refused, so that a small text cannot unfold into a huge one.

There are two readers: a quick one for texts without anything wrong or unusual, and a thorough one for all others,
which knows every line. What the quick one returns is what the thorough one would.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from clusterd.errors import ConfigError, Problem

Path = tuple[str, ...]

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DEEPEST = 20
_QUOTED = ("'", '"', "|", ">")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


class Lines(Mapping[Path, int]):
    """The line of each path. It is looked up in the text when it is first asked for: of a valid text, nobody asks."""

    def __init__(self, text: str | bytes) -> None:
        self._text = text
        self._found: dict[Path, int] | None = None

    def _lines(self) -> dict[Path, int]:
        if self._found is None:
            self._found = _thorough(self._text)[1]
        return self._found

    def __getitem__(self, path: Path) -> int:
        return self._lines()[path]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._lines())

    def __len__(self) -> int:
        return len(self._lines())


def parse_yaml(text: str | bytes) -> tuple[Any, Lines]:
    """Read YAML into plain data and the line of each path. Raises ConfigError where it is not the YAML we read."""
    try:
        return _quick(text), Lines(text)
    except (_Odd, yaml.YAMLError, UnicodeError):
        return _thorough(text)[0], Lines(text)


class _Odd(Exception):
    """The text has something that the quick reader does not know; it may be wrong or not."""


def _quick(text: str | bytes) -> Any:
    """Return what `_thorough` returns of a text without anything wrong or unusual, six times as fast."""
    following = iter(yaml.parse(text, Loader=yaml.CSafeLoader)).__next__
    following()  # the stream's start
    if type(following()) is not yaml.DocumentStartEvent:
        return None
    words: dict[str, object] = {}

    def value(event: Any, depth: int) -> Any:
        if event.anchor is not None or depth >= _DEEPEST:
            raise _Odd
        kind = type(event)
        if kind is yaml.ScalarEvent:
            text = event.value
            if event.style in _QUOTED:
                return text
            if text not in words:
                words[text] = scalar(event)
            return words[text]
        if kind is yaml.MappingStartEvent:
            return mapping(depth + 1)
        items = []
        while type(item := following()) is not yaml.SequenceEndEvent:
            items.append(value(item, depth + 1))
        return items

    def mapping(depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        while type(key := following()) is not yaml.MappingEndEvent:
            if type(key) is not yaml.ScalarEvent or key.anchor is not None or key.value in data:
                raise _Odd
            data[key.value] = value(following(), depth)
        return data

    data = value(following(), 0)
    following()  # the document's end
    if type(following()) is not yaml.StreamEndEvent:
        raise _Odd
    return data


def _thorough(text: str | bytes) -> tuple[Any, dict[Path, int]]:
    """Return the data and all lines. Raises ConfigError with all problems."""
    try:
        if too_deep := _first_too_deep(text):
            raise ConfigError([Problem(too_deep, "", "nested too deeply")])
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = str(error.problem or error.context)
        if error.context and error.context_mark:
            what += f" ({error.context}, which begins in line {error.context_mark.line + 1})"
        raise ConfigError([Problem(mark.line + 1 if mark else 0, "", f"not valid YAML: {what}")]) from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise ConfigError([Problem(0, "", f"not valid YAML: {' '.join(str(error).split())}")]) from None
    reader = _Reader()
    data = None if root is None else reader.read(root, ())
    if reader.problems:
        raise ConfigError(reader.problems)
    return data, reader.lines


def _first_too_deep(text: str | bytes) -> int:
    """Return the line where the nesting passes what any document has, 0 where it never does.

    Before composing, because libyaml's composer recurses in C and ends the process on a deep text.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            return int(event.start_mark.line) + 1  # type: ignore[union-attr] # the parser marks each event
    return 0


class _Reader:
    """Turns YAML nodes into plain data and remembers where everything stood."""

    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._seen: set[int] = set()

    def read(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if not isinstance(node, yaml.ScalarNode):
            if id(node) in self._seen:
                self._wrong(line, path, "aliases (*name) are not read here: write the value out")
                return None
            self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, str(index))) for index, item in enumerate(node.value)]
        return scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(line, path, "a key must be a plain word")
                continue
            key = str(key_node.value)
            where = (*path, key)
            if key in data:
                self._wrong(line, where, f"this key stands twice, first in line {self.lines[where]}")
                continue
            self.lines[where] = line
            data[key] = self.read(value_node, where)
        return data

    def _wrong(self, line: int, path: Path, message: str) -> None:
        self.problems.append(Problem(line, "/".join(path), message))


def scalar(node: yaml.Node | yaml.ScalarEvent) -> object:
    """Return what a scalar means: text where it is quoted, else perhaps a number or a word."""
    text = str(node.value)
    if getattr(node, "style", None) in _QUOTED:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
