"""clusterd status: routers, virtual servers and real servers at one look."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from clusterd import document
from clusterd.commands.exits import NotApplied
from clusterd.commands.looking import Looking, look
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json
from clusterd.errors import StoreUnavailable, wrong
from clusterd.keys import Keys
from clusterd.looking import changed, counted
from clusterd.observing import Local, local
from clusterd.overview import Overview
from clusterd.store.contract import Store

if TYPE_CHECKING:
    from clusterd.commands.tables import Part

EVERY_S = 1.0  # so often --watch looks even when nothing changes: leases and rates do
_LEAST_S = 0.2


@click.command(short_help="Show how the cluster is.")
@click.argument("names", metavar="[VIRTUAL]...", nargs=-1)
@click.option("--watch", is_flag=True, help="Show it again whenever something changes, until Ctrl-C.")
@json_option
@pass_session
def status(session: Session, names: tuple[str, ...], watch: bool) -> None:
    """Show routers, virtual servers and real servers, or only these virtual servers, and what is wrong.

    Weights are those that a server has now; "0 of 2" says that it would have 2. Connections and rates are those of the
    router on this host. While etcd is down that router tells what it knows. Ends with exit code 6 where a live router
    has not applied the last commit or no router is alive, and with 4 where etcd does not answer.

    \b
    clusterd status
    clusterd status web --watch
    clusterd status --json
    """
    if watch:
        session.run(lambda store, keys: _watch(session, store, keys, names))
    try:
        view = session.run(lambda store, keys: _looked(session, store, keys))
    except StoreUnavailable:
        known = asyncio.run(local(session.settings().socket))
        if known is None:
            raise
        _show(session, _only(known.overview, names), known)
        raise
    _show(session, _only(view, names))
    if view.late:
        raise NotApplied("; ".join(view.late))


def _show(session: Session, view: Overview, known: Local | None = None) -> None:
    if session.json:
        echo_json(view.model_dump(mode="json"))
        return
    from clusterd.commands import tables  # rich takes a while to load

    tables.show(_drawn(view, known))


def _drawn(view: Overview, known: Local | None = None) -> "Sequence[Part]":
    from clusterd.commands.overview_tables import drawn

    return drawn(view, datetime.now(UTC), known)


def _only(view: Overview, names: tuple[str, ...]) -> Overview:
    """Return the overview with these virtual servers; ConfigError where one is not there."""
    if not names:
        return view
    there = {virtual.name: virtual for virtual in view.virtuals}
    for name in names:
        if name not in there:
            raise wrong(f"virtuals/{name}", "is not there" + document.suggestion(name, there))
    return view.model_copy(update={"virtuals": tuple(there[name] for name in dict.fromkeys(names))})


async def _looked(session: Session, store: Store, keys: Keys) -> Overview:
    return await counted((await look(session, store, keys)).view, session.settings().socket)


async def _watch(session: Session, store: Store, keys: Keys, names: tuple[str, ...]) -> None:
    """Show how things are, for ever."""
    from clusterd.commands import tables

    clock, looking = asyncio.get_running_loop(), Looking(session, store, keys)
    with tables.live() as display:
        while True:
            began_s, known, revision = clock.time(), None, 0
            if found := await looking.look():
                view = await counted(found.view, session.settings().socket)
                revision = found.next_revision
            elif (known := await local(session.settings().socket)) is not None:
                view = known.overview
            else:
                display([tables.Cell(str(looking.trouble), "red")])
                await asyncio.sleep(EVERY_S)
                continue
            view = _only(view, names)
            if session.json:
                click.echo(json.dumps(view.model_dump(mode="json"), ensure_ascii=False))
            else:
                display(_drawn(view, known))
            if revision:
                await asyncio.sleep(_LEAST_S + 2 * (clock.time() - began_s))
            await changed(store, keys, revision, EVERY_S)
