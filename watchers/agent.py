"""The agent on a real server: publishes its load, its processors, and whether it wants no new connections.

It writes one key, `load/<server>`, under a lease of its own: an etcd user whose role may write that key and nothing
else will do. The key is written when it changes, not per look; that its lease lives says that it is still true.

    running:  {"load": 0.42, "cores": 4, "drain": false, "why": ""}
    SIGUSR1, or `clusterd-agent --drain`:  drain is true until SIGUSR2, or `clusterd-agent --undrain`
    SIGTERM:  drain is true for `--linger-s` seconds, then the key goes, and the lease with it
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

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
from watchers.publisher import Publisher
from watchers.tasks import Tasks

log = logging.getLogger("clusterd.agent")

LEASE_S = 10
REFRESH_S = 3.0
LOOK_S = 0.5
LEAST_CHANGE = 0.1  # of the load average per processor: less is not worth a write
STOPPING = "it is being stopped"

Measure = Callable[[], tuple[float, int]]


def measured() -> tuple[float, int]:
    """Return the load average over one minute, and how many processors this process may use."""
    return os.getloadavg()[0], len(os.sched_getaffinity(0))


class Agent:
    """Publishes for the real server `server`. While the file `wish` is there it is drained; its text says why."""

    def __init__(self, server: str, store: Store, keys: Keys, wish: Path, measure: Measure = measured) -> None:
        self._key, self._store, self._wish, self._measure = keys.load(server), store, wish, measure
        self._publisher = Publisher(store)
        self._lease_id = 0
        self._told: tuple[float, int, bool, str] | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Wish for no more connections, and end after a while."""
        self._stopping.set()

    async def run(self, linger_s: float) -> None:
        """Publish until stopped; then wish for no connections for so long, and take the key away."""
        tasks = Tasks()
        tasks.supervise("the lease", lambda: feeds.lease(self._store, lambda: (LEASE_S, REFRESH_S), self._leased))
        tasks.supervise("publishing", self._publisher.run)
        try:
            while not self._stopping.is_set():
                self.look()
                await _happened(self._stopping, LOOK_S)
            self.look()
            await asyncio.sleep(linger_s)
        finally:
            await tasks.end()
        await feeds.ended(self._store, self._lease_id)

    def look(self) -> None:
        """Look at this host, and publish what is new."""
        load, cores = self._measure()
        why = STOPPING if self._stopping.is_set() else wished(self._wish)
        now = (round(load, 2), cores, why is not None, why or "")
        if self._told is None or now[1:] != self._told[1:] or abs(now[0] - self._told[0]) >= LEAST_CHANGE * cores:
            self._told = now
            value = encoded(dict(zip(("load", "cores", "drain", "why"), now, strict=True)))
            self._publisher.want("load", {self._key: value})

    def line(self) -> str:
        """Return what it tells, in one line."""
        load, cores, drain, why = self._told or (0.0, 0, False, "")
        return f"load {load:g} on {cores} processors" + (f"; drains: {why or 'no reason given'}" if drain else "")

    def _leased(self, seen: LeaseSeen) -> None:
        self._lease_id = seen.lease_id if seen.ttl_s > 0 else 0
        self._publisher.under(self._lease_id)


def wished(file: Path) -> str | None:
    """Return why this host wants no new connections, None where it does."""
    try:
        return file.read_text(errors="replace").strip()[:255]
    except OSError:
        return None


async def _happened(event: asyncio.Event, within_s: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), within_s)
    except TimeoutError:
        return


@click.command()
@click.option("--server", help="this real server's name in the document; the host's name by default")
@click.option("--drain", "wish", flag_value="drain", help="have the running agent ask for no new connections, and end")
@click.option("--undrain", "wish", flag_value="undrain", help="take that back, and end")
@click.option("-m", "--message", default="", help="why, with --drain")
@click.option("--linger-s", default=5.0, show_default=True, help="from asking for no connections at SIGTERM to the end")
@click.version_option(__version__)
def main(server: str | None, wish: str | None, message: str, linger_s: float) -> None:
    """Publish this real server's load, and whether it wants no new connections, for virtual servers with source agent.

    Settings come from /etc/clusterd/clusterd.toml and from CLUSTERD_… variables. SIGUSR1 asks for no new connections,
    SIGUSR2 takes that back, SIGTERM asks for none and ends.
    """
    try:
        read = settings.read({"router": server})
        logs.begin("agent", chosen=read.log_format, cluster=read.cluster, server=read.router)
        file = read.run_dir / f"{read.router}.drain"
        if wish:
            _wish(file, wish == "drain", message)
            return
        asyncio.run(_serve(read, file, linger_s))
    except (ClusterdError, OSError) as error:
        sys.exit(f"clusterd-agent: {error}")


def _wish(file: Path, drain: bool, message: str) -> None:
    if drain:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{message}\n")
    else:
        file.unlink(missing_ok=True)


async def _serve(read: Settings, file: Path, linger_s: float) -> None:
    store = settings.open_store(read)
    agent, loop = Agent(read.router, store, Keys(read.cluster), file), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, agent.stop)
    loop.add_signal_handler(signal.SIGUSR1, _wish, file, True, "SIGUSR1")
    loop.add_signal_handler(signal.SIGUSR2, _wish, file, False, "")
    where = ", ".join(read.endpoints)
    log.info("real server %s of cluster %s, etcd at %s", read.router, read.cluster, where, extra=tagged("start"))
    notifier, tasks = Notifier(), Tasks()
    tasks.supervise("telling systemd", lambda: notifier.run(lambda: True, agent.line))
    try:
        await agent.run(linger_s)
    finally:
        notifier.tell(STOPPING="1")
        await tasks.end()
        await store.close()
