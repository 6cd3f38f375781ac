"""The YAML document ↔ `Cluster`, with all problems at once, each with its path and line.

YAML is read as its core schema means it: only true/false are booleans, `on` and `12:30` are texts. Keys are always
texts. Aliases are refused, so that a small text cannot unfold into a huge one.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from clusterd import model
from clusterd.errors import ConfigError, Problem
from clusterd.model import Cluster
from clusterd.rules import broken_rules

Path = tuple[str, ...]
Lines = dict[Path, int]

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DEEPEST = 20
_TAG = "tag:yaml.org,2002:"
_QUOTED = ("'", '"', "|", ">")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}

# Which class has the keys at a place of the document; * stands for a name.
_PLACES: Mapping[Path, tuple[type[BaseModel], ...]] = {
    (): (model.Cluster,),
    ("cluster",): (model.Settings,),
    ("cluster", "nat_router"): (model.NatRouter,),
    ("cluster", "masquerade", "*"): (model.Masquerade,),
    ("cluster", "heartbeat"): (model.Heartbeat,),
    ("cluster", "brakes"): (model.Brakes,),
    ("routers", "*"): (model.Router,),
    ("virtuals", "*"): (model.Virtual,),
    ("virtuals", "*", "check"): (model.TcpCheck, model.HttpCheck, model.SendExpectCheck),
    ("virtuals", "*", "load"): (model.Load,),
    ("virtuals", "*", "persistence"): (model.Persistence,),
    ("virtuals", "*", "servers", "*"): (model.Server,),
}


def parse(text: str | bytes) -> Cluster:
    """Read a whole document. Raises ConfigError with every problem, in the order of lines."""
    data, lines = parse_yaml(text)
    if data is None:
        raise ConfigError([Problem(0, "", "the document is empty; an empty cluster is written {}")])
    return from_data(data, lines)


def from_data(data: object, lines: Lines | None = None) -> Cluster:
    """Validate plain data (as YAML or JSON gives it) as a whole document. Raises ConfigError with every problem."""
    known = lines or {}
    problems: list[Problem] = []
    rest, cluster = data, None
    while cluster is None:
        try:
            cluster = Cluster.model_validate(rest)
        except ValidationError as error:
            found = [_problem(detail, rest, known) for detail in error.errors()]
            problems = problems or found  # what is missing after a removal was not missing in the text
            rest = _without(rest, [tuple(problem.path.split("/")) for problem in found])
    for path, message in broken_rules(cluster):
        problems.append(Problem(_line(tuple(path.split("/")), known), path, message))
    if problems:
        raise ConfigError(problems)
    return cluster


def _without(data: Any, paths: Iterable[Path]) -> Any:
    """Return the data without what stands at the paths, or around them where nothing does.

    So the rules between objects are checked even where single values are wrong. Something always goes.
    """
    if not isinstance(data, Mapping):
        return {}
    gone: dict[str, list[Path]] = {}
    for first, *more in paths:
        gone.setdefault(first, []).append(tuple(more))
    kept = {key: value for key, value in data.items() if key not in gone}
    for key, inner in gone.items():
        value = data.get(key)
        if key not in data:
            return {}
        if all(inner) and isinstance(value, Mapping):
            smaller = _without(value, inner)
            if smaller:
                kept[key] = smaller
    return kept


def parse_yaml(text: str | bytes) -> tuple[Any, Lines]:
    """Read YAML into plain data and the line of each path. Raises ConfigError where it is not the YAML we read."""
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
        self.lines: Lines = {}
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
        return _scalar(node)

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


def _scalar(node: yaml.Node) -> object:
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


def _problem(detail: ErrorDetails, data: object, lines: Lines) -> Problem:
    path = _document_path(detail, data)
    line = _line(path, lines)
    kind, given = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        message = "unknown key" + suggestion(path[-1], _keys_at(path[:-1]))
    elif kind == "missing":
        message = "is missing"
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        message = f"needs a type: {detail['ctx']['expected_tags']}" if kind == "union_tag_invalid" else "needs a type"
    elif isinstance(given, Mapping | list | tuple):
        message = detail["msg"]
    else:
        message = f"{detail['msg']}, not {given!r}"
    return Problem(line, "/".join(path), message.removeprefix("Value error, "))


def _document_path(detail: ErrorDetails, data: object) -> Path:
    """Return pydantic's location without what the document does not have: union tags and ``[key]`` marks."""
    path: list[str] = []
    here: Any = data
    for step in detail["loc"]:
        inside = isinstance(here, Mapping) and step in here
        if inside or (isinstance(here, list | tuple) and isinstance(step, int) and step < len(here)):
            path.append(str(step))
            here = here[step]
    if detail["type"] == "missing":
        path.append(str(detail["loc"][-1]))
    return tuple(path)


