"""clusterd show: what is committed."""

import json
from pathlib import Path
from typing import Any

import click

from clusterd import document
from clusterd.changes import shown
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json, printable, warn
from clusterd.errors import wrong
from clusterd.model import Cluster
from clusterd.places import steps, value_at


@click.command(short_help="Show what is committed.")
@click.argument("path", metavar="[OBJECT]", default="")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), help="JSON has every default in it.")
@click.option(
    "--last-good",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What a router followed last, from the file that it keeps in its state_dir; etcd is not asked.",
)
@json_option
@pass_session
def show(session: Session, path: str, output: str | None, last_good: Path | None) -> None:
    """Show the committed configuration, or one OBJECT of it such as virtuals/web/servers.

    \b
    clusterd show virtuals/web
    clusterd show cluster/brakes -o json
    clusterd show --last-good /var/lib/clusterd/main.json
    """
    cluster = _kept(last_good) if last_good else _committed(session)
    if output == "json" or (session.json and output is None):
        echo_json(value_at(cluster, path, defaults=True))
    elif steps(path):
        click.echo(_text(value_at(cluster, path)), nl=False)
    else:
        click.echo(document.dump(cluster), nl=False)


def _committed(session: Session) -> Cluster:
    committed = session.committed()
    for name in committed.strays:
        warn(f"{printable(name)} in etcd is not what was committed; this is the committed value")
    return committed.cluster


def _kept(file: Path) -> Cluster:
    """Return the configuration in a router's file. Raises ConfigError where there is none."""
    try:
        return document.from_objects(json.loads(file.read_text())["objects"])
    except OSError as error:
        raise wrong(str(file), str(error.strerror)) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise wrong(str(file), "is not what a router keeps: <state_dir>/<cluster>.json is") from error


def _text(value: Any) -> str:
    return document.dump_data(value) if isinstance(value, dict) else shown(value) + "\n"
