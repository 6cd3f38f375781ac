"""clusterd apply: a document from a file becomes the configuration."""

import click

from clusterd import document
from clusterd.commands.proposal import EditCommand, Manner, carry_out, edit_options
from clusterd.commands.session import Session, pass_session
from clusterd.commands.streams import read_input


@click.command(cls=EditCommand, short_help="Commit a document.")
@click.option("-f", "--file", metavar="FILE", required=True, help="The whole document; - is stdin.")
@edit_options
@pass_session
def apply(session: Session, file: str, manner: Manner) -> None:
    """Make a document the configuration: check it, show what would change, commit it.

    \b
    clusterd show > all.yaml
    clusterd apply -f all.yaml -m "two more servers"
    """
    manner.check_answerable()
    cluster = document.parse(read_input(file))
    carry_out(session, session.committed(), cluster, manner)
