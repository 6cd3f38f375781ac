"""What is wrong at the moment, by what it is about: told in the status key, and logged once when it begins."""

import logging

from watchers.logs import tagged

log = logging.getLogger("clusterd.router")


class Problems:
    """The problems of one router."""

    def __init__(self) -> None:
        self._now: dict[str, tuple[str, ...]] = {}

    def about(self, what: str, *problems: str) -> None:
        """Say all that is wrong about something now; nothing, when it is well."""
        for problem in problems:
            if problem not in self._now.get(what, ()):
                log.warning("%s", problem, extra=tagged("problem", about=what))
        self._now[what] = problems

    def has(self, what: str) -> bool:
        """Return whether something is wrong there now."""
        return bool(self._now.get(what))

    def counts(self) -> dict[str, int]:
        """Return how many there are now about what."""
        return {what: len(problems) for what, problems in self._now.items()}

    def all(self) -> tuple[str, ...]:
        """Return everything that is wrong."""
        return tuple(problem for problems in self._now.values() for problem in problems)
