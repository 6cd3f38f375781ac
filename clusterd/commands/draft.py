"""A text in somebody's editor, in a file that outlives whatever goes wrong until it is committed."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from clusterd.commands.streams import printable
from clusterd.errors import ClusterdError, Problem, wrong

MARK = "#! "
_SHELL_INTERRUPTED = 128 + signal.SIGINT


class EditorFailed(ClusterdError):
    """The editor ended with an error, so what it left is not meant to be used."""


class Draft:
    """The file with the text; `settled` says that it is not needed any more.

    As a context manager: on leaving, a text that the person changed stays unless it is settled, and its place is told.
    """

    def __init__(self, name: str, text: str, suffix: str) -> None:
        self.settled = False
        self._original = text
        self._path = _new_file(name, suffix)
        self._write(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        changed = False
        with suppress(OSError):
            changed = self.text() != self._original
        if self.settled or not changed:
            self._path.unlink(missing_ok=True)
            return
        self._write(self.text())
        click.echo(f"your text stays in {self._path}", err=True)

    def text(self) -> str:
        """Return the person's own text, without the problems that stood above it."""
        text = self._path.read_text(errors="surrogateescape")
        return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(MARK))

    def edited(self, problems: Sequence[Problem] = (), heading: str = "") -> str:
        """Let the person edit the text, with these problems below their heading above it, and return it.

        Raises EditorFailed, and KeyboardInterrupt when the editor was interrupted.
        """
        text = self.text()
        if problems:
            self._write(_annotated(text, problems, heading))
        code = _run([*_editor(), str(self._path)])
        if code in (-signal.SIGINT, _SHELL_INTERRUPTED):
            raise KeyboardInterrupt
        if code != 0:
            raise EditorFailed(f"the editor ended with {code}: nothing was committed")
        try:
            return self.text()
        except OSError as error:
            raise wrong(str(self._path), f"the editor left no text: {error.strerror}") from error

    def _write(self, text: str) -> None:
        self._path.write_text(text, errors="surrogateescape")


def _annotated(text: str, problems: Sequence[Problem], heading: str) -> str:
    """Return the text below its problems, whose lines are those of the result."""
    shift = len(problems) + 1
    lines = [MARK + f"{heading} Lines marked #! go away."]
    for problem in problems:
        moved = Problem(problem.line + shift if problem.line else 0, problem.path, problem.message)
        lines.append(MARK + printable(str(moved)))
    return "\n".join([*lines, text])


def _new_file(name: str, suffix: str) -> Path:
    """Return a new file that only its owner may read, below the user's cache or else the system's temporary folder."""
    for folder in _folders():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, path = tempfile.mkstemp(prefix=f"{name}-", suffix=suffix, dir=folder)
        except OSError:
            continue
        os.close(handle)
        return Path(path)
    raise EditorFailed(
        "there is no folder to keep the text in: neither ~/.cache nor the temporary folder can be written"
    )


def _folders() -> list[Path]:
    folders = [Path(tempfile.gettempdir())]
    with suppress(RuntimeError):  # no home
        cache = os.environ.get("XDG_CACHE_HOME")
        folders.insert(0, (Path(cache) if cache else Path.home() / ".cache") / "clusterd")
    return folders


def _editor() -> list[str]:
    for variable in ("VISUAL", "EDITOR"):
        try:
            words = shlex.split(os.environ.get(variable, ""))
        except ValueError as error:
            raise click.UsageError(f"{variable} cannot be read: {error}") from error
        if words:
            return words
    for program in ("editor", "sensible-editor", "vi", "nano"):
        if shutil.which(program):
            return [program]
    raise click.UsageError("no editor: set EDITOR")


def _run(command: Sequence[str]) -> int:
    """Run the editor in the foreground; meanwhile Ctrl-C is the editor's, and not ours."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        return subprocess.run(command, check=False).returncode
    except OSError as error:
        raise click.UsageError(f"cannot run the editor {command[0]}: {error.strerror}") from error
    finally:
        signal.signal(signal.SIGINT, before)
