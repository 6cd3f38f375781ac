"""What kernel settings were before this router first changed them: a file that outlives restarts and reboots."""

import json
import logging
from collections.abc import Iterable
from pathlib import Path

from clusterd.plane import Sysctl
from watchers.last_good import write_atomically
from watchers.logs import tagged

log = logging.getLogger("clusterd.router")


class FormerSettings:
    """Keeps the first value of each setting: what is found later is our own, or drift from it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> tuple[Sysctl, ...]:
        """Return what is kept; nothing, which is logged, where it cannot be read."""
        try:
            kept = json.loads(self._file.read_text())
            return tuple(Sysctl(str(name), str(value)) for name, value in kept.items())
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, AttributeError) as error:
            about = tagged("file", file=self._file)
            log.error("%s cannot be read: former kernel settings are not known: %s", self._file, error, extra=about)
            return ()

    def keep(self, settings: Iterable[Sysctl]) -> None:
        """Keep those that are not yet. A disk that is full is logged: a router must work before it can be put back."""
        before = {each.name: each.value for each in self.read()}
        kept = {each.name: each.value for each in settings} | before
        if kept == before:
            return
        try:
            write_atomically(self._file, [json.dumps(kept, indent=1), "\n"])
        except OSError as error:
            about = tagged("file", file=self._file)
            log.error("former kernel settings cannot be kept, --release will not put them back: %s", error, extra=about)

    def forget(self) -> None:
        """Keep nothing any more: all of it is back."""
        self._file.unlink(missing_ok=True)
