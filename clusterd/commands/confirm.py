"""clusterd confirm: keep a commit that would be undone otherwise."""

from datetime import UTC, datetime

import click

from clusterd import undoing
from clusterd.commands.session import Session, pass_session
from clusterd.commands.streams import echo_json
from clusterd.errors import ConfigError, Problem
from clusterd.history import utc
from clusterd.keys import Keys
from clusterd.pending import Pending
from clusterd.store.contract import Store
from clusterd.undoing import Waiting


@click.command(short_help="Keep the commit that waits for confirmation.")
@click.argument("number", type=click.IntRange(min=1), required=False)
@pass_session
def confirm(session: Session, number: int | None) -> None:
    """Keep commit NUMBER, which was made with --confirmed; NUMBER is needed where several wait for confirmation.

    \b
    clusterd set virtuals/web/scheduler=rr --confirmed 60
    clusterd confirm
    """
    kept = session.run(lambda store, keys: _confirmed(store, keys, number))
    if session.json:
        echo_json({"confirmed": kept.number})
        return
    late = (
        f"; its time was over at {utc(kept.due)}, but no router has undone it" if kept.due < datetime.now(UTC) else ""
    )
    click.echo(f"commit {kept.number} stays{late}")


async def _confirmed(store: Store, keys: Keys, number: int | None) -> Pending:
    found = [one for one in await undoing.waiting(store, keys) if one.pending.reason == "confirm"]
    wanted = [one for one in found if number in (None, one.pending.number)]
    if len(wanted) != 1:
        raise ConfigError([Problem(0, "", _not_one(number, found))])
    await undoing.confirm(store, wanted[0])
    return wanted[0].pending


def _not_one(number: int | None, found: list[Waiting]) -> str:
    waiting = ", ".join(str(one.pending.number) for one in found)
    if number is None and waiting:
        return f"commits {waiting} wait for confirmation: say which one is to stay"
    if number is None:
        return "no commit waits for confirmation; `clusterd log` shows whether one was undone"
    return f"commit {number} does not wait for confirmation" + (f"; these do: {waiting}" if waiting else "")
