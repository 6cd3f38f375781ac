"""clusterd top: what goes through this router, live."""

import asyncio
import dataclasses
import sys
import time
from collections.abc import Awaitable, Callable

import click

from clusterd.commands.exits import Stopped
from clusterd.commands.looking import Looking
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json
from clusterd.errors import ApplyError
from clusterd.keys import Keys
from clusterd.observing import local
from clusterd.overview import with_counters
from clusterd.store.contract import Store
from clusterd.traffic import NAME, ORDERS, Line, Sample, arranged, lines, routers_line

EVERY_S = 2.0  # the kernel sums its counters up every two seconds (ip_vs_est.c)
Source = Callable[[], Awaitable[Sample]]


@click.command(short_help="Show what goes through this router, live.")
@click.option("--sort", type=click.Choice([*ORDERS, NAME]), default="connections", show_default=True, help="By what.")
@click.option("--filter", "wanted", metavar="TEXT", default="", help="Only what has this in name, address or state.")
@click.option(
    "--interval", "every_s", metavar="S", type=click.FloatRange(min=0.2), default=EVERY_S, show_default=True,
    help="Seconds from one look to the next.",
)  # fmt: skip
@click.option("--once", is_flag=True, help="Print one table and end; so it is where stdout is no terminal.")
@json_option
@pass_session
def top(session: Session, sort: str, wanted: str, every_s: float, once: bool) -> None:
    """Show connections, packets and bytes per second of virtual servers and real servers, the busiest first.

    It counts what IPVS on this host counts, so it is for a router's host; also while etcd is down. Keys: c, p, b, a, n
    sort by connections, packets, bytes, active connections and name; / filters; space pauses; enter folds and unfolds a
    virtual server, e all of them; q ends.

    \b
    clusterd top
    clusterd top --once --sort bytes
    """
    if once or session.json or not sys.stdout.isatty():
        found, view = session.run(lambda store, keys: _measured(_source(session, store, keys), every_s))
        _print(session, arranged(found, sort, wanted), view)
        return
    from clusterd.commands.top_view import Top  # textual takes a while to load

    async def show(store: Store, keys: Keys) -> int:
        source = _source(session, store, keys)
        app = Top(source, await source(), every_s, (sort, wanted))
        await app.run_async()
        return app.return_code or 0

    if session.run(show):
        raise Stopped("stopped")


def _source(session: Session, store: Store, keys: Keys) -> Source:
    """Return what looks: at etcd, and for the counters at the router on this host, or at that alone."""
    socket, looking = session.settings().socket, Looking(session, store, keys)

    async def sample() -> Sample:
        here = await local(socket)
        now_s = time.monotonic()
        if here is None:
            raise ApplyError(
                f"no router tells at {socket}: run this on a router's host, while clusterd-router runs there and "
                "follows a commit, as root or as somebody who may use that socket"
            )
        found = await looking.look()
        if found is None:
            return Sample(now_s, here.overview, f"etcd does not answer: this is what router {here.router} knows")
        return Sample(now_s, with_counters(found.view, here.overview))

    return sample


async def _measured(source: Source, every_s: float) -> tuple[tuple[Line, ...], Sample]:
    before = await source()
    await asyncio.sleep(every_s)
    after = await source()
    return lines(before, after), after


def _print(session: Session, found: tuple[Line, ...], sample: Sample) -> None:
    if session.json:
        echo_json(
            {
                "told_by": sample.view.told_by,
                "counted_by": sample.view.counted_by,
                "lines": [_plain(one) for one in found],
            }
        )
        return
    from clusterd.commands.tables import Cell, Rows, show  # rich takes a while to load
    from clusterd.commands.top_cells import SPARE, TITLES, cells

    note = [Cell(sample.note, "bold red")] if sample.note else []
    show([*note, Cell(routers_line(sample.view)), Cell(""), Rows(TITLES, [cells(one) for one in found], SPARE)])


def _plain(line: Line) -> dict[str, object]:
    fields = {field.name: getattr(line, field.name) for field in dataclasses.fields(line)}
    return {**fields, "rates": line.rates.model_dump() if line.rates else None}
