"""clusterd adopt: what is in etcd without a commit becomes one or goes; routers follow a restored etcd."""

import json
from dataclasses import replace
from typing import Any

import click

from clusterd import document
from clusterd.commands.author import author
from clusterd.commands.proposal import EditCommand, Manner, ask, carry_out, edit_options
from clusterd.commands.session import Session, pass_session
from clusterd.commands.streams import echo_json, printable
from clusterd.configuration import Committed
from clusterd.configuration.forgotten import forgotten, give_up
from clusterd.errors import ConfigError, Problem
from clusterd.keys import Keys
from clusterd.store.contract import Store


@click.command(cls=EditCommand, short_help="Commit, or undo, what was written past the commits.")
@click.option("--undo", is_flag=True, help="Write the committed values back instead.")
@click.option("--restored", is_flag=True, help="Have routers follow an etcd that was restored to an older state.")
@edit_options
@pass_session
def adopt(session: Session, undo: bool, restored: bool, manner: Manner) -> None:
    """Commit the objects that somebody changed in etcd without a commit; routers do not follow them until then.

    Or, with --restored, give up the commits that routers follow and that this etcd does not have: they go over to
    what it has. A router that is not alive meanwhile needs it again when it is.

    \b
    clusterd adopt --dry-run      (shows them)
    clusterd adopt --undo --yes   (writes the committed values back)
    clusterd adopt --restored
    """
    if undo and restored:
        raise click.UsageError("--undo and --restored are two things: one after the other")
    manner.check_answerable()
    base = session.committed()
    if restored:
        _restored(session, base, manner)
        return
    if undo or not base.strays:
        carry_out(session, base, base.cluster, manner)
        return
    found = session.run(lambda store, keys: _present(store, keys, base))
    carry_out(session, base, document.from_objects(found), replace(manner, adopts=True))


def _restored(session: Session, base: Committed, manner: Manner) -> None:
    """Say which routers go over to what etcd has, ask, and tell them."""
    found = session.run(lambda store, keys: forgotten(store, keys, base))
    if not session.json:
        for router, followed in found.items():
            told = f"router {printable(router)} follows commit {followed.number}, which this etcd does not have"
            click.echo(f"{told}: it is to follow commit {base.number}")
    done = bool(found) and not manner.dry_run
    if done:
        ask(manner)
        who = str(author(session.settings()))
        session.run(lambda store, keys: give_up(store, keys, base, found.values(), who))
    if session.json:
        routers = {router: followed.model_dump() for router, followed in found.items()}
        echo_json({"commit": base.number, "given_up": routers, "done": done})
    elif not found:
        click.echo("nothing to adopt: every router that is alive follows a commit that this etcd has")
    else:
        click.echo("done: they follow it within a second" if done else "dry run: nothing was told to routers")


async def _present(store: Store, keys: Keys, base: Committed) -> dict[str, Any]:
    """Return the objects as they stand in etcd. Raises ConfigError, with the key as the path, where one is no JSON."""
    prefix = keys.config(base.head.generation)
    snapshot = await store.snapshot(prefix)
    objects: dict[str, Any] = {}
    for entry in snapshot.entries:
        try:
            objects[entry.key.removeprefix(prefix)] = json.loads(entry.value)
        except (ValueError, RecursionError) as error:
            raise ConfigError([Problem(0, entry.key, f"not valid JSON: {error}; --undo writes it back")]) from error
    return objects
