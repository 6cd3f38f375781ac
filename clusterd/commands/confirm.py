"""clusterd confirm: keep a commit that would be undone otherwise."""

import click

from clusterd import undoing
from clusterd.commands.session import Session, pass_session
from clusterd.commands.streams import echo_json
from clusterd.errors import ConfigError, Problem
from clusterd.keys import Keys
from clusterd.store.contract import Store
from clusterd.undoing import Waiting


@click.command(short_help="Keep the commit that waits for confirmation.")
@click.argument("number", type=click.IntRange(min=1), required=False)
@pass_session
def confirm(session: Session, number: int | None) -> None:
    """Keep commit NUMBER, which was made with --confirmed; without NUMBER, every commit that waits for confirmation.

    \b
    clusterd set virtuals/web/scheduler=rr --confirmed 60
    clusterd confirm
    """
    kept = session.run(lambda store, keys: _confirmed(store, keys, number))
    if session.json:
        echo_json({"confirmed": kept})
        return
    for one in kept:
        click.echo(f"commit {one} stays")


async def _confirmed(store: Store, keys: Keys, number: int | None) -> list[int]:
    found = [one for one in await undoing.waiting(store, keys) if one.pending.reason == "confirm"]
    wanted = [one for one in found if number in (None, one.pending.number)]
    if not wanted:
        raise ConfigError([Problem(0, "", _nothing(number, found))])
    for one in wanted:
        await undoing.confirm(store, one)
    return [one.pending.number for one in wanted]


def _nothing(number: int | None, found: list[Waiting]) -> str:
    waiting = ", ".join(str(one.pending.number) for one in found)
    if number is None:
        return "no commit waits for confirmation; `clusterd log` shows whether one was undone"
    return f"commit {number} does not wait for confirmation" + (f"; these do: {waiting}" if waiting else "")
