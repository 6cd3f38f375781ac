"""clusterd show: what is committed."""

from typing import Any

import click

from clusterd import document
from clusterd.changes import shown
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json, printable, warn
from clusterd.places import steps, value_at


@click.command(short_help="Show what is committed.")
@click.argument("path", metavar="[OBJECT]", default="")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), help="JSON has every default in it.")
@json_option
@pass_session
def show(session: Session, path: str, output: str | None) -> None:
    """Show the committed configuration, or one OBJECT of it such as virtuals/web/servers.

    \b
    clusterd show virtuals/web
    clusterd show cluster/brakes -o json
    """
    committed = session.committed()
    for name in committed.strays:
        warn(f"{printable(name)} in etcd is not what was committed; this is the committed value")
    if output == "json" or (session.json and output is None):
        echo_json(value_at(committed.cluster, path, defaults=True))
    elif steps(path):
        click.echo(_text(value_at(committed.cluster, path)), nl=False)
    else:
        click.echo(document.dump(committed.cluster), nl=False)


def _text(value: Any) -> str:
    return document.dump_data(value) if isinstance(value, dict) else shown(value) + "\n"
