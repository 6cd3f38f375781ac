"""clusterd validate: a document, checked without etcd."""

from collections.abc import Sequence

import click

from clusterd import document
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json, read_input
from clusterd.errors import ConfigError, Problem


@click.command(short_help="Check a document.")
@click.argument("file", metavar="FILE")
@json_option
@pass_session
def validate(session: Session, file: str) -> None:
    """Check the document in FILE (- is stdin), and name every problem with its path and line.

    \b
    clusterd validate all.yaml
    """
    text = read_input(file)
    try:
        cluster = document.parse(text)
    except ConfigError as error:
        if session.json:
            echo_json({"valid": False, "problems": _plain(error.problems)})
        raise
    counts = {
        "routers": len(cluster.routers),
        "virtual servers": len(cluster.virtuals),
        "real servers": sum(len(virtual.servers) for virtual in cluster.virtuals.values()),
    }
    if session.json:
        echo_json({"valid": True, "problems": [], **{name.replace(" ", "_"): n for name, n in counts.items()}})
    else:
        told = [f"{n} {name.removesuffix('s') if n == 1 else name}" for name, n in counts.items()]
        click.echo(f"valid: {', '.join(told)}")


def _plain(problems: Sequence[Problem]) -> list[dict[str, object]]:
    return [{"line": p.line, "path": p.path, "message": p.message} for p in problems]
