"""The YAML document ↔ `Cluster`, with all problems at once, each with its path and line."""

from collections.abc import Collection, Iterable, Mapping
from itertools import filterfalse
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from clusterd import model
from clusterd.document.wording import suggestion, told
from clusterd.document.yaml_reader import Lines, Path, parse_yaml
from clusterd.document.yaml_writer import dump_data, dump_value
from clusterd.errors import ConfigError, Problem
from clusterd.model import Cluster
from clusterd.rules import breakable, broken_rules
from clusterd.sharing import changed_keys, patched

__all__ = [
    "Lines",
    "Path",
    "changed",
    "dump",
    "dump_data",
    "dump_value",
    "from_data",
    "from_objects",
    "objects",
    "other_objects",
    "parse",
    "parse_yaml",
    "suggestion",
]


_T = TypeVar("_T")

# Which class has the keys at a place of the document; * stands for a name.
_PLACES: Mapping[Path, tuple[type[BaseModel], ...]] = {
    (): (model.Cluster,),
    ("cluster",): (model.Settings,),
    ("cluster", "nat_router"): (model.NatRouter,),
    ("cluster", "nat_router6"): (model.NatRouter6,),
    ("cluster", "masquerade", "*"): (model.Masquerade,),
    ("cluster", "heartbeat"): (model.Heartbeat,),
    ("cluster", "heartbeat", "fast"): (model.Fast,),
    ("cluster", "groups", "*"): (model.Group,),
    ("cluster", "groups", "*", "nat_router"): (model.NatRouter,),
    ("cluster", "groups", "*", "nat_router6"): (model.NatRouter6,),
    ("cluster", "brakes"): (model.Brakes,),
    ("cluster", "sync"): (model.Sync,),
    ("cluster", "timeouts"): (model.Timeouts,),
    ("cluster", "reachability"): (model.Reachability,),
    ("cluster", "notify"): (model.Notify,),
    ("routers", "*"): (model.Router,),
    ("virtuals", "*"): (model.Virtual,),
    ("virtuals", "*", "check"): get_args(get_args(model.Check)[0]),
    ("virtuals", "*", "check", "also", "*"): (model.Page,),
    ("virtuals", "*", "load"): (model.Load,),
    ("virtuals", "*", "slow_start"): (model.SlowStart,),
    ("virtuals", "*", "persistence"): (model.Persistence,),
    ("virtuals", "*", "tunnel"): (model.Tunnel,),
    ("virtuals", "*", "servers", "*", "tunnel"): (model.Tunnel,),
    ("virtuals", "*", "servers", "*"): (model.Server,),
}
_KINDS: Mapping[str, type[BaseModel]] = {"routers": model.Router, "virtuals": model.Virtual}


def parse(text: str | bytes) -> Cluster:
    """Read a whole document. Raises ConfigError with every problem, in the order of lines."""
    data, lines = parse_yaml(text)
    if data is None:
        raise ConfigError([Problem(0, "", "the document is empty; an empty cluster is written {}")])
    return from_data(data, lines)


def from_data(data: object, lines: Mapping[Path, int] | None = None) -> Cluster:
    """Validate plain data (as YAML or JSON gives it) as a whole document. Raises ConfigError with every problem."""
    known = {} if lines is None else lines
    problems: list[Problem] = []
    rest, cluster = data, None
    while cluster is None:
        try:
            cluster = Cluster.model_validate(rest)
        except ValidationError as error:
            found = [_problem(detail, rest, known) for detail in error.errors()]
            problems = problems or found  # what is missing after a removal was not missing in the text
            rest = _without(rest, [tuple(problem.path.split("/")) for problem in found])
    told_of = {problem.path for problem in problems}  # what was taken out because it is wrong, is not missing
    for path, message in broken_rules(cluster):
        if path not in told_of:
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


def _problem(detail: ErrorDetails, data: object, lines: Mapping[Path, int]) -> Problem:
    path = _document_path(detail, data)
    if detail["type"] == "extra_forbidden":
        message = "unknown key" + _unknown_key(path, data)
    elif detail["type"] == "missing":
        message = "is missing"
    else:
        message = told(detail)
    return Problem(_line(path, lines), "/".join(path), message)


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


def _line(path: Path, lines: Mapping[Path, int]) -> int:
    """Return the line of the path, or of the nearest object around it that has one."""
    for end in range(len(path), -1, -1):
        if path[:end] in lines:
            return lines[path[:end]]
    return 0


def _unknown_key(path: Path, data: object) -> str:
    """Return the rest of a sentence about an unknown key: whose it is, where only another type has it, else a guess."""
    *around, word = path
    known = {kind: _keys(kind) for kind in _classes_at(tuple(around))}
    here: Any = data
    for step in around:
        here = here[int(step)] if isinstance(here, list | tuple) else here.get(step, {})
    chosen = [kind for kind in known if len(known) == 1 or here.get("type") == _type(kind)]
    owners = [_type(kind) for kind in known if kind not in chosen and word in known[kind]]
    if owners:
        return f": {word} belongs to the type {' or '.join(owners)}"
    return suggestion(word, [key for kind in chosen for key in known[kind]])


