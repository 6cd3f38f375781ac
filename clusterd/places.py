"""Places in a document by their paths, such as ``virtuals/web/servers/rs1/weight``: look up, set, cut out, put back."""

import copy
from collections.abc import Container, Iterable, Mapping
from typing import Any

from clusterd import document
from clusterd.errors import ConfigError, Problem, wrong
from clusterd.model import Cluster

_NAMED = ("routers", "virtuals", "servers")  # what is below these has a name that people choose


def steps(path: str) -> tuple[str, ...]:
    """Return the parts of a path; none for the whole document."""
    return tuple(step for step in path.split("/") if step)


def written(cluster: Cluster) -> dict[str, Any]:
    """Return the cluster as plain data, without what is at its default."""
    return cluster.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def complete(cluster: Cluster) -> dict[str, Any]:
    """Return the cluster as plain data with every default in it."""
    return cluster.model_dump(mode="json", by_alias=True, exclude_none=True)


def value_at(cluster: Cluster, path: str, defaults: bool = False) -> Any:
    """Return the plain data at a path; ConfigError where there is none.

    Defaults inside it are left out unless asked for; a default that is asked for by its own path is there.
    """
    for data in [complete(cluster)] if defaults else [written(cluster), complete(cluster)]:
        here: Any = data
        for number, step in enumerate(steps(path)):
            if not isinstance(here, Mapping) or step not in here:
                known = here if isinstance(here, Mapping) else ()
                missing = wrong("/".join(steps(path)[: number + 1]), "is not there" + document.suggestion(step, known))
                break
            here = here[step]
        else:
            return here
    raise missing


def with_values(cluster: Cluster, values: Iterable[tuple[str, Any]]) -> Cluster:
    """Return the cluster with values set at paths; None takes away what is there, so that the default holds.

    Raises ConfigError with every problem of the result, or where there is nothing to set a value in.
    """
    assigned = [(path, value) for path, value in values]
    data, defaults = _opened(cluster, {steps(path)[:2] for path, _ in assigned})
    for path, value in assigned:
        *around, last = steps(path) or ("",)
        if not last:
            raise wrong(path, "is not a path; one is virtuals/web/port")
        here, full = data, defaults
        for number, step in enumerate(around):
            here = _inside(here, full, step, "/".join(around[: number + 1]))
            known = full.get(step)
            full = known if isinstance(known, dict) else {}
        if value is None and (last in here or last in full):
            here.pop(last, None)
        elif value is None and around and around[-1] in _NAMED:
            raise wrong(path, "is not there" + document.suggestion(last, {**full, **here}))
        else:
            here[last] = value
    return document.from_data(data)


def _opened(cluster: Cluster, touched: Container[tuple[str, ...]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what `written` and `complete` do, but each object that is not touched as it is: there may be many."""
    named: Mapping[str, Mapping[str, Any]] = {"routers": cluster.routers, "virtuals": cluster.virtuals}
    opened = {kind: {n: one for n, one in all_.items() if (kind, n) in touched} for kind, all_ in named.items()}
    part = cluster.model_copy(update=opened)
    data, full = written(part), complete(part)
    for plain in (data, full):
        plain.update({kind: {**all_, **plain.get(kind, {})} for kind, all_ in named.items() if all_})
    return data, full


def _inside(here: dict[str, Any], full: dict[str, Any], step: str, path: str) -> dict[str, Any]:
    """Return the object at one step, with its defaults where only those are there."""
    if step not in here and isinstance(full.get(step), dict):
        here[step] = copy.deepcopy(full[step])
    if step not in here and step not in full:
        near = document.suggestion(step, {**full, **here})
        raise wrong(path, f"is not there{near}; something new is set as a whole: {path}={{...}}")
    inner = here.get(step)
    if not isinstance(inner, dict):
        raise wrong(path, "has nothing inside that could be set: set it as a whole")
    return inner


def excerpt(cluster: Cluster, path: str) -> str:
    """Return the part of the document at a path, as a document of that part alone."""
    if not steps(path):
        return document.dump(cluster)
    *around, last = steps(path)
    head = ""
    try:
        part = value_at(cluster, path)
    except ConfigError as error:
        if not around or around[-1] not in _NAMED:
            raise
        value_at(cluster, "/".join(around))
        head = f"# {error.problems[0]}\n# What is written here would be new.\n"
        part = {}
    for step in reversed((*around, last)):
        part = {step: part}
    return head + document.dump_data(part)


def with_excerpt(cluster: Cluster, path: str, text: str) -> Cluster:
    """Return the cluster with the part at a path as the text has it; without it where the text has not.

    Raises ConfigError with every problem, by the lines of the text.
    """
    if not steps(path):
        return document.parse(text)
    found, lines = document.parse_yaml(text)
    if found is None:
        raise wrong("", f"the text is empty; to remove {path}, leave {steps(path)[0]}: {{}}")
    data = written(cluster)
    here: Any = data
    for number, step in enumerate(steps(path)):
        inside = {} if found is None else found
        _check_alone(inside, steps(path)[: number + 1], lines)
        if number + 1 < len(steps(path)):
            here, found = here.setdefault(step, {}), inside.get(step)
        elif step in inside:
            here[step] = inside[step]
        else:
            here.pop(step, None)
    return document.from_data(data, lines)


def _check_alone(found: Any, place: tuple[str, ...], lines: document.Lines) -> None:
    """Raise ConfigError where a text has something beside the place that is edited."""
    *around, step = place
    if not isinstance(found, dict):
        raise ConfigError([Problem(lines.get(tuple(around), 0), "/".join(around), "is not a mapping")])
    others = [(*around, key) for key in found if key != step]
    if others:
        what = f"only {'/'.join(place)} is edited here"
        raise ConfigError([Problem(lines.get(other, 0), "/".join(other), what) for other in others])
