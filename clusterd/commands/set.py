"""clusterd set: single values by their paths."""

from collections.abc import Mapping
from typing import Any

import click

from clusterd.commands.proposal import EditCommand, Manner, carry_out, edit_options
from clusterd.commands.session import Session, pass_session
from clusterd.commands.streams import printable, warn
from clusterd.document import parse_yaml
from clusterd.errors import ConfigError, wrong
from clusterd.places import steps, with_values


@click.command(cls=EditCommand, name="set", short_help="Set values by their paths.")
@click.argument("assignments", metavar="PATH=VALUE...", nargs=-1, required=True)
@edit_options
@pass_session
def set_values(session: Session, assignments: tuple[str, ...], manner: Manner) -> None:
    """Set values, all in one commit; each VALUE is read as YAML.

    \b
    clusterd set virtuals/web/servers/rs1/weight=3
    clusterd set 'virtuals/web/servers/rs4={address: 192.168.1.4}'
    clusterd set virtuals/web/servers/rs4=       (takes it away)
    """
    values = [_assignment(said) for said in assignments]
    manner.check_answerable()
    base = session.committed()
    for path, value in values:
        _warn_of_prefix(path, value)
    carry_out(session, base, with_values(base.cluster, values), manner)


def _warn_of_prefix(path: str, value: Any) -> None:
    """Warn where a floating address is given without the prefix of its network."""
    match steps(path):
        case ("virtuals", _) | ("cluster", "nat_router" | "nat_router6") if isinstance(value, Mapping):
            _warn_of_prefix(f"{path}/address", value.get("address"))
        case ("virtuals", _, "address") | ("cluster", "nat_router" | "nat_router6", "address"):
            if isinstance(value, str) and "/" not in value:
                given, (whole, usual) = printable(value), (128, 64) if ":" in value else (32, 24)
                it_is, may_be = f"{given}/{whole}", f"{given}/{usual}"
                warn(f"{printable(path)}: no prefix is given, so it is {it_is}; its network's may be {may_be}")


def _assignment(said: str) -> tuple[str, Any]:
    path, equals, value = said.partition("=")
    if not equals:
        raise click.UsageError(f"{said!r} has no value: write PATH=VALUE")
    try:
        return path, parse_yaml(value)[0]
    except ConfigError as error:
        raise wrong(path, "; ".join(problem.message for problem in error.problems)) from error