def _classes_at(path: Path) -> tuple[type[BaseModel], ...]:
    def fits(place: Path) -> bool:
        return len(place) == len(path) and all(a in ("*", b) for a, b in zip(place, path, strict=True))

    return next(classes for place, classes in _PLACES.items() if fits(place))


def _keys(kind: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in kind.model_fields.items()]


def _type(kind: type[BaseModel]) -> str:
    """Return which ``type`` chooses this class of several."""
    return str(get_args(kind.model_fields["type"].annotation)[0])


def objects(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """Return the cluster as the objects that etcd keeps, by name: ``cluster``, ``routers/r1``, ``virtuals/web``."""
    data = cluster.model_dump(mode="json", by_alias=True, exclude_none=True)
    flat = {"cluster": data["cluster"]}
    for kind in ("routers", "virtuals"):
        flat |= {f"{kind}/{name}": value for name, value in data[kind].items()}
    return flat


def other_objects(before: Cluster, after: Cluster) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
    """Return the objects of a cluster that were not there before, or not as the very same object of the model, by name.

    Then the names of those that are gone. Writing a cluster that was made of another costs only what is other.
    """
    others = Cluster.model_construct(
        settings=after.settings,
        routers=_others(before.routers, after.routers),
        virtuals=_others(before.virtuals, after.virtuals),
    )
    fresh = objects(others)
    if after.settings is before.settings:
        del fresh["cluster"]
    kinds = (("routers", before.routers, after.routers), ("virtuals", before.virtuals, after.virtuals))
    return fresh, tuple(f"{kind}/{label}" for kind, old, new in kinds for label in filterfalse(new.__contains__, old))


def from_objects(flat: Mapping[str, Any]) -> Cluster:
    """Return the cluster that these objects make. Raises ConfigError, with the object's name as the path.

    What is an object of the model already is taken as it is.
    """
    data, strange = _nested({name: _made(name, value) for name, value in flat.items()})
    if strange:
        raise ConfigError([Problem(0, name, "is not the name of an object") for name in strange])
    return from_data(data)


def changed(cluster: Cluster, there: Mapping[str, Any], gone: Collection[str]) -> Cluster | None:
    """Return a cluster with some of its objects as they are there now and without those that are gone, by name.

    It is what `from_objects` makes of all objects, for the work of these few: what is left alone is the same object in
    both. None where these do not go with the rest: `from_objects` tells what is wrong.
    """
    made = {name: _made(name, value) for name, value in there.items()}
    data, strange = _nested({"cluster": cluster.settings, **made})
    if strange or "cluster" in gone:
        return None
    try:
        fresh = Cluster.model_validate(data)
    except ValidationError:
        return None
    after = Cluster.model_construct(
        settings=fresh.settings,
        routers=_with(cluster.routers, fresh.routers, [name.removeprefix("routers/") for name in gone]),
        virtuals=_with(cluster.virtuals, fresh.virtuals, [name.removeprefix("virtuals/") for name in gone]),
    )
    return None if any(broken_rules(breakable(after, cluster))) else after


def _others(before: Mapping[str, _T], after: Mapping[str, _T]) -> dict[str, _T]:
    """Return what is there after and not the very same as before."""
    return {label: after[label] for label in filter(changed_keys(before, after).__contains__, after)}


def _with(known: Mapping[str, _T], fresh: Mapping[str, _T], gone: Iterable[str]) -> Mapping[str, _T]:
    """Return what is known with what is new, the same mapping where nothing is."""
    left = [name for name in gone if name in known]
    if not fresh and not left:
        return known
    return patched(known, fresh, left)


def _made(name: str, value: Any) -> Any:
    """Return the object of the model that a value makes: one by one, since all values at once take much memory.

    One that makes none stays as it is, for whoever tells what is wrong with all of them.
    """
    kind = _KINDS.get(name.partition("/")[0])
    try:
        return kind.model_validate(value) if kind else value
    except ValidationError:
        return value


def _nested(flat: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return objects as a document has them, and the names that are those of no object."""
    data: dict[str, Any] = {}
    strange: list[str] = []
    for name, value in flat.items():
        kind, _, label = name.partition("/")
        if name == "cluster":
            data[name] = value
        elif kind in ("routers", "virtuals") and label:
            data.setdefault(kind, {})[label] = value
        else:
            strange.append(name)
    return data, strange


def dump(cluster: Cluster) -> str:
    """Return the document, without what is left at its default. `parse` of it gives the same cluster."""
    return dump_data(cluster.model_dump(mode="json", by_alias=True, exclude_defaults=True))
