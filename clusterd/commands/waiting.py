"""Waiting until every live router reports that it applied a commit."""

import asyncio
import json
import sys
from collections.abc import Sequence

import click

from clusterd.commands.exits import NotApplied
from clusterd.commands.streams import printable
from clusterd.configuration.reading import parsed
from clusterd.errors import StoreUnavailable
from clusterd.history import Head
from clusterd.keys import Keys
from clusterd.reports import DRY_RUN, router_report
from clusterd.store.contract import Entry, Store

PAUSE_S = 0.2


def applied(entry: Entry) -> int:
    """Return the number of the commit that a router reports to have applied; 0 where that cannot be read."""
    try:
        number = json.loads(entry.value)["applied"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return 0
    return number if isinstance(number, int) else 0


async def until_applied(store: Store, keys: Keys, number: int, wait_s: float) -> None:
    """Return when all live routers report the commit, or a later one; NotApplied says who does not in time."""
    clock = asyncio.get_running_loop()
    end_s = clock.time() + wait_s
    progress = Progress()
    while True:
        try:
            entries: Sequence[Entry] | None = (await store.snapshot(keys.head, keys.routers_prefix)).entries
        except StoreUnavailable:
            entries = None
        late = _late(entries, keys, number)
        if late is None:
            progress.end()
            return
        if clock.time() >= end_s:
            progress.end()
            raise NotApplied(f"commit {number} is done, but not applied everywhere after {wait_s:g} s: {late}")
        progress.show(f"commit {number}: {late}")
        await asyncio.sleep(min(PAUSE_S, max(end_s - clock.time(), 0)))


def _late(entries: Sequence[Entry] | None, keys: Keys, number: int) -> str | None:
    """Return who did not apply the commit yet, None when all did."""
    if entries is None:
        return "etcd does not answer"
    routers = [entry for entry in entries if entry.key != keys.head]
    if not routers:
        return "no router is alive"
    if all(router_report(entry.value).role == DRY_RUN for entry in routers):
        return "every router is in a dry run"
    head = next((parsed(Head, entry) for entry in entries if entry.key == keys.head), None)
    why = {entry.key.removeprefix(keys.routers_prefix): _why_late(entry, number, head) for entry in routers}
    return ", ".join(f"{printable(name)} {told}" for name, told in why.items() if told) or None


def _why_late(router: Entry, number: int, head: Head | None) -> str:
    """Return what a router has applied instead, "" where it has applied the commit."""
    if applied(router) < number:
        return f"is at commit {applied(router)}"
    report = router_report(router.value)
    if head and report.follows.lost_by(head.number, head.hash, report.head):
        return f"follows commit {report.follows.number}, which this etcd does not have (`clusterd adopt --restored`)"
    return ""


class Progress:
    """One line on the terminal that changes; nothing elsewhere."""

    def __init__(self) -> None:
        self._shown = ""

    def show(self, line: str) -> None:
        """Show this instead of what was shown."""
        if sys.stderr.isatty() and line != self._shown:
            click.echo(f"\r{line.ljust(len(self._shown))}", nl=False, err=True)
            self._shown = line

    def end(self) -> None:
        """Leave an empty line behind."""
        if self._shown:
            click.echo(f"\r{' ' * len(self._shown)}\r", nl=False, err=True)
