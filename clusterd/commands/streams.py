"""What comes in and goes out: files or stdin, facts as text or JSON, and the questions at the terminal."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from clusterd.errors import Problem

MOST_PLACES = 3  # that one warning names


def read_input(name: str) -> bytes:
    """Return what is in a file, - is stdin; a usage error where it cannot be read."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise click.UsageError(f"cannot read {printable(name)}: {reason}") from error


def echo_json(data: Any) -> None:
    """Print facts as JSON."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def printable(text: str) -> str:
    """Return the text in one line that cannot move the cursor or change the terminal's colours."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def at_terminal() -> bool:
    """Tell whether somebody is there to answer questions."""
    return sys.stdin is not None and sys.stdin.isatty()


def warn(message: object) -> None:
    """Print one line on stderr."""
    click.echo(f"warning: {message}", err=True)


def once(problems: Iterable[Problem]) -> list[str]:
    """Return each message once, with the places that it is about: some of them where they are many."""
    places: dict[str, list[str]] = {}
    for problem in problems:
        places.setdefault(problem.message, []).append(problem.path)
    return [f"{some(paths)}: {message}" if any(paths) else message for message, paths in places.items()]


def some(paths: Sequence[str]) -> str:
    """Return the first ones of many, and how many more there are."""
    if len(paths) <= MOST_PLACES:
        return ", ".join(paths)
    return f"{', '.join(paths[:MOST_PLACES])} and {len(paths) - MOST_PLACES} more"
