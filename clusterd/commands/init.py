"""clusterd init: the first commit."""

import dataclasses

import click

from clusterd import document
from clusterd.commands.proposal import EditCommand, Manner, carry_out, edit_options
from clusterd.commands.session import Session, pass_session
from clusterd.commands.streams import read_input
from clusterd.errors import UnsafeChange


@click.command(cls=EditCommand, short_help="Make the first commit.")
@click.option("-f", "--file", metavar="FILE", help="The document to begin with; an empty cluster without. - is stdin.")
@edit_options
@pass_session
def init(session: Session, file: str | None, manner: Manner) -> None:
    """Create the cluster's configuration, where there is none; does not ask.

    \b
    clusterd init -f first.yaml
    """
    cluster = document.parse(read_input(file) if file else "{}")
    found = session.found()
    if found is not None:
        name = session.settings().cluster
        raise UnsafeChange(f"cluster {name} has a configuration already (commit {found.number}): change it with edit")
    carry_out(session, None, cluster, dataclasses.replace(manner, yes=True))
