"""The lines of ldirectord.cf as sections of directives, as ldirectord's own parser reads them.

A directive is KEY = VALUE. What is indented by four spaces or a tab belongs to the virtual= line above it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from clusterd.document import suggestion
from clusterd.ldirectord.grammar import GLOBAL, NOTHING, VIRTUAL
from clusterd.reading import Draft, lines

_DIRECTIVE = re.compile(r"([A-Za-z0-9_]+)\s*(?:=\s*(.*?)\s*)?", re.DOTALL)
_INDENT = re.compile(r" {4}|\t| {1,3}\t")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Given:
    """One directive. `value` has lost the quotes around it."""

    line: int
    word: str
    value: str


@dataclass(slots=True)
class Section:
    """The directives of one virtual server, or the global ones: those that the document has a place for."""

    line: int
    path: str  # virtual=ADDRESS, "" for the global ones
    address: str
    keys: Mapping[str, str | None]
    made: Draft
    given: dict[str, Given] = field(default_factory=dict)
    reals: list[Given] = field(default_factory=list)

    def where(self, word: str) -> str:
        """Return the path of a directive in the file, as problems name it."""
        return f"{self.path}/{word}" if self.path else word

    def warn(self, given: Given, message: str) -> None:
        """Say what is not carried over of a directive."""
        self.made.warn(given.line, self.where(given.word), message)

    def value(self, word: str, read: Callable[[str], _T], default: _T) -> _T:
        """Return what a directive says, the default where it is not there or wrong, which is told."""
        given = self.given.get(word)
        if given is None:
            return default
        try:
            return read(given.value)
        except ValueError as error:
            self.made.wrong(given.line, self.where(word), str(error))
            return default


def sections(text: str, made: Draft) -> list[Section]:
    """Return the global directives, and then each virtual server's."""
    found = [Section(0, "", "", GLOBAL, made)]
    inside = False  # the section of a virtual server
    for number, line in lines(text):
        plain = line.partition("#")[0].rstrip()
        if not plain:
            if not line.lstrip().startswith("#"):
                inside = False  # an empty line ends a section
            continue
        match = _DIRECTIVE.fullmatch(plain.strip())
        word, value = (match[1], match[2] or "") if match else ("", "")
        indented = bool(_INDENT.match(line))
        if not match or (match[2] is None and word != "supervised"):
            made.wrong(number, "", f"a line is KEY = VALUE, not {plain.strip()!r}")
        elif word in ("virtual", "virtual6") and not indented:
            found.append(Section(number, f"{word}={value}", value, VIRTUAL, made))
            inside = True
        elif indented and not inside:
            made.wrong(number, word, "indented, but there is no virtual= above it")
        else:
            inside = indented
            _keep(found[-1] if indented else found[0], Given(number, word, unquoted(word, value)))
    return found


def unquoted(word: str, value: str) -> str:
    """Return a value without the quotes around it; those of a real server stand inside."""
    quoted = len(value) > 1 and value[0] == value[-1] == '"' and word not in ("real", "real6")
    return value[1:-1] if quoted else value


def _keep(section: Section, given: Given) -> None:
    word = given.word
    if word not in section.keys:
        section.made.wrong(given.line, section.where(word), "unknown directive" + suggestion(word, section.keys))
    elif why := section.keys[word]:
        if (word, given.value) not in NOTHING:
            section.warn(given, f"not carried over: {why}")
    elif word in ("real", "real6"):
        section.reals.append(given)
    else:
        if word in section.given:
            first = section.given[word].line
            section.warn(given, f"stands twice, first in line {first}: the last one counts")
        section.given[word] = given
