"""The fields of the document as a page shows them, made from the model: label, kind, help. Pure.

A group is a fieldset: fields whose paths are within one object of the document. An optional group has a box that says
whether its object is there at all.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from clusterd.reference import Entry, Section, sections

Path = tuple[str, ...]
_CHOICE = re.compile(r"`[^`]*`( or `[^`]*`)*")
_SPELLED = {
    "Ttl": "TTL",
    "Id": "ID",
    "Tls": "TLS",
    "Tcp": "TCP",
    "Udp": "UDP",
    "Ca": "CA",
    "Nat": "NAT",
    "Tcpfin": "TCP FIN",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `path` is where it is in its object, `kind` how it is typed.

    text: a text as it is; word: one without blanks around it; number; flag; choice; yaml; list: of texts, one a line;
    numbers: a list of numbers or words.
    """

    path: Path
    kind: str
    label: str
    help: str
    unit: str = ""
    default: str | None = None  # None: it has to be there
    choices: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What its input is called in a form."""
        return "f:" + "/".join(self.path)


@dataclass(frozen=True, slots=True)
class Group:
    """Some fields of an object. `path` is the object that an optional group makes, or takes away.

    A `whole` group has every key of its object: what is not in it is not kept.
    """

    title: str
    fields: tuple[Field, ...]
    path: Path = ()
    optional: bool = False
    whole: bool = False

    @property
    def name(self) -> str:
        """What the box of an optional group is called in a form."""
        return "g:" + "/".join(self.path)


@cache
def kinds() -> tuple[Section, ...]:
    """Return every kind of object of the document; working that out takes a moment."""
    return sections()


@cache
def entries(path: Path, variant: str = "") -> Mapping[str, Entry]:
    """Return the keys of one kind of object of the document, by name; * in the path is any name."""
    return {
        entry.path[-1]: entry
        for each in kinds()
        if (each.path, each.variant) == (path, variant)
        for entry in each.entries
    }


def fields(inside: Path, known: Mapping[str, Entry], keys: Iterable[str] = ()) -> tuple[Field, ...]:
    """Return fields for these keys, all of them by default; `inside` is where in the form's object they are."""
    return tuple(_field((*inside, key), known[key]) for key in keys or known)


def _field(path: Path, entry: Entry) -> Field:
    choices = tuple(re.findall(r"`([^`]*)`", entry.type)) if _CHOICE.fullmatch(entry.type) else ()
    kind = _kind(entry.type, choices)
    default = "" if entry.default == "–" else entry.default
    default = default.strip("[]") if default and kind == "numbers" else default
    return Field(path, kind, label(path[-1]), entry.description, entry.unit, default, choices)


def _kind(said: str, choices: tuple[str, ...]) -> str:
    if choices:
        return "choice"
    if said == "boolean":
        return "flag"
    if said.startswith(("integer", "number")):
        return "number"
    if said.startswith("list of object") or said.startswith("object"):
        return "yaml"
    if said.startswith("list"):
        return "list" if said.startswith("list of text") else "numbers"
    return "text" if said.startswith("text") else "word"


def label(key: str) -> str:
    """Return a key in words: ``deadtime_s`` is Deadtime, its unit stands beside it."""
    words = re.sub(r"_(s|ms)$", "", key).replace("_cmd", "_command").replace("_", " ").capitalize()
    return " ".join(_SPELLED.get(word.capitalize(), word) for word in words.split())
