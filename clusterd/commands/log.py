"""clusterd log: the commits, newest first."""

import click

from clusterd import configuration
from clusterd.changes import summary
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json, printable
from clusterd.history import Record


@click.command(short_help="Show the last commits.")
@click.option("-n", "count", metavar="N", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@json_option
@pass_session
def log(session: Session, count: int) -> None:
    """Show the last commits, newest first: number, time, author, and why or else what.

    \b
    clusterd log -n 5
    """
    last = session.committed().number
    numbers = range(last, max(0, last - count), -1)

    found = session.run(lambda store, keys: configuration.numbered(store, keys, numbers))
    if session.json:
        echo_json([record.model_dump(mode="json") for record in found if record is not None])
        return
    for number, record in zip(numbers, found, strict=True):
        click.echo(f"{number:>4}  the record is missing" if record is None else _line(record))


def _line(record: Record) -> str:
    told = record.message or summary(configuration.changes_of(record))
    return f"{record.number:>4}  {record.time[:19]}Z  {printable(str(record.author))}  {printable(told)}"
