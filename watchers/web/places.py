"""The objects of the document that have a page each: their forms, and what is made of what was typed. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clusterd.errors import ConfigError, Problem
from clusterd.model import Cluster
from clusterd.places import excerpt, with_excerpt, with_values
from watchers.web import panels
from watchers.web.fields import Group
from watchers.web.forms import Texts, filled, overlaid

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_DONE: Mapping[str, Mapping[str, bool]] = {  # what the buttons beside a real server set
    "drain": {"drain": True},
    "disable": {"enabled": False},
    "enable": {"enabled": True, "drain": False},
}
Make = Callable[[Cluster], Cluster]


@dataclass(frozen=True, slots=True)
class Place:
    """One object: `path` is where it is in the document, or where new ones of its kind go (`new`).

    `url` is its page, `back` the page of what is around it.
    """

    path: str
    title: str
    section: str
    url: str
    back: str
    kind: str  # settings | redundancy | router | virtual | server | check | document
    new: bool = False

    @property
    def removable(self) -> bool:
        """Whether there can be a cluster without it."""
        return self.kind in ("router", "virtual", "server") and not self.new

    def groups(self, texts: Texts, data: Mapping[str, Any]) -> tuple[Group, ...]:
        """Return the fields of the form; those of a check depend on its type."""
        if self.kind == "check":
            return panels.check(check_type(texts, data))
        forms = {
            "settings": panels.settings,
            "redundancy": panels.redundancy,
            "router": panels.router,
            "virtual": panels.virtual,
            "server": panels.server,
        }
        return forms[self.kind]() if self.kind in forms else ()

    def named(self, texts: Texts) -> str:
        """Return the path of the object, with the name that was typed where it is new. Raises ConfigError."""
        if not self.new:
            return self.path
        name = texts.get("name", "").strip()
        if not _NAME.fullmatch(name):
            said = "a name has letters, digits, _, . and -, begins with a letter or a digit, and has at most 63 of them"
            raise ConfigError([Problem(0, f"{self.path}/name", said if name else "is missing")])
        return f"{self.path}/{name}"


def check_type(texts: Texts, data: Mapping[str, Any]) -> str:
    """Return the type of the check that the form is about."""
    said = texts.get("type", "") or str(data.get("type", ""))
    return said if said in panels.CHECK_TYPES else "tcp"


def object_at(cluster: Cluster, path: str) -> dict[str, Any] | None:
    """Return an object as the document has it, without what is at its default; None where there is none."""
    here: Any = cluster
    for step in path.split("/"):
        step = "settings" if step == "cluster" and here is cluster else step
        here = here.get(step) if isinstance(here, Mapping) else getattr(here, step, None)
        if here is None:
            return None
    data: dict[str, Any] = here.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return data


def texts_of(place: Place, data: Mapping[str, Any]) -> dict[str, str]:
    """Return what the form has in its inputs for an object."""
    own = {"type": check_type({}, data)} if place.kind == "check" else {}
    return {**own, **filled(place.groups({}, data), data)}


def text_of(place: Place, cluster: Cluster) -> str:
    """Return the object as text."""
    return excerpt(cluster, place.path)


def made(place: Place, texts: Texts) -> Make:
    """Return what makes the cluster that was typed of the one that was seen. It raises ConfigError."""
    way = texts.get("as", "form")
    if way == "text":
        return lambda seen: with_excerpt(seen, place.path, texts.get("text", "").replace("\r\n", "\n"))
    if way == "remove" and place.removable:
        return lambda seen: with_values(seen, [(place.path, None)])
    if way in _DONE and place.kind == "server":
        return lambda seen: with_values(seen, [(f"{place.path}/{key}", value) for key, value in _DONE[way].items()])
    return lambda seen: _from_form(place, texts, seen)


def _from_form(place: Place, texts: Texts, seen: Cluster) -> Cluster:
    path = place.named(texts)
    data = object_at(seen, path)
    if place.new and data is not None:
        raise ConfigError([Problem(0, f"{place.path}/name", f"there is one of this name already: {path}")])
    wanted = overlaid(place.groups(texts, data or {}), texts, data or {}, path)
    if place.kind == "check":
        wanted["type"] = check_type(texts, data or {})
    return with_values(seen, [(path, wanted)])
