"""clusterd show-commit: one commit, with what it changed."""

from datetime import datetime

import click

from clusterd import configuration
from clusterd.commands.records import plain, recorded
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json, printable
from clusterd.observing import applied
from clusterd.reports import AppliedReport


@click.command(name="show-commit", short_help="Show one commit.")
@click.argument("number", metavar="N", type=click.IntRange(min=1))
@json_option
@pass_session
def show_commit(session: Session, number: int) -> None:
    """Show commit N: who made it, from where, when (UTC) and why, what it changed, and when routers applied it.

    Routers tell that for a week.

    \b
    clusterd show-commit 12
    """
    record = recorded(session, number)
    routers = session.run(lambda store, keys: applied(store, keys, number))
    changes = configuration.changes_of(record)
    if session.json:
        echo_json(
            {**record.model_dump(mode="json"), "diff": plain(changes), "routers": [one.model_dump() for one in routers]}
        )
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
    if routers:
        click.echo()
    for one in routers:
        click.echo(printable(_line(one, record.time)))


def _line(one: AppliedReport, committed: str) -> str:
    """Say when a router saw and applied the commit, and how long after it was made, by the two hosts' clocks."""
    times = [("saw", one.seen), ("applied", one.applied)]
    told = [f"{verb} it at {time}{_after(time, committed)}" for verb, time in times if time]
    return f"{one.router} " + (" and ".join(told) or "says nothing that can be read")


def _after(time: str, committed: str) -> str:
    try:
        length_s = (datetime.fromisoformat(time) - datetime.fromisoformat(committed)).total_seconds()
    except (ValueError, TypeError):
        return ""
    return f" ({length_s:+.3f} s)"
