"""Between an object of the document and what somebody typed into its form. Pure.

    object ──filled──► texts of inputs ──somebody types──► texts ──overlaid──► object

An input that was left empty means the default, so the key goes. A number that is none stays a text: the model tells
what is wrong with it, and `by_field` at which field.
"""

import copy
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clusterd import document
from clusterd.errors import ConfigError, Problem
from watchers.web.fields import Field, Group, Path

Texts = Mapping[str, str]
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.?[0-9]+)([eE][-+]?[0-9]+)?")
ON = "on"


def filled(groups: Iterable[Group], data: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of a form for an object, which has no key that is at its default."""
    texts: dict[str, str] = {}
    for group in groups:
        if group.optional and found(data, group.path) is not None:
            texts[group.name] = ON
        for field in group.fields:
            text = _text(field, found(data, field.path))
            if text:
                texts[field.name] = text
    return texts


def overlaid(groups: Sequence[Group], texts: Texts, data: Mapping[str, Any], around: str = "") -> dict[str, Any]:
    """Return the object as the form wants it; what the form has no field for stays.

    Raises ConfigError, with paths below `around`, where a part that is written as YAML is none.
    """
    result = {} if any(group.whole for group in groups) else copy.deepcopy(dict(data))
    problems: list[Problem] = []
    for group in groups:
        if group.optional and group.name not in texts:
            _put(result, group.path, None)
            continue
        if group.optional and found(result, group.path) is None:
            _put(result, group.path, {})
        for field in group.fields:
            try:
                _put(result, field.path, _value(field, texts.get(field.name, "")))
            except ConfigError as error:
                path = "/".join((around, *field.path)).strip("/")
                problems += [Problem(0, path, problem.message) for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return result


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong: by the names of the inputs, and what no input of the page is about."""

    by_name: Mapping[str, tuple[str, ...]]
    others: tuple[str, ...]


NO_FAULTS = Faults({}, ())


def by_field(groups: Sequence[Group], around: str, problems: Iterable[Problem]) -> Faults:
    """Return which input each problem is about; `around` is the path of the form's object."""
    known = [(field.path, field.name) for group in groups for field in group.fields]
    known += [(group.path, group.name) for group in groups if group.optional]
    known.append((("name",), "name"))  # of what is new
    by_name: dict[str, tuple[str, ...]] = {}
    others: list[str] = []
    here = tuple(step for step in around.split("/") if step)
    for problem in problems:
        steps = tuple(problem.path.split("/"))
        inside = steps[len(here) :] if steps[: len(here)] == here else None
        fitting = [(path, name) for path, name in known if inside and inside[: len(path)] == path]
        if fitting:
            path, name = max(fitting, key=lambda one: len(one[0]))
            below = "/".join(inside[len(path) :]) if inside else ""
            by_name[name] = (*by_name.get(name, ()), f"{below}: {problem.message}" if below else problem.message)
        else:
            others.append(f"{problem.path}: {problem.message}" if problem.path else problem.message)
    return Faults(by_name, tuple(others))


def found(data: Any, path: Path) -> Any:
    """Return what is at a path, None where there is nothing."""
    for step in path:
        data = data.get(step) if isinstance(data, Mapping) else None
    return data


def _put(data: dict[str, Any], path: Path, value: Any) -> None:
    """Set a value; None takes it away, without making anything around it."""
    *around, last = path
    for step in around:
        if not isinstance(data.get(step), dict):
            if value is None:
                return
            data[step] = {}
        data = data[step]
    if value is None:
        data.pop(last, None)
    else:
        data[last] = value


def _text(field: Field, value: Any) -> str:
    if field.kind == "flag":
        return ON if (field.default == "true" if value is None else value) else ""
    if value is None or value in ([], {}):
        return ""
    if field.kind == "yaml":
        return document.dump_value(value).strip("\n")
    if field.kind in ("list", "numbers"):
        return "\n".join(str(each) for each in value)
    return _plain(value)


def _plain(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _value(field: Field, text: str) -> Any:
    text = text.replace("\r\n", "\n")
    if field.kind == "flag":
        on = bool(text)
        return None if on == (field.default == "true") else on
    if field.kind not in ("text", "list"):
        text = text.strip()
    if not text:
        return None
    if field.kind == "yaml":
        return document.parse_yaml(text)[0]
    if field.kind == "list":
        return text.removesuffix("\n").split("\n")
    if field.kind == "numbers":
        return [_scalar(word) for word in text.replace(",", " ").split()]
    return _scalar(text) if field.kind == "number" else text


def _scalar(text: str) -> Any:
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
