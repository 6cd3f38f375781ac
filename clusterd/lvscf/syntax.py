"""The lines of lvs.cf as blocks of keys with their values, as Piranha's parser (lvsconfig.c) read them.

What is wrong is collected, not raised: a key with a wrong value keeps its words and is marked as not sound, a block
of an unknown word is passed over as a whole.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clusterd.document import suggestion
from clusterd.errors import Problem
from clusterd.lvscf.grammar import KEYS, OPENS, Key

MOST_TOKENS = 100
_LINE_END = re.compile(r"\r\n|\r|\n")
# At the end of a line a text in quotes may have the quote itself in its first word, where the parser does not look.
_TOKEN = re.compile(
    r"""(?P<quote>["'])(?P<last>[^ \t]*(?:[ \t](?:(?!(?P=quote)).)*)?)(?P=quote)\Z"""
    r"""|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<open>["'].*)|(?P<plain>[^ \t]+)""",
    re.DOTALL,
)
_BLANKS = re.compile(r"[ \t]*")


@dataclass(frozen=True, slots=True)
class Given:
    """The value that a key was given: a plain value where `sound`, else the words as they stood."""

    line: int
    value: Any
    sound: bool


@dataclass(slots=True)
class Block:
    """A block while it is read. The whole file is the block with no word."""

    word: str
    name: str
    line: int
    path: str = ""
    port: Given | None = None  # what the block around had said about its port when this one was opened
    given: dict[str, Given] = field(default_factory=dict)
    blocks: list["Block"] = field(default_factory=list)

    @property
    def keys(self) -> Mapping[str, Key]:
        """Return the keys that the block may have."""
        return KEYS[self.word]

    def where(self, key: str) -> str:
        """Return the path of a key in the file, as problems name it."""
        return f"{self.path}/{key}" if self.path else key

    def sound(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, the default where there is none or a wrong one."""
        given = self.given.get(key)
        return given.value if given and given.sound else default


def tokens(line: str) -> list[str]:
    """Return the tokens of one line, none for a comment. Raises ValueError for an open quote and for too many."""
    found: list[str] = []
    at = _blanks(line, 0)
    if line.startswith("#", at):
        return []
    while match := _TOKEN.match(line, at):
        if match["open"] is not None:
            raise ValueError("quotation mismatch")
        found.append(next(part for part in match.group("last", "double", "single", "plain") if part is not None))
        at = _blanks(line, match.end())
    if len(found) > MOST_TOKENS:
        raise ValueError(f"more than {MOST_TOKENS} tokens")
    return found


def _blanks(line: str, at: int) -> int:
    match = _BLANKS.match(line, at)
    return match.end() if match else at


class Parser:
    """Reads a whole file. `root` is what it says, `problems` what is wrong, `warnings` what stands twice."""

    def __init__(self, text: str) -> None:
        self.root = Block("", "", 0)
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._open: list[Block | None] = [self.root]  # None: a block of an unknown word
        for number, line in enumerate(_LINE_END.split(text), start=1):
            self._line(number, line)
        for block in self._open[1:]:
            if block:
                self._wrong(block.line, block.path, "blocks not closed: there is no } for this one")

    def _line(self, number: int, text: str) -> None:
        here = self._open[-1]
        try:
            words = tokens(text)
        except ValueError as error:
            self._wrong(number, here.path if here else "", str(error))
            words = ["", "{"] if text.rstrip(" \t").endswith("{") else []
        if words[:1] == ["}"]:
            self._close(number, words)
        elif here and words and words[0] in OPENS[here.word]:
            self._block(number, here, words)
        elif here and words and words[0] in here.keys:
            self._key(number, here, words)
        elif words:
            if here and words[0]:
                known = [*here.keys, *OPENS[here.word]]
                self._wrong(number, here.where(words[0]), "unknown command" + suggestion(words[0], known))
            if words[-1] == "{":
                self._open.append(None)

    def _close(self, number: int, words: list[str]) -> None:
        if len(self._open) == 1:
            self._wrong(number, "", "unknown command: } closes nothing here")
            return
        block = self._open.pop()
        if block and len(words) > 1:
            self._wrong(number, block.path, "unexpected arguments after }")

    def _block(self, number: int, here: Block, words: list[str]) -> None:
        name = words[1] if len(words) > 1 and words[1] != "{" else ""
        path = here.where(f"{words[0]} {name}".rstrip())
        if len(words) < 3:
            self._wrong(number, path, f"missing arguments: a block begins with {words[0]} NAME {{")
        elif words[2] != "{":
            self._wrong(number, path, "left brace ({) expected after the name")
        elif len(words) > 3:
            self._wrong(number, path, "unexpected arguments after {")
        block = Block(words[0], name, number, path, here.given.get("port"))
        here.blocks.append(block)
        self._open.append(block)

    def _key(self, number: int, here: Block, words: list[str]) -> None:
        key, equal, *values = *words, *([""] if len(words) == 1 else [])
        where, kind = here.where(key), here.keys[key].kind
        if key in here.given:
            first = here.given[key].line
            self.warnings.append(Problem(number, where, f"stands twice, first in line {first}: the last one counts"))
        given = Given(number, " ".join(values), sound=False)
        if len(words) > 1 and equal != "=":
            self._wrong(number, where, "equal (=) expected after command")
        elif len(values) < (kind.words or 1):
            self._wrong(number, where, "missing arguments")
        elif kind.words and len(values) > kind.words:
            self._wrong(number, where, "unexpected arguments")
        else:
            try:
                given = Given(number, kind.read(*values), sound=True)
            except ValueError as error:
                self._wrong(number, where, str(error))
        here.given[key] = given

    def _wrong(self, line: int, path: str, message: str) -> None:
        self.problems.append(Problem(line, path, message))
