"""clusterd import: another program's configuration as a document."""

from collections.abc import Callable, Sequence

import click

from clusterd import document, lvscf
from clusterd.commands.proposal import EditCommand, Manner, carry_out, edit_options
from clusterd.commands.session import Session, pass_session
from clusterd.commands.streams import printable, read_input, warn
from clusterd.errors import Problem
from clusterd.model import Cluster


def _lvs_cf(text: bytes) -> tuple[Cluster, Sequence[Problem]]:
    reading = lvscf.read(text)
    return reading.cluster, reading.warnings


FORMATS: dict[str, Callable[[bytes], tuple[Cluster, Sequence[Problem]]]] = {"lvs.cf": _lvs_cf}


@click.command(cls=EditCommand, name="import", short_help="Read another program's format.")
@click.argument("source", metavar="FORMAT", type=click.Choice(list(FORMATS)))
@click.argument("file", metavar="FILE")
@click.option("--apply", "commits", is_flag=True, help="Commit it, in the place of what is committed.")
@edit_options
@pass_session
def import_file(session: Session, source: str, file: str, commits: bool, manner: Manner) -> None:
    """Turn FILE (- is stdin), which is in another program's FORMAT (lvs.cf), into a document on stdout.

    What cannot be carried over is told on stderr.
    """
    if commits:
        manner.check_answerable()
    cluster, warnings = FORMATS[source](read_input(file))
    for warning in warnings:
        warn(printable(str(warning)))
    if commits:
        carry_out(session, session.found(), cluster, manner)
    else:
        click.echo(document.dump(cluster), nl=False)
