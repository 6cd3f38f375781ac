"""Where etcd is and who we are to it: addresses, TLS files and login, checked once, at the start."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import grpc.aio

from clusterd.errors import ConfigError, Problem

DEFAULT_PORT = 2379

OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 10_000),  # etcd closes connections that ping more often than every 5 s
    ("grpc.keepalive_timeout_ms", 4_000),  # obeyed by grpcio before 1.60 …
    ("grpc.http2.ping_timeout_ms", 4_000),  # … which later waits 60 s unless this is set too
    ("grpc.keepalive_permit_without_calls", 0),  # etcd answers such pings with GOAWAY too_many_pings
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", -1),  # a range can be larger than gRPC's 4 MB
    ("grpc.max_send_message_length", -1),  # too large a request is for etcd to refuse
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),  # also how long one attempt to connect may take
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_http_proxy", 0),  # etcd is never reached through http_proxy
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are to etcd. Without any of it: no TLS, no login.

    `ca_file` verifies the servers (without it: the roots that gRPC ships), `cert_file` and `key_file` are a client
    certificate; all are PEM. A password is sent without TLS only to this very host, or if `password_in_clear`.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    password_in_clear: bool = False

    @property
    def tls(self) -> bool:
        """Whether any TLS file is named."""
        return any((self.ca_file, self.cert_file, self.key_file))


@dataclass(frozen=True, slots=True)
class Access:
    """Checked addresses (``host:port``), TLS credentials where TLS is to be used, and the login."""

    targets: tuple[str, ...]
    tls: grpc.ChannelCredentials | None
    user: str
    password: str = field(repr=False)

    def channel(self, target: str) -> grpc.aio.Channel:
        """Return a new channel to one member."""
        if self.tls is None:
            return grpc.aio.insecure_channel(target, options=OPTIONS)
        return grpc.aio.secure_channel(target, self.tls, options=OPTIONS)


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(path: Path | None, what: str, problems: list[Problem]) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        problems.append(Problem(0, "etcd", f"cannot read the {what} {path}: {error.strerror}"))
        return None


def _locate(url: str, tls: bool, problems: list[Problem]) -> tuple[str, str, bool]:
    """Return host, ``host:port`` and whether it is TLS; a bare ``host:port`` is what the other settings say."""
    parts = urlsplit(url if "://" in url else f"{'https' if tls else 'http'}://{url}")
    try:
        host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    except ValueError:
        host, port = "", 0
    if not host or parts.scheme not in ("http", "https") or parts.path.strip("/") or parts.username is not None:
        message = "an endpoint is http://host:port, https://host:port or host:port, without a path or a user"
        problems.append(Problem(0, "etcd", f"{message}: {_shown(url)!r} is not"))
    return host, f"[{host}]:{port}" if ":" in host else f"{host}:{port}", parts.scheme == "https"


def _shown(url: str) -> str:
    """Return the endpoint as it was typed, without a password that may stand in it."""
    return re.sub(r"^(\w+://)?.*@", r"\1...@", url)


def access(endpoints: Sequence[str], credentials: Credentials) -> Access:
    """Return how to reach etcd; ConfigError names every endpoint, file and setting that is wrong."""
    problems: list[Problem] = []
    places = [_locate(url, credentials.tls, problems) for url in endpoints]
    secure = {tls for _, _, tls in places}
    if not places:
        problems.append(Problem(0, "etcd", "no endpoint is given: name at least one, such as http://127.0.0.1:2379"))
    if len(secure) > 1:
        problems.append(Problem(0, "etcd", "some endpoints are https and some are not: use one of the two for all"))
    if credentials.tls and False in secure:
        problems.append(Problem(0, "etcd", "TLS files are given for endpoints without TLS: write https://"))
    if bool(credentials.cert_file) != bool(credentials.key_file):
        problems.append(Problem(0, "etcd", "a client certificate needs its key file, and a key file its certificate"))
    if bool(credentials.user) != bool(credentials.password):
        problems.append(Problem(0, "etcd", "a login needs a user and a password"))
    outside = [target for host, target, tls in places if not tls and not _loopback(host)]
    if credentials.password and outside and not credentials.password_in_clear:
        where = ", ".join(outside)
        problems.append(Problem(0, "etcd", f"the password would go to {where} in clear: use https:// endpoints"))
    ca = _read(credentials.ca_file, "CA certificate", problems)
    certificate = _read(credentials.cert_file, "client certificate", problems)
    key = _read(credentials.key_file, "client key", problems)
    if problems:
        raise ConfigError(problems)
    tls = grpc.ssl_channel_credentials(ca, key, certificate) if True in secure else None
    return Access(tuple(target for _, target, _ in places), tls, credentials.user, credentials.password)
