"""clusterd events: what happened, newest last."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing

import click

from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json, printable, warn
from clusterd.errors import Compacted, StoreUnavailable
from clusterd.keys import Keys
from clusterd.observing import local
from clusterd.reports import Event, event
from clusterd.store.contract import Entry, Snapshot, Store

LOCAL_S = 1.0  # so often the router here is asked
SILENT_S = 3.0  # without an answer of etcd to it, after which what it recorded is shown
_ONLY = "etcd does not answer: these are only the events that router {} recorded since it was started"


@click.command(short_help="Show what happened: takeovers, servers up and down, drift.")
@click.option("-n", "count", metavar="N", type=click.IntRange(min=0), default=20, show_default=True, help="How many.")
@click.option("--follow", "-f", is_flag=True, help="Show what happens from now on, too, until Ctrl-C.")
@json_option
@pass_session
def events(session: Session, count: int, follow: bool) -> None:
    """Show the last events, newest last: time, router, kind, and what happened. They are kept for days.

    With --follow and --json each event is one line of JSON. While etcd is down the router on this host tells its own.

    \b
    clusterd events -n 5
    clusterd events --follow
    """
    if follow:
        session.run(lambda store, keys: _Following(session, store, keys, count).run())
    down: StoreUnavailable | None = None
    try:
        snapshot, keys = session.run(_read)
        found = _last(snapshot, keys, count)
    except StoreUnavailable as error:
        here = asyncio.run(local(session.settings().socket))
        if here is None:
            raise
        warn(_ONLY.format(here.router))
        found, down = list(here.events[max(0, len(here.events) - count) :]), error
    if session.json:
        echo_json([one.model_dump(mode="json") for one in found])
    else:
        for one in found:
            click.echo(_line(one))
    if down:
        raise down


async def _read(store: Store, keys: Keys) -> tuple[Snapshot, Keys]:
    return await store.snapshot(keys.events_prefix), keys


def _last(snapshot: Snapshot, keys: Keys, count: int) -> list[Event]:
    entries = snapshot.entries[max(0, len(snapshot.entries) - count) :]
    return [_event(entry, keys) for entry in entries]


def _event(entry: Entry, keys: Keys) -> Event:
    return event(entry.key.removeprefix(keys.events_prefix), entry.value)


class _Following:
    """Shows the last events and all that come, for ever: etcd's, and while it is down those of the router here."""

    def __init__(self, session: Session, store: Store, keys: Keys, count: int) -> None:
        self._session, self._store, self._keys, self._count = session, store, keys, count
        self._shown: set[str] = set()
        self._begun = False

    async def run(self) -> None:
        """Follow both side by side: an event that both tell is shown once."""
        await asyncio.gather(self._follow_etcd(), self._follow_the_router_here())

    async def _follow_etcd(self) -> None:
        while True:
            try:
                snapshot = await self._store.snapshot(self._keys.events_prefix)
                everything = [_event(entry, self._keys) for entry in snapshot.entries]
                self._show(everything)
                async with aclosing(self._store.watch(self._keys.events_prefix, snapshot.revision + 1)) as batches:
                    async for batch in batches:
                        self._show([_event(each, self._keys) for each in batch.changes if isinstance(each, Entry)])
            except Compacted:
                continue  # what came meanwhile is still there
            except StoreUnavailable as error:
                here = await local(self._session.settings().socket)
                if here is None:
                    raise
                if not self._begun:
                    warn(f"{_ONLY.format(here.router)} until it does ({error})")
                    self._show(here.events)

    async def _follow_the_router_here(self) -> None:
        """Show what the router here records, which it tells when etcd is down as well."""
        while True:
            await asyncio.sleep(LOCAL_S)
            here = await local(self._session.settings().socket) if self._begun else None
            if here is not None and here.silent_s is not None and here.silent_s > SILENT_S:
                self._show(here.events)

    def _show(self, found: Sequence[Event]) -> None:
        """Show those that were not shown yet; at the beginning the last ones of them."""
        new = [one for one in found if one.id not in self._shown]
        self._shown.update(one.id for one in new)
        for one in new if self._begun else new[max(0, len(new) - self._count) :]:
            as_json = self._session.json
            click.echo(json.dumps(one.model_dump(mode="json"), ensure_ascii=False) if as_json else _line(one))
        self._begun = True


def _line(one: Event) -> str:
    return printable(f"{one.time}  {one.router or '-'}  {one.kind or '-'}  {one.text}".rstrip())
