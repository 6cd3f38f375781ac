"""clusterd blame: who set each field last."""

import dataclasses
from collections.abc import Sequence

import click

from clusterd import configuration
from clusterd.changes import shown
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json, printable, warn
from clusterd.configuration import Committed
from clusterd.errors import ConfigError, wrong
from clusterd.past import Origin, blamed
from clusterd.places import steps, value_at


@click.command(short_help="Show who set each field last.")
@click.argument("path", metavar="OBJECT", default="")
@json_option
@pass_session
def blame(session: Session, path: str) -> None:
    """Show for each field of OBJECT, or for the one at its path, the last commit that changed it.

    What was always left at its default is shown only when it is asked for by its own path.

    \b
    clusterd blame virtuals/web
    clusterd blame virtuals/web/servers/rs1/weight
    """
    base = session.committed()
    place = "/".join(steps(path))
    records = session.run(configuration.records)
    if len(records) < base.number:
        warn("records are missing, so this may be wrong; see `clusterd audit verify`")
    found = _here(base, place, blamed(records, place))
    if session.json:
        echo_json([_plain(origin) for origin in found])
        return
    for origin in found:
        click.echo(_line(origin))


def _here(base: Committed, place: str, found: Sequence[Origin]) -> Sequence[Origin]:
    """Return what was found, as far as it is about this place. ConfigError where there never was such a place."""
    try:
        value = value_at(base.cluster, place)
    except ConfigError:
        if any(origin.value is None for origin in found):
            return found
        raise
    if not found:
        raise wrong(place, f"nobody ever set it: {shown(value)} is the default")
    return [
        origin if origin.path.startswith(place) else dataclasses.replace(origin, path=place, value=value)
        for origin in found
    ]


def _line(origin: Origin) -> str:
    record = origin.record
    what = f"- {origin.path}" if origin.value is None else f"{origin.path}: {shown(origin.value)}"
    why = f"  ({record.message})" if record.message else ""
    return printable(f"{record.number:>4}  {record.time[:19]}Z  {record.author}  {what}{why}")


def _plain(origin: Origin) -> dict[str, object]:
    record = origin.record
    return {
        "path": origin.path,
        "value": origin.value,
        "commit": record.number,
        "time": record.time,
        "author": record.author.model_dump(mode="json"),
        "message": record.message,
    }
