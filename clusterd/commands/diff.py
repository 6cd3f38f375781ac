"""clusterd diff: what differs between two commits, or a commit and a file."""

from collections.abc import Mapping
from typing import Any

import click

from clusterd import document
from clusterd.changes import changes
from clusterd.commands.records import objects_after, plain
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json, printable, read_input
from clusterd.configuration import Committed


@click.command(short_help="Compare commits, or a commit and a file.")
@click.argument("first", metavar="[A]", default="")
@click.argument("second", metavar="[B]", default="")
@json_option
@pass_session
def diff(session: Session, first: str, second: str) -> None:
    """Show what changed from A to B. Each is the number of a commit, or a file with a document (- is stdin).

    Of one number: what changed since that commit. Of one file: what `apply` of it would change. Of nothing: what the
    last commit changed. Commit 0 is an empty cluster; a file whose name is a number is written ./5.

    \b
    clusterd diff 3 5
    clusterd diff new.yaml
    """
    base = session.committed()
    last = str(base.number)
    if not first:
        first, second = str(base.number - 1), last
    elif not second:
        first, second = (first, last) if first.isdecimal() else (last, first)
    found = changes(_objects(session, base, first), _objects(session, base, second))
    if session.json:
        echo_json({"from": first, "to": second, "changes": plain(found)})
        return
    for change in found:
        click.echo(printable(str(change)))


def _objects(session: Session, base: Committed, said: str) -> Mapping[str, Any]:
    if said.isdecimal():
        return objects_after(session, base, int(said))
    return document.objects(document.parse(read_input(said)))
