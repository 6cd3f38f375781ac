"""The command with somebody at a terminal."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from pathlib import Path
from typing import Self

from tests.clusterd.command_line import CommandLine

LONG_S = 20.0


class Terminal:
    """A command with somebody at a terminal: waits for what is asked, and types."""

    def __init__(self, clusterd: CommandLine, *arguments: str, **variables: str) -> None:
        self._ours, theirs = pty.openpty()
        self.seen = ""
        self._process = clusterd.start(
            *arguments,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            variables={"TERM": "dumb", **variables},
        )
        os.close(theirs)

    def until(self, text: str, anew: bool = False) -> None:
        """Wait for a text; `anew` forgets what was seen before."""
        self.seen = "" if anew else self.seen
        end_s = time.monotonic() + LONG_S
        while text not in self.seen:
            assert time.monotonic() < end_s, f"{text!r} did not come, but {self.seen!r}"
            assert self._read(), f"it ended, after {self.seen!r}"

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], 0.1)[0]:
            return True
        try:
            read = os.read(self._ours, 4096)
        except OSError:  # EIO: everybody at the other end has gone
            return False
        self.seen += read.decode()
        return bool(read)

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size, and tell whoever runs in it."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        os.killpg(self._process.pid, signal.SIGWINCH)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def interrupt(self) -> None:
        """Send what a terminal sends at Ctrl-C: SIGINT to everybody in the foreground, once the command sleeps.

        Python does not notice a signal that comes between its prompt and the read() that waits for the answer.
        """
        state = Path(f"/proc/{self._process.pid}/stat")
        end_s = time.monotonic() + LONG_S
        while state.read_text().rpartition(")")[2].split()[0] != "S":
            assert time.monotonic() < end_s, "it never sleeps"
        os.killpg(self._process.pid, signal.SIGINT)

    def end(self) -> int:
        end_s = time.monotonic() + LONG_S
        while self._read():
            assert time.monotonic() < end_s, f"it did not end, after {self.seen!r}"
        return self._process.wait(LONG_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)
