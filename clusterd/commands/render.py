"""clusterd render: the configuration as text for another program."""

from collections.abc import Callable

import click

from clusterd import document
from clusterd.commands.session import Session, pass_session
from clusterd.commands.streams import printable, read_input, warn
from clusterd.model import Cluster
from renderers import lvscf
from renderers.rendering import Rendering

FORMATS: dict[str, Callable[[Cluster, int], Rendering]] = {"lvs.cf": lvscf.render}


@click.command(short_help="Write another program's format.")
@click.argument("target", metavar="FORMAT", type=click.Choice(list(FORMATS)))
@click.option("-f", "--file", metavar="FILE", help="This document instead of what is committed; - is stdin.")
@pass_session
def render(session: Session, target: str, file: str | None) -> None:
    """Print the committed configuration in another program's FORMAT (lvs.cf).

    What the format cannot say is told on stderr.
    """
    if file is None:
        committed = session.committed()
        cluster, number = committed.cluster, committed.number
    else:
        cluster, number = document.parse(read_input(file)), 1
    rendering = FORMATS[target](cluster, number)
    for warning in rendering.warnings:
        warn(printable(str(warning)))
    click.echo(rendering.text, nl=False)
