"""The service `clusterd-undoer`: undoes commits in time, where the routers' logins have no right to commit.

It runs wherever an operator's login is safe, on several hosts if you like: each commit is undone once. What it needs
is etcd's role ``clusterd-<cluster>-undoer``; while it lives, a key of its own says so under a lease.
"""

import asyncio
import logging
import signal
import sys

import click

from clusterd import __version__, settings
from clusterd.election import LeaseSeen
from clusterd.errors import ClusterdError
from clusterd.keys import Keys
from clusterd.reports import encoded
from clusterd.settings import Settings
from clusterd.store.contract import Store
from watchers import feeds, logs
from watchers.logs import tagged
from watchers.notifying import Notifier
from watchers.problems import Problems
from watchers.publisher import Publisher
from watchers.tasks import Tasks
from watchers.undoer import Undoer

log = logging.getLogger("clusterd.undoer")

LEASE_S = 10
REFRESH_S = 3.0


class UndoingService:
    """Undoes what is due, and tells that it is there, under the name `me`."""

    def __init__(self, me: str, store: Store, keys: Keys) -> None:
        self._me, self._store, self._keys = me, store, keys
        self._publisher = Publisher(store)
        self._undoer = Undoer("clusterd-undoer", store, keys, lambda: True, Problems())
        self._lease_id = 0

    async def run(self, over: asyncio.Event) -> None:
        """Work until it is over; then the key goes, and the lease with it."""
        tasks = Tasks()
        tasks.supervise("the lease", lambda: feeds.lease(self._store, lambda: (LEASE_S, REFRESH_S), self._leased))
        tasks.supervise("publishing", self._publisher.run)
        tasks.supervise("pending commits", self._undoer.watch)
        tasks.supervise("the right to undo", self._undoer.learn)
        tasks.supervise("undoing", self._undoer.run)
        self._publisher.want("undoer", {self._keys.undoer(self._me): encoded({"version": __version__})})
        try:
            await over.wait()
        finally:
            await tasks.end()
        await feeds.ended(self._store, self._lease_id)

    def _leased(self, seen: LeaseSeen) -> None:
        self._lease_id = seen.lease_id if seen.ttl_s > 0 else 0
        self._publisher.under(self._lease_id)


@click.command()
@click.option("--name", help="under which name it says that it is there; the host's name by default")
@click.version_option(__version__)
def main(name: str | None) -> None:
    """Undo commits that were not confirmed, or were for a time only, where the routers have no right to commit.

    Settings come from /etc/clusterd/clusterd.toml and from CLUSTERD_… variables. SIGTERM ends it.
    """
    try:
        read = settings.read({"router": name})
        logs.begin("undoer", chosen=read.log_format, cluster=read.cluster)
        asyncio.run(_serve(read))
    except (ClusterdError, OSError) as error:
        sys.exit(f"clusterd-undoer: {error}")


async def _serve(read: Settings) -> None:
    store, over, loop = settings.open_store(read), asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    where = ", ".join(read.endpoints)
    log.info("undoer %s of cluster %s, etcd at %s", read.router, read.cluster, where, extra=tagged("start"))
    notifier, tasks = Notifier(), Tasks()
    tasks.supervise("telling systemd", lambda: notifier.run(lambda: True, lambda: "looks for commits to undo"))
    try:
        await UndoingService(read.router, store, Keys(read.cluster)).run(over)
    finally:
        notifier.tell(STOPPING="1")
        await tasks.end()
        await store.close()
