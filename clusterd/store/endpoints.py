"""Where etcd is and who we are to it: addresses, TLS files and login, checked once, at the start."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import grpc.aio

from clusterd.errors import ConfigError, Problem
from clusterd.store.certificates import Certificates, Files

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
    It is in `password`, or in a file that is read again for every login.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    password_file: Path | None = None
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
    """Checked addresses (``host:port``), certificates where TLS is to be used, and the login."""

    targets: tuple[str, ...]
    tls: Certificates | None
    user: str
    password: Callable[[], str] = field(repr=False)

    def channel(self, target: str) -> grpc.aio.Channel:
        """Return a new channel to one member."""
        if self.tls is None:
            return grpc.aio.insecure_channel(target, options=OPTIONS)
        return grpc.aio.secure_channel(target, self.tls.channel, options=OPTIONS)


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def password_in(file: Path) -> str:
    """Return the password in a file. Raises ConfigError where it cannot be read."""
    try:
        return file.read_text().removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(0, "password_file", f"cannot read {file}: {error}")]) from error


def _password(credentials: Credentials) -> str:
    """Return the password as it is now."""
    return password_in(credentials.password_file) if credentials.password_file else credentials.password


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
    password = _password(credentials)
    if bool(credentials.user) != bool(password):
        problems.append(Problem(0, "etcd", "a login needs a user and a password"))
    outside = [target for host, target, tls in places if not tls and not _loopback(host)]
    if password and outside and not credentials.password_in_clear:
        where = ", ".join(outside)
        problems.append(Problem(0, "etcd", f"the password would go to {where} in clear: use https:// endpoints"))
    tls = _certificates(credentials, problems) if True in secure or credentials.tls else None
    if problems:
        raise ConfigError(problems)
    targets = tuple(target for _, target, _ in places)
    return Access(targets, tls if True in secure else None, credentials.user, lambda: _password(credentials))


def _certificates(credentials: Credentials, problems: list[Problem]) -> Certificates | None:
    try:
        return Certificates(Files(credentials.ca_file, credentials.cert_file, credentials.key_file))
    except ConfigError as error:
        problems += error.problems
        return None
