"""What every importer shares: the document while it is made, and the result with what was not carried over.

A reader of another program's format puts values into a `Draft` and says for each of them where in the file it stood.
Then the document's own rules hold, and their problems are told with the lines of that file.
"""

import re
import shlex
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address, ip_address
from typing import Any

from clusterd import document
from clusterd.errors import ConfigError, Problem
from clusterd.model import Cluster

Path = tuple[str, ...]

WITHOUT_TCP = ("udp", "dns", "icmp", "exec")  # checks that are right for a service over UDP
_SHELL = re.compile(r"[|&;<>()$`*?\[\]#~{}\n]")
MOST_ADDRESSES = 1024  # in one range
# What a server of these protocols says first, for programs that check them by speaking the protocol.
GREETINGS = {"smtp": "220", "submission": "220", "ftp": "220", "pop": "+OK", "imap": "* OK", "nntp": "20"}
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file says. `warnings` tells, by line, what was not carried over and what was made up."""

    cluster: Cluster
    warnings: tuple[Problem, ...]
    serial_no: int = 0  # lvs.cf alone has one


class Draft:
    """The document while it is made."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.warnings: list[Problem] = []
        self.problems: list[Problem] = []
        self.origins: dict[Path, tuple[int, str]] = {(): (0, "")}  # line and path in the file, by path in the document
        self.reported: set[Path] = set()  # their values are wrong, and the file's own problems say so

    def put(self, path: Path, value: object, *, over: bool = True) -> None:
        """Set the value at a path, only where there is none yet unless `over`."""
        here = self.data
        for step in path[:-1]:
            here = here.setdefault(step, {})
        if over or path[-1] not in here:
            here[path[-1]] = value

    def warn(self, line: int, path: str, message: str) -> None:
        """Say what is not carried over, or what was made up."""
        self.warnings.append(Problem(line, path, message))

    def wrong(self, line: int, path: str, message: str) -> None:
        """Say what must be corrected in the file."""
        self.problems.append(Problem(line, path, message))

    def located(self, problem: Problem) -> Problem | None:
        """Return a problem of the document as one of the file, none where the file's own problems cover it."""
        path = tuple(problem.path.split("/")) if problem.path else ()
        if path in self.reported:
            return None
        end = next(end for end in range(len(path), -1, -1) if path[:end] in self.origins)
        line, where = self.origins[path[:end]]
        return Problem(line, "/".join([*([where] if where else []), *path[end:]]), problem.message)

    def cluster(self) -> Cluster:
        """Return the cluster that the document describes. Raises ConfigError with every problem, the file's own too."""
        try:
            cluster = document.from_data(self.data, {path: line for path, (line, _) in self.origins.items()})
        except ConfigError as error:
            located = [self.located(problem) for problem in error.problems]
            raise ConfigError(list(dict.fromkeys(p for p in [*self.problems, *located] if p))) from None
        if self.problems:
            raise ConfigError(list(dict.fromkeys(self.problems)))
        return cluster

    def reading(self) -> Reading:
        """Return what the file says. Raises ConfigError with every problem."""
        return Reading(self.cluster(), tuple(sorted(dict.fromkeys(self.warnings))))


def decoded(text: str | bytes) -> tuple[str, list[Problem]]:
    """Return the text of a file, and a warning where it is not UTF-8."""
    if isinstance(text, str):
        return text, []
    try:
        return text.decode(), []
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        return text.decode("latin-1"), [Problem(line, "", "not UTF-8: the file is read as Latin-1")]


def lines(text: str) -> list[tuple[int, str]]:
    """Return the lines with their numbers, however they end, and only where editors end them."""
    return list(enumerate(_LINE_END.split(text), start=1))


def free_name(wanted: str, taken: Container[str]) -> str:
    """Return the name as the document allows it, and not one of those that are taken."""
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", wanted).lstrip("-_.")[:63] or "unnamed"
    name, count = plain, 1
    while name in taken:
        count += 1
        name = f"{plain[:57]}-{count}"
    return name


