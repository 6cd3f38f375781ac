"""The fenced blocks of a page, and what docs/contributing.md agrees on about them.

A block `console` is run: lines that begin with `$ ` are typed, with `> ` go on, and others show what is printed. A
block of any kind whose first line is `# file: NAME` is such a file. All other blocks are read only.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(DOCS.glob("*.md")))

_FENCED = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^# file: (\S+)\n")
_ENDS = re.compile(r"\s+# ends with (\d+)$")


@dataclass(frozen=True)
class Command:
    """What somebody types at a prompt, and how it ends."""

    typed: str
    code: int
    line: int
    shown: tuple[str, ...] = ()

    @property
    def headings(self) -> frozenset[str]:
        """The columns of the tables that it shows."""
        titles = [line for line in self.shown if line.upper() == line and len(line.split()) > 4 and line[0].isalpha()]
        return frozenset(word for line in titles for word in line.split())


@dataclass(frozen=True)
class Block:
    """A fenced block: its kind, its text without the indentation, and the line of the page on which it begins."""

    kind: str
    text: str
    line: int

    @property
    def file(self) -> str:
        """The name of the file that it is, "" where it is none."""
        found = _FILE.match(self.text)
        return found[1] if found else ""

    @property
    def commands(self) -> tuple[Command, ...]:
        """What is typed in it, where it is of the kind `console`."""
        found: list[Command] = []
        for number, line in enumerate(self.text.splitlines() if self.kind == "console" else (), self.line + 1):
            if line.startswith("$ "):
                ends = _ENDS.search(line)
                typed = line[2 : ends.start()] if ends else line[2:]
                found.append(Command(typed, int(ends[1]) if ends else 0, number))
                continue
            assert found, f"line {number}: a block of the kind console begins with $"
            last = found.pop()
            if line.startswith("> "):
                found.append(replace(last, typed=f"{last.typed}\n{line[2:]}"))
            else:
                found.append(replace(last, shown=(*last.shown, line)))
        return tuple(found)


def blocks(text: str, *kinds: str) -> list[Block]:
    """Return the blocks of a text, of these kinds or of all."""
    found = []
    for each in _FENCED.finditer(text):
        indent, kind, inside = each.groups()
        body = re.sub(rf"^{indent}", "", inside, flags=re.MULTILINE)
        found.append(Block(kind, body, text.count("\n", 0, each.start()) + 1))
    return [block for block in found if not kinds or block.kind in kinds]


def commands(text: str) -> list[Command]:
    """Return what a page has typed, in its order."""
    return [command for block in blocks(text, "console") for command in block.commands]


def files(text: str) -> dict[str, str]:
    """Return the files of a page by their names."""
    return {block.file: block.text for block in blocks(text) if block.file}


def manual() -> str:
    """Return the document of the README: the manual's cluster."""
    return files((ROOT / "README.md").read_text())["cluster.yaml"]
