"""The statements of keepalived.conf: words, and perhaps a block of further statements in braces."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from clusterd.document import suggestion
from clusterd.keepalived.grammar import BLOCKS
from clusterd.keepalived.text import Line, Place, words
from clusterd.reading import Draft

_T = TypeVar("_T")


@dataclass(slots=True)
class Statement:
    """One statement while it is read."""

    place: Place
    words: tuple[str, ...]
    block: list["Statement"] | None = None

    @property
    def key(self) -> str:
        """Return the keyword."""
        return self.words[0]

    def unknown(self, made: Draft, path: str, known: Iterable[str]) -> None:
        """Say that a keyword is not known; keepalived passes over such statements as well."""
        where = f"{path}/{self.key}" if path else self.key
        message = "not carried over: this keyword is not known" + suggestion(self.key, known)
        made.warn(self.place.line, self.place.where(where), message.partition("; known here")[0])


def statements(lines: Sequence[Line], made: Draft) -> list[Statement]:
    """Return the statements of the file itself, with their blocks in them."""
    parser = _Parser(made)
    for line in lines:
        parser.line(line)
    return parser.end()


class _Parser:
    def __init__(self, made: Draft) -> None:
        self._made = made
        self._root: list[Statement] = []
        self._open: list[Statement] = []

    def line(self, line: Line) -> None:
        said: list[str] = []
        for word, is_brace in [*words(line.text), ("", True)]:
            if not is_brace:
                said.append(word)
                continue
            if said:
                self._here().append(Statement(line.place, tuple(said)))
                said = []
            if word == "{":
                self._opened(line.place)
            elif word == "}":
                self._closed(line.place)

    def end(self) -> list[Statement]:
        for statement in self._open:
            self._wrong(statement.place, statement.key, "there is no } for this block")
        return self._root

    def _here(self) -> list[Statement]:
        block = self._open[-1].block if self._open else self._root
        return self._root if block is None else block

    def _opened(self, place: Place) -> None:
        here = self._here()
        if not here or here[-1].block is not None:
            self._wrong(place, "", "{ opens a block of nothing: a keyword is expected before it")
            here.append(Statement(place, ("",)))
        here[-1].block = []
        self._open.append(here[-1])

    def _closed(self, place: Place) -> None:
        if self._open:
            self._open.pop()
        else:
            self._wrong(place, "", "} closes nothing here")

    def _wrong(self, place: Place, path: str, message: str) -> None:
        self._made.wrong(place.line, place.where(path), message)


class Section:
    """What a block says, by keyword. What the document has no place for is told when the section is made."""

    def __init__(self, made: Draft, path: str, statement: Statement, keys: Mapping[str, str | None]) -> None:
        self.made = made
        self.path = path
        self.statement = statement
        self.given: dict[str, list[Statement]] = {}
        for each in statement.block or ():
            if each.key not in keys:
                if each.key:  # else a block of nothing, which is told already
                    each.unknown(made, path, keys)
            elif why := keys[each.key]:
                self.warn(each, f"not carried over: {why}")
            else:
                self.given.setdefault(each.key, []).append(each)
                if each.block and each.key not in BLOCKS:
                    self.warn(each, "the block that it opens is not carried over")

    def where(self, statement: Statement) -> str:
        """Return the path of a statement of this block, as problems name it."""
        return statement.place.where(f"{self.path}/{statement.key}")

    def warn(self, statement: Statement, message: str) -> None:
        """Say what is not carried over of a statement."""
        self.made.warn(statement.place.line, self.where(statement), message)

    def wrong(self, statement: Statement, message: str) -> None:
        """Say what must be corrected in a statement."""
        self.made.wrong(statement.place.line, self.where(statement), message)

    def said(self, message: str) -> None:
        """Say what is made up, or left out, of the whole block."""
        place = self.statement.place
        self.made.warn(place.line, place.where(self.path), message)

    def last(self, *keywords: str) -> Statement | None:
        """Return the statement that counts, of a keyword and its other names."""
        found = self.all(*keywords)
        for each in found[:-1]:
            self.warn(each, "not carried over: it is said again later, and the last one counts")
        return found[-1] if found else None

    def all(self, *keywords: str) -> list[Statement]:
        """Return all statements of these keywords, in the order of the file."""
        return [each for each in self.statement.block or () if each.key in keywords and each.key in self.given]

    def value(self, keyword: str, read: Callable[[str], _T], default: _T, bare: str = "") -> _T:
        """Return what a statement says, the default where there is none or a wrong one, which is told.

        A keyword that may stand alone means `bare` then.
        """
        statement = self.last(keyword)
        if statement is None:
            return default
        try:
            return read(only(statement, bare))
        except ValueError as error:
            self.wrong(statement, str(error))
        return default


def entries(made: Draft, path: str, statement: Statement) -> list[Statement]:
    """Return what a block lists, a line each; a block inside such a line is told."""
    found = list(statement.block or ())
    for each in found:
        if each.block:
            made.warn(
                each.place.line, each.place.where(f"{path}/{each.key}"), "the block that it opens is not carried over"
            )
    return found


def only(statement: Statement, bare: str = "") -> str:
    """Return the one value that a statement has. Raises ValueError where there are others, or none."""
    values = statement.words[1:] or ((bare,) if bare else ())
    if len(values) != 1:
        raise ValueError("one value is expected" if values else "a value is missing")
    return values[0]


def flag(word: str) -> bool:
    """Return what a <BOOL> of keepalived.conf(5) means. Raises ValueError."""
    if word.lower() not in ("on", "true", "yes", "off", "false", "no"):
        raise ValueError(f"yes or no is expected, not {word!r}")
    return word.lower() in ("on", "true", "yes")


def seconds(word: str) -> float:
    """Return what a <TIMER> of keepalived.conf(5) means. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{0,6})?", word):
        raise ValueError(f"seconds are expected, not {word!r}")
    return float(word)