def number(word: str) -> int:
    """Return a plain decimal number. Raises ValueError for anything else."""
    if not (word.isascii() and word.isdigit() and len(word) < 19):
        raise ValueError(f"a number is expected, not {word!r}")
    return int(word)


def ipv6(word: str) -> str:
    """Return an IPv6 address, perhaps in brackets, as it is written shortest (RFC 5952); "" for any other word."""
    try:
        return str(IPv6Address(word[1:-1] if word.startswith("[") and word.endswith("]") else word))
    except AddressValueError:
        return ""


def endpoint(said: str) -> tuple[str, str]:
    """Return the host and the port of HOST:PORT or [IPV6]:PORT; "" where there is no port."""
    host, bracket, rest = said.rpartition("]")
    if bracket:
        return host + bracket, rest.removeprefix(":")
    if ipv6(said):
        return said, ""
    host, _, port = said.partition(":")
    return host, port


def addresses(first: str, last: str) -> Iterator[str]:
    """Return the addresses of a range, both ends included. Raises ValueError where it is none or far too long."""
    low, high = ip_address(first), ip_address(last)
    if low.version != high.version:
        raise ValueError(f"{first} and {last} are of different families")
    count = int(high) - int(low) + 1
    if count < 1:
        raise ValueError(f"the range {first} to {last} goes backwards")
    if count > MOST_ADDRESSES:
        raise ValueError(f"{count} addresses are too many for one range: at most {MOST_ADDRESSES}")
    return (str(low + number) for number in range(count))


def settle_forwarding(made: Draft, default: str) -> None:
    """Say the way that most virtual servers go once, for the cluster, and each other way where it differs.

    Expects each virtual server's `forwarding` to be there, None where nothing says it, and those of its servers that
    have another.
    """
    virtuals = made.data.get("virtuals", {})
    ways = [virtual["forwarding"] for virtual in virtuals.values() if virtual["forwarding"]]
    common = max(ways, key=ways.count, default=default)
    made.put(("cluster", "forwarding"), common)
    for virtual in virtuals.values():
        if virtual["forwarding"] in (common, None):
            del virtual["forwarding"]


def server_name(address: str, port: int | None, taken: Container[str]) -> str:
    """Return what a real server is called that has no name: its address, with its port where that is needed."""
    return free_name(f"{address}-{port}" if free_name(address, ()) in taken and port else address, taken)


def virtual_name(address: str, port: int, protocol: str, taken: Container[str]) -> str:
    """Return what a virtual server is called that has no name."""
    return free_name(f"{address}-{port}" + ("" if protocol == "tcp" else f"-{protocol}"), taken)


def mark_name(mark: int, taken: Container[str]) -> str:
    """Return what a virtual server by firewall mark is called that has no name."""
    return free_name(f"mark-{mark}", taken)


def mark(word: str) -> int:
    """Return a firewall mark. Raises ValueError."""
    if not 0 < number(word) < 2**32:
        raise ValueError(f"a firewall mark is a number from 1 to 4294967295, not {word}")
    return number(word)


def scheduler_flags(scheduler: str, words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return which flags of a scheduler these are, by the document's names, and those that it does not have."""
    own = {"flag-1": f"{scheduler}-fallback", "flag-2": f"{scheduler}-port"} if scheduler in ("sh", "mh") else {}
    own |= {name: name for name in own.values()}
    given = list(dict.fromkeys(words))
    return list(dict.fromkeys(own[word] for word in given if word in own)), [word for word in given if word not in own]


def command(text: str) -> list[str]:
    """Return the program and arguments that a command line names. Raises ValueError where it takes more than that."""
    if _SHELL.search(text):
        raise ValueError("it is for a shell, and clusterd uses none: put it into a script")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"its quotes are not closed: {error}") from error
    if not words or not words[0].startswith("/"):
        raise ValueError("clusterd needs the program's full path")
    return words
