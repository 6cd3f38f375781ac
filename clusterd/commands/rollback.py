"""clusterd rollback: an earlier document again, as a new commit."""

import dataclasses

import click

from clusterd import document
from clusterd.commands.proposal import EditCommand, Manner, carry_out, edit_options
from clusterd.commands.records import objects_after
from clusterd.commands.session import Session, pass_session


@click.command(cls=EditCommand, short_help="Bring an earlier document back.")
@click.argument("number", metavar="N", type=click.IntRange(min=1))
@edit_options
@pass_session
def rollback(session: Session, number: int, manner: Manner) -> None:
    """Bring back the document as commit N left it, by a new commit; what came after N stays in the history.

    \b
    clusterd rollback 12 --dry-run
    clusterd rollback 12 -m "the new check was wrong"
    """
    manner.check_answerable()
    base = session.committed()
    cluster = document.from_objects(objects_after(session, base, number))
    why = manner.message or f"back to commit {number}"
    carry_out(session, base, cluster, dataclasses.replace(manner, message=why))
