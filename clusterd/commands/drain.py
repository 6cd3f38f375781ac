"""clusterd drain, disable, enable: one real server goes out of service, or comes back."""

import dataclasses
from collections.abc import Callable
from typing import Any

import click

from clusterd.commands.durations import seconds
from clusterd.commands.proposal import EditCommand, Manner, carry_out, edit_options
from clusterd.commands.session import Session, pass_session
from clusterd.places import steps, value_at, with_values


def _place(_context: click.Context, _parameter: click.Parameter, said: str) -> str:
    """Return the server's path in the document; its own path there is understood too."""
    match steps(said):
        case (virtual, server) | ("virtuals", virtual, "servers", server):
            return f"virtuals/{virtual}/servers/{server}"
    raise click.BadParameter(f"write VIRTUAL/SERVER, such as web/rs1, not {said!r}")


def _server_options(function: Callable[..., None]) -> Callable[..., None]:
    decorated = pass_session(edit_options(function))
    decorated = click.option(
        "--for", "length_s", metavar="DURATION", callback=seconds, help="Have it undone after 30s, 10m, 2h or 1d."
    )(decorated)
    return click.argument("server", metavar="VIRTUAL/SERVER", callback=_place)(decorated)


@click.command(cls=EditCommand, short_help="Send no new connections to a server.")
@_server_options
def drain(session: Session, server: str, length_s: int | None, manner: Manner) -> None:
    """Send no new connections to a real server; those that it has go on.

    \b
    clusterd drain web/rs1 -m "new kernel" --for 2h
    clusterd enable web/rs1
    """
    _set(session, server, {"drain": True}, manner, length_s)


@click.command(cls=EditCommand, short_help="Take a server out at once.")
@_server_options
def disable(session: Session, server: str, length_s: int | None, manner: Manner) -> None:
    """Take a real server out at once, with the connections that it has.

    \b
    clusterd disable web/rs1 -m "its disk is full"
    """
    _set(session, server, {"enabled": False}, manner, length_s)


@click.command(cls=EditCommand, short_help="Use a server again.")
@_server_options
def enable(session: Session, server: str, length_s: int | None, manner: Manner) -> None:
    """Use a real server again that was drained or disabled.

    \b
    clusterd enable web/rs1
    """
    _set(session, server, {"enabled": True, "drain": False}, manner, length_s)


def _set(session: Session, server: str, values: dict[str, Any], manner: Manner, length_s: int | None) -> None:
    if length_s is not None:
        if manner.undo_after_s is not None:
            raise click.UsageError("--for and --confirmed exclude each other: both say when it is undone")
        manner = dataclasses.replace(manner, undo_after_s=length_s, undo_reason="expire")
    manner.check_answerable()
    base = session.committed()
    value_at(base.cluster, server)
    wanted = with_values(base.cluster, [(f"{server}/{key}", value) for key, value in values.items()])
    carry_out(session, base, wanted, manner)
