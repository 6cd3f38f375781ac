"""clusterd show-commit: one commit, with what it changed."""

import click

from clusterd import configuration
from clusterd.commands.records import plain, recorded
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json, printable


@click.command(name="show-commit", short_help="Show one commit.")
@click.argument("number", metavar="N", type=click.IntRange(min=1))
@json_option
@pass_session
def show_commit(session: Session, number: int) -> None:
    """Show commit N: who made it, from where, when (UTC) and why, and what it changed.

    \b
    clusterd show-commit 12
    """
    record = recorded(session, number)
    changes = configuration.changes_of(record)
    if session.json:
        echo_json({**record.model_dump(mode="json"), "diff": plain(changes)})
        return
    facts = {
        "author": record.author,
        "process": f"{record.author.pid} on {record.author.host}",
        "time": record.time,
        "why": record.message or "(not said)",
        "hash": record.hash,
    }
    click.echo(f"commit {record.number}")
    for name, value in facts.items():
        click.echo(f"{name + ':':<9}{printable(str(value))}")
    click.echo()
    for change in changes:
        click.echo(printable(str(change)))