def _line(path: Path, lines: Lines) -> int:
    """Return the line of the path, or of the nearest object around it that has one."""
    for end in range(len(path), -1, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 0


def _keys_at(path: Path) -> list[str]:
    def fits(place: Path) -> bool:
        return len(place) == len(path) and all(a in ("*", b) for a, b in zip(place, path, strict=True))

    classes = next(classes for place, classes in _PLACES.items() if fits(place))
    return [f.alias or n for c in classes for n, f in c.model_fields.items()]


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the rest of a sentence about an unknown word: the nearest known one, or all of them."""
    words = list(dict.fromkeys(known))
    near = difflib.get_close_matches(word, words, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known here: {', '.join(words)}" if words else ""


def objects(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """Return the cluster as the objects that etcd keeps, by name: ``cluster``, ``routers/r1``, ``virtuals/web``."""
    data = cluster.model_dump(mode="json", by_alias=True, exclude_none=True)
    flat = {"cluster": data["cluster"]}
    for kind in ("routers", "virtuals"):
        flat |= {f"{kind}/{name}": value for name, value in data[kind].items()}
    return flat


def from_objects(flat: Mapping[str, Any]) -> Cluster:
    """Return the cluster that these objects make. Raises ConfigError, with the object's name as the path."""
    data: dict[str, Any] = {}
    strange: list[Problem] = []
    for name, value in flat.items():
        kind, _, label = name.partition("/")
        if name == "cluster":
            data[name] = value
        elif kind in ("routers", "virtuals") and label:
            data.setdefault(kind, {})[label] = value
        else:
            strange.append(Problem(0, name, "is not the name of an object"))
    if strange:
        raise ConfigError(strange)
    return from_data(data)


def dump(cluster: Cluster) -> str:
    """Return the document, without what is left at its default. `parse` of it gives the same cluster."""
    return dump_data(cluster.model_dump(mode="json", by_alias=True, exclude_defaults=True))


def dump_data(data: Mapping[str, Any]) -> str:
    """Return plain data as YAML in the document's style."""
    if not data:
        return "{}\n"
    return str(yaml.serialize(_node(dict(data), 0), Dumper=yaml.CSafeDumper, width=120, allow_unicode=True))


def _node(value: Any, depth: int) -> yaml.Node:
    if isinstance(value, dict):
        leaf = depth > 1 and not any(isinstance(v, dict) for v in value.values())
        pairs = [(_node(str(k), depth), _node(v, depth + 1)) for k, v in value.items()]
        return yaml.MappingNode(_TAG + "map", pairs, flow_style=leaf)
    if isinstance(value, list | tuple):
        return yaml.SequenceNode(_TAG + "seq", [_node(v, depth + 1) for v in value], flow_style=True)
    if isinstance(value, str):
        misread = _scalar(yaml.ScalarNode(_TAG + "str", value)) != value  # PyYAML's own quoting is for YAML 1.1
        return yaml.ScalarNode(_TAG + "str", value, style='"' if misread else None)
    if value is None or isinstance(value, bool):
        return yaml.ScalarNode(_TAG + ("null" if value is None else "bool"), json.dumps(value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return yaml.ScalarNode(_TAG + ("int" if isinstance(value, int) else "float"), repr(value))
