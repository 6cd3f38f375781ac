"""clusterd plan: what the router on this host would do to its kernel now."""

import asyncio

import click

from clusterd.commands.exits import NotApplied
from clusterd.commands.session import Session, json_option, pass_session
from clusterd.commands.streams import echo_json
from clusterd.errors import ApplyError
from clusterd.observing import planned


@click.command(short_help="Show what this router would do to its kernel now.")
@json_option
@pass_session
def plan(session: Session) -> None:
    """Show the operations that would make this host's kernel what is wanted, one a line, and carry none of them out.

    The kernel is read for it. A router does by itself, within ten seconds, what is shown here; what stays, the kernel
    refuses: clusterd status says why. Ends with exit code 6 where there is something to do.

    \b
    clusterd plan
    clusterd plan --json
    """
    socket = session.settings().plan_socket
    found = asyncio.run(planned(socket))
    if found is None:
        raise ApplyError(
            f"no router tells at {socket}: run this on a router's host, while clusterd-router runs there and follows a "
            "commit, as root or as somebody who may use that socket"
        )
    if found.problem:
        raise ApplyError(f"router {found.router} cannot read its kernel: {found.problem}")
    if session.json:
        echo_json(found.model_dump(mode="json", exclude={"problem"}))
    for operation in () if session.json else found.operations:
        click.echo(operation)
    if found.operations:
        raise NotApplied(f"router {found.router}: {len(found.operations)} to do for commit {found.commit}")
    if not session.json:
        click.echo(f"nothing to do: the kernel of {found.router} is as commit {found.commit} wants it", err=True)
