"""The TLS files of a connection to etcd, which are replaced while programs run: certificates end.

A file may be written while it is read, and a certificate comes before its key: new files count from the moment at
which they fit together and stand still. Until then, and where they never fit, the ones before go on.
"""

import logging
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import grpc

from clusterd.errors import ConfigError, Problem

LOOK_S = 1.0

log = logging.getLogger(__name__)

_Print = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Files:
    """Where they are: PEM files, or None where one is not used."""

    ca: Path | None
    cert: Path | None
    key: Path | None

    def named(self) -> tuple[tuple[str, Path], ...]:
        """Return those that are used, with what they are."""
        all_ = (("CA certificate", self.ca), ("client certificate", self.cert), ("client key", self.key))
        return tuple((what, path) for what, path in all_ if path)


class Certificates:
    """What the files say. Raises ConfigError where one cannot be read, or they cannot be used together."""

    def __init__(self, files: Files) -> None:
        self._files = files
        problems: list[Problem] = []
        self._seen, self.channel = _Print(), grpc.ssl_channel_credentials()
        self._looked_s = time.monotonic()
        if files.named():
            self._seen = _print(files)
            self.channel = _read(files, problems)
        if problems:
            raise ConfigError(problems)

    def renewed(self) -> bool:
        """Look at the files, at most every `LOOK_S`; tell whether there are others now, for connections to come."""
        now_s = time.monotonic()
        if now_s < self._looked_s + LOOK_S:
            return False
        self._looked_s = now_s
        seen = _print(self._files)
        if seen == self._seen:
            return False
        problems: list[Problem] = []
        made = _read(self._files, problems)
        if _print(self._files) != seen:
            return False  # they are being written
        self._seen = seen
        if problems:
            log.warning("new TLS files are not used: %s", "; ".join(problem.message for problem in problems))
            return False
        self.channel = made
        log.info("TLS files are new: %s", ", ".join(str(path) for _, path in self._files.named()))
        return True


def _print(files: Files) -> _Print:
    return tuple(_one_print(path) for _, path in files.named())


def _one_print(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(files: Files, problems: list[Problem]) -> grpc.ChannelCredentials:
    """Return what a channel needs. What is wrong is added to the problems."""
    parts: dict[str, bytes] = {}
    for what, path in files.named():
        try:
            parts[what] = path.read_bytes()
        except OSError as error:
            problems.append(Problem(0, "etcd", f"cannot read the {what} {path}: {error.strerror}"))
    if not problems:
        _try(files, problems)
    return grpc.ssl_channel_credentials(
        parts.get("CA certificate"), parts.get("client key"), parts.get("client certificate")
    )


def _try(files: Files, problems: list[Problem]) -> None:
    """Have OpenSSL look at them, since gRPC only says later that no member answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if files.ca:
            context.load_verify_locations(files.ca)
    except ssl.SSLError as error:
        problems.append(Problem(0, "etcd", f"{files.ca} holds no CA certificate: {error.reason or error}"))
    try:
        if files.cert and files.key:
            context.load_cert_chain(files.cert, files.key, password="")  # never ask at a terminal
    except ssl.SSLError as error:
        told = f"{files.cert} and {files.key} are no certificate and its key: {error.reason or error}"
        problems.append(Problem(0, "etcd", told))
