"""Runs the programs of `cluster/notify` when this router becomes active in a group, or stops being so.

A takeover never waits for them: `changed` only leaves a note. They run one after the other for each group, as another
user, in a process group of their own, without a shell and with nothing of this service's environment. Of changes that
come while one runs only the last one counts. What has not ended in time is killed with all that it started.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from clusterd import programs
from clusterd.model import Notify
from clusterd.programs import PATH, CannotRun, Terms
from watchers.logs import tagged
from watchers.problems import Problems

log = logging.getLogger("clusterd.router")

LOGGED_BYTES = 4096  # of what a program prints
_LOGGED_LINES = 20


@dataclass(frozen=True, slots=True)
class Change:
    """This router became active in a group, or stopped being so. `token` is the lock's, 0 when it is gone."""

    group: str
    active: bool
    token: int


class Hooks:
    """The programs of the router `me`. `notify` tells which ones are configured now."""

    def __init__(self, me: str, notify: Callable[[], Notify], problems: Problems) -> None:
        self._me, self._notify, self._problems = me, notify, problems
        self._waiting: dict[str, Change] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    def changed(self, change: Change) -> None:
        """Have the program for a change run, soon."""
        self._waiting[change.group] = change
        if change.group not in self._running:
            task = asyncio.create_task(self._run(change.group))
            self._running[change.group] = task
            task.add_done_callback(lambda _: self._running.pop(change.group, None))

    async def end(self) -> None:
        """Return when all that was to be run has ended, or was killed."""
        while self._running:
            await asyncio.wait(self._running.values())

    async def _run(self, group: str) -> None:
        while group in self._waiting:
            change, notify = self._waiting.pop(group), self._notify()
            command = notify.active_cmd if change.active else notify.inactive_cmd
            if command:
                failed = await run(said(command, self._me, change), notify, self._environment(change))
                what = f"cluster/notify/{'active_cmd' if change.active else 'inactive_cmd'}"
                self._problems.about(f"notify {group}", *([f"{what}: {failed}"] if failed else []))

    def _environment(self, change: Change) -> dict[str, str]:
        return {
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "CLUSTERD_NOTIFY_ROUTER": self._me,
            "CLUSTERD_NOTIFY_GROUP": change.group,
            "CLUSTERD_NOTIFY_TOKEN": str(change.token),
            "CLUSTERD_NOTIFY_ROLE": "active" if change.active else "inactive",
        }


def said(command: tuple[str, ...], router: str, change: Change) -> tuple[str, ...]:
    """Return the command with what stands for router, group and token put in; the program's path stays as it is."""
    values = {"%r": router, "%g": change.group, "%t": str(change.token), "%%": "%"}
    program, *arguments = command
    return (program, *(re.sub("%[rgt%]", lambda found: values[found[0]], argument) for argument in arguments))


async def run(command: tuple[str, ...], notify: Notify, environment: Mapping[str, str]) -> str:
    """Run a program as the user of `notify`; return why it failed, "" where it did not. Its output goes to the log."""
    whom = notify.user if programs.may_become_another() else "this service's own user: it may not become another"
    log.info("runs %s as %s", command[0], whom, extra=tagged("notify", program=command[0]))
    try:
        found = await programs.run(command, Terms(notify.user, notify.timeout_s, LOGGED_BYTES), environment)
    except CannotRun as error:
        return f"{command[0]} could not be run: {error}"
    said = _logged(found.output)
    if found.status is None:
        left = "; something that it started has left its process group and goes on" if found.escaped else ""
        return f"{command[0]} was killed after {notify.timeout_s:g} s{left}"
    return f"{command[0]} ended with status {found.status}" + (f": {said}" if said else "") if found.status else ""


def _logged(output: bytes) -> str:
    """Log what a program printed, and return its last line."""
    text = output.decode(errors="replace")
    lines = ["".join(c if c.isprintable() else "?" for c in line) for line in text.splitlines()][:_LOGGED_LINES]
    for line in lines:
        log.info("it says: %s", line, extra=tagged("notify output"))
    return lines[-1] if lines else ""
