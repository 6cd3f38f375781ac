"""The console as a program: settings, logging, and the server that ends its streams when it stops."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import uvicorn

from clusterd import __version__, settings
from clusterd.errors import ClusterdError, ConfigError, Problem
from clusterd.keys import Keys
from clusterd.settings import Settings
from watchers import logs
from watchers.logs import tagged
from watchers.notifying import Notifier
from watchers.tasks import Tasks
from watchers.web.access import Access
from watchers.web.addresses import Listen, listen
from watchers.web.app import made
from watchers.web.console import Console
from watchers.web.sight import Sight
from watchers.web.streams import Streams

log = logging.getLogger("clusterd.web")

ENDING_S = 5  # what requests have that go on when the console stops
MOST_AT_ONCE = 500  # connections: those beyond are told to come again


@click.command()
@click.option("--listen", "web_listen", metavar="ADDRESS:PORT", help="Where to listen; 127.0.0.1:8480 by default.")
@click.option("--cert", "web_cert", metavar="FILE", help="Certificate (PEM), for https.")
@click.option("--key", "web_key", metavar="FILE", help="Key of the certificate.")
@click.option("--insecure-http", is_flag=True, help="Listen beyond this host without TLS: passwords can be read.")
@click.option("-v", "--verbose", is_flag=True, help="Log what is only of interest to developers, too.")
@click.version_option(__version__)
def main(insecure_http: bool, verbose: bool, **flags: str | None) -> None:
    """Serve the web console of a clusterd cluster.

    Settings come from /etc/clusterd/clusterd.toml and from CLUSTERD_… variables. Its first user is made by
    `clusterd console user add NAME --role admin`.
    """
    try:
        read = settings.read(flags)
        level = logging.DEBUG if verbose else logging.INFO
        logs.begin("web", chosen=read.log_format, level=level, cluster=read.cluster)
        where = checked(read, insecure_http)
        asyncio.run(_serve(read, where))
    except (ClusterdError, OSError) as error:
        sys.exit(f"clusterd-web: {error}")


def checked(read: Settings, insecure_http: bool) -> Listen:
    """Return where to listen. Raises ConfigError where that would carry passwords over the network for all to read."""
    where = listen(read.web_listen)
    if (read.web_cert is None) != (read.web_key is None):
        raise ConfigError([Problem(0, "web_key", "web_cert and web_key go together")])
    for name, file in (("web_cert", read.web_cert), ("web_key", read.web_key)):
        if file is not None and not file.is_file():
            raise ConfigError([Problem(0, name, f"there is no file {file}")])
    if read.web_user_header and not read.web_proxies:
        raise ConfigError([Problem(0, "web_user_header", "needs web_proxies: whose header is to be believed")])
    if not where.loopback and read.web_cert is None and not insecure_http:
        said = f"{read.web_listen} is reached from other hosts, and passwords would cross the network for all to read"
        advice = "give web_cert and web_key, listen on 127.0.0.1 behind a proxy that has them, or say --insecure-http"
        raise ConfigError([Problem(0, "web_listen", f"{said}: {advice}")])
    return where


class Server(uvicorn.Server):
    """A server that ends its streams before it waits for connections to end, and leaves signals to the service."""

    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        super().__init__(config)
        self._streams = streams

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone: uvicorn would raise them again at the end, before what is open here is closed."""
        yield

    def stop(self) -> None:
        """End soon; at the second time without waiting for anybody."""
        self.should_exit, self.force_exit = True, self.should_exit

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._streams.end()
        await super().shutdown(sockets)


async def _serve(read: Settings, where: Listen) -> None:
    store = settings.open_store(read)
    keys = Keys(read.cluster)
    sight = Sight(store, keys, read.socket)
    streams = Streams(sight)
    known = Console(store, keys, sight, Access(read, sight), streams, socket.gethostname())
    server = Server(config(known, read, where), streams)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    url, etcd = _url(read, where), ", ".join(read.endpoints)
    log.info("console of cluster %s at %s, etcd at %s", read.cluster, url, etcd, extra=tagged("start"))
    notifier, tasks = Notifier(), Tasks()
    tasks.supervise("following the cluster", sight.run)
    tasks.supervise("telling systemd", lambda: notifier.run(lambda: server.started, lambda: _status(sight, where)))
    try:
        await server.serve()
    finally:
        notifier.tell(STOPPING="1")
        await tasks.end()
        await store.close()


def _url(read: Settings, where: Listen) -> str:
    host = f"[{where.host}]" if ":" in where.host else where.host
    return f"{'http' if read.web_cert is None else 'https'}://{host}:{where.port}"


def _status(sight: Sight, where: Listen) -> str:
    trouble = sight.now.trouble
    return f"not up to date: {trouble}" if trouble else f"listens on {where.host}, port {where.port}"


def config(known: Console, read: Settings, where: Listen) -> uvicorn.Config:
    """Return how the server is to serve. Headers of proxies are for `Access` to judge."""
    return uvicorn.Config(
        made(known),
        host=where.host,
        port=where.port,
        ssl_certfile=_text(read.web_cert),
        ssl_keyfile=_text(read.web_key),
        proxy_headers=False,
        server_header=False,
        access_log=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        limit_concurrency=MOST_AT_ONCE,
        timeout_graceful_shutdown=ENDING_S,
        http="h11",
        ws="none",
    )


def _text(file: Path | None) -> str | None:
    return None if file is None else str(file)
