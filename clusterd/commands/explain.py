"""clusterd explain: why a real server gets the traffic that it gets."""

import asyncio
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import click

from clusterd import configuration, document
from clusterd.commands.looking import look
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json
from clusterd.errors import StoreUnavailable, wrong
from clusterd.explanation import Explanation, Factor, explanations
from clusterd.history import Record
from clusterd.keys import Keys
from clusterd.model import Cluster
from clusterd.observing import local
from clusterd.overview import Overview
from clusterd.past import blamed
from clusterd.places import steps
from clusterd.store.contract import Store


@dataclass(frozen=True, slots=True)
class _Known:
    """What explanations are made of."""

    view: Overview
    cluster: Cluster
    records: tuple[Record, ...] | None = None  # None while etcd is down


def _place(_context: click.Context, _parameter: click.Parameter, said: str) -> tuple[str, str | None]:
    match steps(said):
        case (virtual,) | ("virtuals", virtual):
            return virtual, None
        case (virtual, server) | ("virtuals", virtual, "servers", server):
            return virtual, server
    raise click.BadParameter(f"write VIRTUAL or VIRTUAL/SERVER, such as web or web/rs1, not {said!r}")


@click.command(short_help="Tell why a server gets the traffic that it gets.")
@click.argument("place", metavar="VIRTUAL[/SERVER]", callback=_place)
@json_option
@pass_session
def explain(session: Session, place: tuple[str, str | None]) -> None:
    """Tell every factor of a real server's weight, with its reason and its time; of all of VIRTUAL's by default.

    While etcd is down the router on this host tells, except for who set a value.

    \b
    clusterd explain web/rs1
    clusterd explain web
    """
    down: StoreUnavailable | None = None
    try:
        known = session.run(lambda store, keys: _read(session, store, keys))
    except StoreUnavailable as error:
        here = asyncio.run(local(session.settings().socket))
        if here is None:
            raise
        known, down = _Known(here.overview, document.from_objects(here.objects)), error
    _show(session, _explained(known, *place))
    if down:
        raise down


async def _read(session: Session, store: Store, keys: Keys) -> _Known:
    found = await look(session, store, keys)
    return _Known(found.view, found.base.cluster, await configuration.records(store, keys))


def _explained(known: _Known, virtual: str, server: str | None) -> list[Explanation]:
    virtuals = known.cluster.virtuals
    if virtual not in virtuals:
        raise wrong(f"virtuals/{virtual}", "is not there" + document.suggestion(virtual, virtuals))
    servers = virtuals[virtual].servers
    if server is not None and server not in servers:
        raise wrong(f"virtuals/{virtual}/servers/{server}", "is not there" + document.suggestion(server, servers))
    origins = None if known.records is None else _origins(known.records, f"virtuals/{virtual}")
    found = explanations(known.view, known.cluster, virtual, origins)
    return [one for one in found if server in (None, one.server)]


def _origins(records: tuple[Record, ...], path: str) -> Mapping[str, str]:
    """Return by paths who set a value, and when."""
    return {
        origin.path: f"commit {origin.record.number} by {origin.record.author} at {origin.record.time[:19]}Z"
        + (f": {origin.record.message}" if origin.record.message else "")
        for origin in blamed(records, path)
        if origin.value is not None
    }


def _show(session: Session, found: list[Explanation]) -> None:
    if session.json:
        echo_json([dataclasses.asdict(one) for one in found])
        return
    from clusterd.commands.tables import Cell, Part, Rows, show  # rich takes a while to load

    parts: list[Part] = []
    for one in found:
        parts += [Cell("")] if parts else []
        parts.append(Cell(f"{one.virtual}/{one.server} ({one.address}): {_result(one)}", "bold"))
        rows = [[f"  {factor.name}", factor.says, _why(factor)] for factor in one.factors]
        parts.append(Rows(("  FACTOR", "SAYS", "WHY"), rows))
    show(parts or [Cell("it has no real servers")])


def _why(factor: Factor) -> str:
    return f"since {factor.since}: {factor.why}" if factor.since else factor.why


def _result(one: Explanation) -> str:
    if one.weight is None:
        return "not in the pool"
    return f"weight {one.weight}" + (f", a share of {one.share:.0%}" if one.share is not None else "")
