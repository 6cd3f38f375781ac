"""clusterd adopt: what was written into etcd past the commits becomes one, or goes away."""

import json
from dataclasses import replace
from typing import Any

import click

from clusterd import document
from clusterd.commands.proposal import EditCommand, Manner, carry_out, edit_options
from clusterd.commands.session import Session, pass_session
from clusterd.configuration import Committed
from clusterd.errors import ConfigError, Problem
from clusterd.keys import Keys
from clusterd.store.contract import Store


@click.command(cls=EditCommand, short_help="Commit, or undo, what was written past the commits.")
@click.option("--undo", is_flag=True, help="Write the committed values back instead.")
@edit_options
@pass_session
def adopt(session: Session, undo: bool, manner: Manner) -> None:
    """Commit the objects that somebody changed in etcd without a commit; routers do not follow them until then.

    \b
    clusterd adopt --dry-run      (shows them)
    clusterd adopt --undo --yes   (writes the committed values back)
    """
    manner.check_answerable()
    base = session.committed()
    if undo or not base.strays:
        carry_out(session, base, base.cluster, manner)
        return
    found = session.run(lambda store, keys: _present(store, keys, base))
    carry_out(session, base, document.from_objects(found), replace(manner, adopts=True))


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
