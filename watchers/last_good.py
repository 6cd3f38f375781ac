"""The last good configuration on disk: what a router starts from when etcd is away."""

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusterd import document
from clusterd.configuration.objects import Objects
from clusterd.errors import ConfigError
from clusterd.model import Cluster
from clusterd.weights import Drains
from watchers.logs import tagged

log = logging.getLogger("clusterd.router")


@dataclass(frozen=True, slots=True)
class LastGood:
    """A configuration that this router has accepted, with its commit's number and hash, and the peers' secret.

    `drains` says since when it drains which servers.
    """

    number: int
    hash: str
    cluster: Cluster
    secret: bytes = b""
    drains: Drains = field(default_factory=dict)


def load(path: Path) -> LastGood | None:
    """Return what was saved, or None where there is nothing that can be read (which is logged)."""
    try:
        data = json.loads(path.read_text())
        cluster = document.from_objects(data["objects"])
        drains = {str(name): float(since_s) for name, since_s in data.get("drains", {}).items()}
        return LastGood(int(data["number"]), str(data["hash"]), cluster, bytes.fromhex(data["secret"]), drains)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, ConfigError) as error:
        log.error("%s cannot be read, going on without it: %s", path, error, extra=tagged("file", file=path))
        return None


def save(path: Path, good: LastGood, objects: Objects | None = None) -> None:
    """Write it, readable by the owner alone. Raises OSError (a full disk) and then leaves the old file.

    `objects` are those that its cluster was made of; without them they are made anew.
    """
    head = {"number": good.number, "hash": good.hash, "secret": good.secret.hex(), "drains": dict(good.drains)}
    made = Objects.of(document.objects(good.cluster)) if objects is None else objects
    write_atomically(path, _parts(head, made), 0o600)


def _parts(head: Mapping[str, Any], objects: Objects) -> Iterator[str]:
    """Yield the file's text: a line for each object."""
    yield f'{json.dumps(head)[:-1]}, "objects": {{'
    separator = "\n"
    for name, text in objects.texts():
        yield f"{separator}{json.dumps(name)}: {text}"
        separator = ",\n"
    yield "\n}}\n"


def write_atomically(path: Path, parts: Iterable[str], mode: int = 0o644) -> None:
    """Replace a file's content so that a reader, or a crash, sees the old or the new one, whole. Raises OSError.

    The text comes in parts, since all of a big one would take its size in memory several times over.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)  # a full disk should not be made fuller
        raise
