"""clusterd events: what happened, newest last."""

import json
from contextlib import aclosing

import click

from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json, printable
from clusterd.errors import Compacted
from clusterd.keys import Keys
from clusterd.reports import Event, event
from clusterd.store.contract import Entry, Snapshot, Store


@click.command(short_help="Show what happened: takeovers, servers up and down, drift.")
@click.option("-n", "count", metavar="N", type=click.IntRange(min=0), default=20, show_default=True, help="How many.")
@click.option("--follow", "-f", is_flag=True, help="Show what happens from now on, too, until Ctrl-C.")
@json_option
@pass_session
def events(session: Session, count: int, follow: bool) -> None:
    """Show the last events, newest last: time, router, kind, and what happened. They are kept for days.

    With --follow and --json each event is one line of JSON.

    \b
    clusterd events -n 5
    clusterd events --follow
    """
    if follow:
        session.run(lambda store, keys: _follow(session, store, keys, count))
    snapshot, keys = session.run(_read)
    found = _last(snapshot, keys, count)
    if session.json:
        echo_json([one.model_dump(mode="json") for one in found])
        return
    for one in found:
        click.echo(_line(one))


async def _read(store: Store, keys: Keys) -> tuple[Snapshot, Keys]:
    return await store.snapshot(keys.events_prefix), keys


def _last(snapshot: Snapshot, keys: Keys, count: int) -> list[Event]:
    entries = snapshot.entries[max(0, len(snapshot.entries) - count) :]
    return [_event(entry, keys) for entry in entries]


def _event(entry: Entry, keys: Keys) -> Event:
    return event(entry.key.removeprefix(keys.events_prefix), entry.value)


async def _follow(session: Session, store: Store, keys: Keys, count: int) -> None:
    """Show the last events and all that come, for ever."""
    shown: set[str] = set()
    while True:
        snapshot = await store.snapshot(keys.events_prefix)
        for one in _last(snapshot, keys, len(snapshot.entries) if shown else count):
            _show(session, one, shown)
        shown.update(_event(entry, keys).id for entry in snapshot.entries)
        try:
            async with aclosing(store.watch(keys.events_prefix, snapshot.revision + 1)) as batches:
                async for batch in batches:
                    for change in batch.changes:
                        if isinstance(change, Entry):
                            _show(session, _event(change, keys), shown)
        except Compacted:
            continue  # what came meanwhile is still there


def _show(session: Session, one: Event, shown: set[str]) -> None:
    if one.id not in shown:
        shown.add(one.id)
        line = json.dumps(one.model_dump(mode="json"), ensure_ascii=False) if session.json else _line(one)
        click.echo(line)


def _line(one: Event) -> str:
    return printable(f"{one.time}  {one.router or '-'}  {one.kind or '-'}  {one.text}".rstrip())
