"""Tells Prometheus what a router knows: an HTTP server in a thread of its own.

    client ─▶ thread: accept, TLS, HTTP ─▶ the router's task: copy the figures ─▶ thread: names, text ─▶ client

The router's task only copies; it waits for no client, and where it does not answer soon the client gets an error. Its
work does not depend on any of this: where the place cannot be used, that is a problem in its status.
"""

import asyncio
import logging
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_address
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from clusterd.clock import boottime_s
from clusterd.metrics import COMMON_LABELS, Family, Figures, Histogram, families
from clusterd.plane import Scope
from clusterd.settings import Settings
from watchers.certificates import ends
from watchers.feeds import Trouble
from watchers.kernel_writer import KernelWriter
from watchers.logs import tagged
from watchers.problems import Problems

log = logging.getLogger("clusterd.router")

AGAIN_S = 30.0  # where the place cannot be used
COUNTED_S = 10.0  # the counters of IPVS are read so often …
_LARGEST_SHARE = 0.01  # … or, where that takes long, for this share of the time
_ANSWER_S = 5.0  # what the router's task has
_CLIENT_S = 10.0  # what a client has for each of its steps
_MOST_CLIENTS = 8


async def counting(writer: KernelWriter, scope: Callable[[], Scope]) -> None:
    """Have the counters of IPVS read now and then, for ever."""
    while True:
        began_s = boottime_s()
        await writer.count(scope())
        await asyncio.sleep(max(COUNTED_S, (boottime_s() - began_s) / _LARGEST_SHARE))


def exposed(family: Family) -> Metric:
    """Return a family as the client library has it."""
    metric = family.metric
    if metric.kind == "histogram":
        made = HistogramMetricFamily(metric.name, metric.meaning, labels=(*COMMON_LABELS, *metric.labels))
        for values, value in family.samples:
            if isinstance(value, Histogram):
                made.add_metric(values, value.buckets(), value.sum)
        return made
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    single = kind(metric.name, metric.meaning, labels=(*COMMON_LABELS, *metric.labels))
    for values, value in family.samples:
        if not isinstance(value, Histogram):
            single.add_metric(values, value)
    return single


class RouterCollector(Collector):
    """Asks `figures` in the loop of the router, from any other thread."""

    def __init__(self, figures: Callable[[], Figures], settings: Settings) -> None:
        self._figures, self._settings = figures, settings
        self._loop = asyncio.get_running_loop()
        self._one = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics. Raises TimeoutError where the router's task does not answer."""

        async def now() -> Figures:
            return self._figures()

        with self._one:
            found = asyncio.run_coroutine_threadsafe(now(), self._loop).result(_ANSWER_S)
            found = replace(found, certificates=ends(self._settings))
            yield from map(exposed, families(found, self._settings.metrics_series))


class Endpoint:
    """Where Prometheus asks: as the settings say."""

    def __init__(self, settings: Settings, figures: Callable[[], Figures], problems: Problems) -> None:
        self._settings, self._figures, self._problems = settings, figures, problems

    async def run(self) -> None:
        """Answer, for ever."""
        while True:
            try:
                server = _Server(self._settings, _app(RouterCollector(self._figures, self._settings)))
            except (OSError, ValueError) as error:
                self._problems.about("metrics", f"metrics cannot be told at {self._settings.metrics}: {error}")
                await asyncio.sleep(AGAIN_S)
                continue
            self._problems.about("metrics")
            log.info("metrics are told at %s", self._settings.metrics, extra=tagged("metrics"))
            threading.Thread(target=server.serve_forever, args=(0.1,), name="metrics", daemon=True).start()
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.to_thread(server.shutdown)
                server.server_close()


_Start = Callable[[str, list[tuple[str, str]]], Any]


def _app(collector: Collector) -> Callable[[dict[str, Any], _Start], Iterable[bytes]]:
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    inner = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
        try:
            found: Iterable[bytes] = inner(environ, start)
        except TimeoutError:
            start("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [f"the router did not answer within {_ANSWER_S:g} s\n".encode()]
        return found

    return app


class _Handler(WSGIRequestHandler):
    timeout = _CLIENT_S

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each client, TLS included: one that is silent holds up nobody else. Raises OSError, ValueError."""

    daemon_threads = True

    def __init__(self, settings: Settings, app: Any) -> None:
        host, port = _place(settings.metrics)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._settings = settings
        self._trouble = Trouble("the certificate for metrics")
        self._few = threading.BoundedSemaphore(_MOST_CLIENTS)
        self._tls()
        super().__init__((host, port), _Handler)
        self.set_app(app)

    def server_bind(self) -> None:
        """Bind, without asking a name server for the name of this host."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection. TLS begins in the client's own thread, with the certificate as it is now."""
        connection, address = super().get_request()
        try:
            context = self._tls()
            self._trouble.ends()
        except (OSError, ValueError) as error:
            self._trouble.begins(error)
            connection.close()
            raise OSError("no TLS") from error
        if context:
            connection = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Tell whether there is room for one more."""
        return self._few.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one client."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._few.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave a client that spoke no HTTP or TLS, or went away."""
        log.debug("a client of the metrics: %s", sys.exc_info()[1], extra=tagged("metrics"))

    def _tls(self) -> ssl.SSLContext | None:
        of = self._settings
        if not (of.metrics_cert and of.metrics_key):
            if of.metrics_cert or of.metrics_key or of.metrics_client_ca:
                raise ValueError("TLS needs metrics_cert and metrics_key")
            return None
        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(of.metrics_cert, of.metrics_key)
            if of.metrics_client_ca:
                context.load_verify_locations(of.metrics_client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
        except OSError as error:
            raise ValueError(f"the files for TLS cannot be used: {error}") from error
        return context


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        address, number = ip_address(host), int(port)
    except ValueError:
        number = 0
    if not 0 < number < 65536:
        raise ValueError("it must be address:port, as 127.0.0.1:9642 or [::1]:9642")
    return str(address), number
