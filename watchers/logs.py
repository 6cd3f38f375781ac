"""How services write their log: a short sentence for people, and beside it an event's name and fields for programs.

    text      INFO clusterd.router: web/rs1 is down: refused
    journal   <6>router: web/rs1 is down: refused                              (sd-daemon(3): the priority of syslog)
    json      {"time": "…Z", "level": "info", "service": "router", "event": "verdict", "text": "…", "virtual": "web", …}

Which one is a setting. By default it is journal where standard error goes to the journal (systemd.exec(5),
JOURNAL_STREAM), else text. Lines of JSON have the priority before them as well in the journal, which takes it off.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from clusterd.history import utc

FORMAT = "CLUSTERD_LOG_FORMAT"  # by which a service tells the processes that it starts
SERVICE = "%(levelname)s %(name)s: %(message)s"
_OTHER = "other"  # what a library says
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7


def tagged(event: str, **fields: Any) -> dict[str, Any]:
    """Return what makes a record an event with fields: the argument `extra` of a logger's methods."""
    return {"event": event, "fields": fields}


class JsonFormatter(logging.Formatter):
    """One object a line. `always` are fields that every record has."""

    def __init__(self, service: str, always: Mapping[str, str]) -> None:
        super().__init__()
        self._service, self._always = service, always

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line."""
        fields = {
            **getattr(record, "fields", {}),
            **self._always,
            "time": utc(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "service": self._service,
            "event": getattr(record, "event", _OTHER),
            "text": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        first = ("time", "level", "service", "event", "text")
        ordered = {**{name: fields[name] for name in first}, **fields}
        return json.dumps(ordered, ensure_ascii=False, default=str)


class WithPriority(logging.Formatter):
    """What another formatter makes, with the priority before each line, as the journal wants it."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return a record, of one line or more."""
        number = next((number for level, number in _PRIORITIES if record.levelno >= level), _DEBUG)
        return "\n".join(f"<{number}>{line}" for line in self._inner.format(record).splitlines())


def formatter(service: str, chosen: str, text: str, journal: bool, always: Mapping[str, str]) -> logging.Formatter:
    """Return what formats records. `text` is the format where it is text, `journal` whether the journal reads it."""
    if chosen == "json":
        inner: logging.Formatter = JsonFormatter(service, always)
        return WithPriority(inner) if journal else inner
    if chosen == "journal" or (chosen == "auto" and journal):
        return WithPriority(logging.Formatter(f"{service}: %(message)s"))
    return logging.Formatter(text)


def begin(service: str, text: str = SERVICE, chosen: str = "", level: int = logging.INFO, **always: str) -> None:
    """Write this process' log to standard error from now on.

    `chosen` is the setting; a process that a service started does as that service.
    """
    chosen = chosen or os.environ.get(FORMAT, "auto")
    os.environ[FORMAT] = chosen
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(service, chosen, text, _to_journal(), always))
    logging.basicConfig(level=level, handlers=[handler])


def _to_journal() -> bool:
    try:
        there = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{there.st_dev}:{there.st_ino}"
