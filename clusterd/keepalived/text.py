"""The lines of keepalived.conf: without comments, with parameters put in, and with those of included files.

    $NAME=value         defines a parameter, to the end of the line; a value that ends in \\ goes on in the next line
    $NAME  ${NAME}      is replaced when the line is read, not when the value was defined
    include PATTERN     reads other files at this place
    @id …               is a line for the router that was started with -i id

A file cannot make this endless: what is put in is counted, and a file that includes itself is a problem.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clusterd.reading import Draft, decoded, lines

DEEPEST = 16  # files within files, and parameters within parameters
LONGEST = 64 * 1024  # a line with its parameters
MOST_WORK = 32 * 1024 * 1024  # characters of all lines together, each time that one is looked at
_SCANNED = re.compile(
    r"""(?P<space>\s+)|(?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<open>["'].*)|(?P<comment>[#!].*)"""
    r"""|(?P<plain>\$\{\w*\}|\\.|[^\s"'{}#!$\\]+|[$\\])|(?P<brace>[{}])""",
    re.DOTALL,
)
_DEFINED = re.compile(r"\s*\$([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_USED = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*)(?=\s|$))")
_INCLUDE = re.compile(r"\s*(include[a-z]{0,2})\s+(.*?)\s*", re.DOTALL)
_ONLY = re.compile(r"\s*@(\^?)([^\s@^]+)(.*)", re.DOTALL)
_ESCAPED = re.compile(r"\\(x[0-9a-fA-F]+|[0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {"a": "\a", "b": "\b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file: its name, and its text, or why it cannot be read."""

    name: str
    text: bytes = b""
    unreadable: str = ""


Include = Callable[[str, str], Sequence[Source]]  # a pattern, and the name of the file that has it


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands. `line` is in the first file; `inside` names the place in an included one, else ""."""

    line: int
    inside: str = ""

    def where(self, path: str) -> str:
        """Return a path as problems name it."""
        return f"{self.inside}: {path}" if self.inside and path else self.inside or path


@dataclass(frozen=True, slots=True)
class Line:
    """One line, ready to be read as words."""

    place: Place
    text: str


class Text:
    """Reads files. `lines` is what they say together."""

    def __init__(self, made: Draft, include: Include) -> None:
        self.lines: list[Line] = []
        self._made = made
        self._include = include
        self._parameters: dict[str, str] = {}
        self._open: list[str] = []  # the names of the files that are being read
        self._left = MOST_WORK

    def read(self, source: Source, around: Place | None = None) -> None:
        """Read a file; `around` is where it was included."""
        text, warnings = decoded(source.text)
        inside = f"{source.name}:" if around else ""
        for warning in warnings:
            place = Place(around.line, f"{inside}{warning.line}") if around else Place(warning.line)
            self._made.warn(place.line, place.where(""), warning.message)
        if self._left < 0:
            return
        self._open.append(source.name)
        defining: list[str] = []  # a definition that goes on over several lines
        for number, raw in lines(text):
            place = Place(around.line, f"{inside}{number}") if around else Place(number)
            plain = self._without_comment(place, raw)
            goes_on = plain.endswith("\\") and bool(defining or _DEFINED.match(plain))
            if defining or goes_on:
                defining.append(plain[:-1] if goes_on else plain)
            if not goes_on:
                self._line(place, "\n".join(defining) if defining else plain, 0)
                defining = []
        if defining:
            self._made.wrong(place.line, place.where(""), "the definition goes on, but the file ends")
        self._open.pop()
        if self._left < 0 and not around:
            self._made.wrong(place.line, "", "far too much text, once parameters and other files are put in")

    def _without_comment(self, place: Place, raw: str) -> str:
        kept = []
        for match in _SCANNED.finditer(raw):
            if match["comment"]:
                break
            if match["open"]:
                self._made.wrong(place.line, place.where(""), f"the quotation mark {match['open'][0]} is not closed")
                break
            kept.append(match[0])
        return "".join(kept).rstrip()

    def _line(self, place: Place, text: str, depth: int) -> None:
        self._left -= len(text) + 32
        if not text.strip() or self._left < 0:
            return
        if defined := _DEFINED.fullmatch(text):
            self._parameters[defined[1]] = defined[2]
            return
        used = next((each for each in _USED.finditer(text) if (each[1] or each[2]) in self._parameters), None)
        if used:
            value = self._parameters[used[1] or used[2]]
            filled = text[: used.start()] + value + text[used.end() :]
            if depth >= DEEPEST * DEEPEST or len(filled) > LONGEST:
                self._made.wrong(place.line, place.where(used[0]), "the parameters unfold without an end")
                self._left = 0
                return
            for part in filled.split("\n"):
                self._line(place, part, depth + 1)
        else:
            self._filled(place, text, depth)

    def _filled(self, place: Place, text: str, depth: int) -> None:
        if only := _ONLY.fullmatch(text):
            self._for_one_router(place, only, depth)
        elif text.lstrip().startswith(("~SEQ", "~LST")):
            self._made.wrong(place.line, place.where(""), "~SEQ and ~LST are not read here: write the lines out")
        elif include := _INCLUDE.fullmatch(text):
            self._files(place, include[1], "".join(word for word, _ in words(include[2])))
        else:
            self.lines.append(Line(place, text))

    def _for_one_router(self, place: Place, only: re.Match[str], depth: int) -> None:
        """Read a line that is not for every router: only what is for all others than one is kept."""
        negative, router, rest = only.groups()
        said = f"kept, though it is not for {router}" if negative else f"not carried over: it is for {router} only"
        self._made.warn(place.line, place.where(f"@{negative}{router}"), said)
        if negative:
            self._line(place, rest, depth + 1)

    def _files(self, place: Place, keyword: str, pattern: str) -> None:
        path = place.where(f"{keyword} {pattern}")
        found = self._include(pattern, self._open[-1])
        if not found and any(letter in pattern for letter in "*?["):
            self._made.warn(place.line, path, "there is no such file")
        elif not found:
            self._made.wrong(place.line, path, "there is no such file")
        for source in found:
            if source.name in self._open:
                self._made.wrong(place.line, path, f"{source.name} includes itself")
            elif len(self._open) > DEEPEST:
                self._made.wrong(place.line, path, f"more than {DEEPEST} files within each other")
            elif source.unreadable:
                self._made.wrong(place.line, path, f"{source.name}: {source.unreadable}")
            else:
                self.read(source, place)


def words(text: str) -> list[tuple[str, bool]]:
    """Return the words of a line, and whether each is a brace that opens or closes a block."""
    found: list[tuple[str, bool]] = []
    word: list[str] | None = None
    for match in _SCANNED.finditer(text):
        if match["comment"] or match["open"]:
            break
        if match["quoted"] or match["plain"]:
            word = (word or []) + [_unquoted(match["quoted"]) if match["quoted"] else match["plain"]]
            continue
        if word is not None:
            found.append(("".join(word), False))
            word = None
        if match["brace"]:
            found.append((match["brace"], True))
    return found if word is None else [*found, ("".join(word), False)]


def _unquoted(quoted: str) -> str:
    def meant(match: re.Match[str]) -> str:
        said = match[1]
        if said[0] in "01234567":
            return chr(int(said, 8) & 0xFF)
        return chr(int(said[1:], 16) & 0xFF) if said[1:] else _LETTERS.get(said, said)

    return _ESCAPED.sub(meant, quoted[1:-1])
