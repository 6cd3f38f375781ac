"""What there is in etcd beside the configuration, read at one revision; and what the router on this host tells."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from clusterd import undoing
from clusterd.configuration import Committed
from clusterd.desired import ServerId
from clusterd.errors import ConfigError
from clusterd.keys import Keys
from clusterd.overview import Holder, Observed, Overview
from clusterd.reports import (
    AppliedReport,
    Event,
    Pause,
    PoolReport,
    Switchover,
    VerdictReport,
    applied_report,
    pause,
    pool_report,
    router_report,
    switchover,
    verdict_report,
)
from clusterd.store.contract import Entry, Snapshot, Store

LOCAL_TIMEOUT_S = 3.0
PLAN_TIMEOUT_S = 60.0  # a large table takes its time to be read
LONGEST_ANSWER_BYTES = 256 * 1024 * 1024
_T = TypeVar("_T", bound=BaseModel)


class Local(BaseModel):
    """What the router on this host answers over its socket: the cluster as it sees it, and the objects it follows.

    `silent_s` is how long etcd has not answered it, `events` what it recorded last.
    """

    router: str
    overview: Overview
    objects: Mapping[str, Any] = {}
    silent_s: float | None = None
    events: tuple[Event, ...] = ()


class Planned(BaseModel):
    """What the router on this host would do to its kernel now, so that it is as the commit that it follows wants it.

    `problem` says why that cannot be told.
    """

    router: str
    commit: int
    operations: tuple[str, ...] = ()
    problem: str = ""


async def observe(store: Store, keys: Keys, base: Committed) -> tuple[Observed, int]:
    """Return what there is, and the revision to watch from. Raises the store's errors."""
    snapshot = await store.snapshot(
        keys.routers_prefix,
        keys.active_prefix,
        keys.health_prefix,
        keys.weights_prefix,
        keys.pause_prefix,
        keys.switchover_prefix,
    )
    routers = _named(snapshot, keys.routers_prefix)
    found = Observed(
        routers={name: router_report(entry.value) for name, entry in routers},
        leases_s=await _leases_s(store, {name: entry.lease_id for name, entry in routers if entry.lease_id}),
        holders=tuple(holder for holder, _ in holders(snapshot, keys)),
        verdicts=_verdicts(_named(snapshot, keys.health_prefix)),
        pools=_pools(_named(snapshot, keys.weights_prefix)),
        pauses=pauses(snapshot, keys),
        switchovers=switchovers(snapshot, keys),
        pending=await _pending(store, keys),
        strays=base.strays,
        head_hash=base.head.hash,
    )
    return found, snapshot.revision


async def applied(store: Store, keys: Keys, number: int) -> list[AppliedReport]:
    """Return when routers saw and applied a commit, as far as they still tell."""
    prefix = keys.applied(number, "")
    entries = (await store.snapshot(prefix)).entries
    return [applied_report(entry.key.removeprefix(prefix), entry.value) for entry in entries]


def holders(snapshot: Snapshot, keys: Keys) -> tuple[tuple[Holder, int], ...]:
    """Return who has which lock, and under which lease."""
    return tuple((_held(group, entry), entry.lease_id) for group, entry in _named(snapshot, keys.active_prefix))


def pauses(snapshot: Snapshot, keys: Keys) -> tuple[Pause, ...]:
    """Return the pauses that hold."""
    return tuple(pause(name, entry.value) for name, entry in _named(snapshot, keys.pause_prefix))


def switchovers(snapshot: Snapshot, keys: Keys) -> tuple[Switchover, ...]:
    """Return the hand-overs that are asked for."""
    return tuple(switchover(name, entry.value) for name, entry in _named(snapshot, keys.switchover_prefix))


def _named(snapshot: Snapshot, prefix: str) -> Sequence[tuple[str, Entry]]:
    return [(e.key.removeprefix(prefix), e) for e in snapshot.entries if e.key.startswith(prefix)]


def _held(group: str, entry: Entry) -> Holder:
    return Holder(group=group, router=entry.value.decode(errors="replace"), token=entry.create_revision)


async def _leases_s(store: Store, leases: Mapping[str, int]) -> dict[str, float]:
    left_s = await asyncio.gather(*map(store.time_left_s, leases.values()))
    return dict(zip(leases, left_s, strict=True))


def _verdicts(entries: Sequence[tuple[str, Entry]]) -> dict[ServerId, tuple[VerdictReport, ...]]:
    found: dict[ServerId, tuple[VerdictReport, ...]] = {}
    for name, entry in entries:
        match name.split("/"):
            case virtual, server, observer:
                told = verdict_report(observer, entry.value)
                found[(virtual, server)] = (*found.get((virtual, server), ()), told)
    return found


def _pools(entries: Sequence[tuple[str, Entry]]) -> dict[tuple[str, str], PoolReport]:
    found: dict[tuple[str, str], PoolReport] = {}
    for name, entry in entries:
        virtual, _, router = name.partition("/")
        if report := pool_report(entry.value):
            found[virtual, router] = report
    return found


async def _pending(store: Store, keys: Keys) -> tuple[str, ...]:
    try:
        return tuple(one.pending.told() for one in await undoing.waiting(store, keys))
    except ConfigError as error:
        return (str(error),)


async def local(socket: Path) -> Local | None:
    """Return what the router on this host tells, None where there is none or it does not answer."""
    return await _told(socket, Local, LOCAL_TIMEOUT_S)


async def planned(socket: Path) -> Planned | None:
    """Return what the router on this host would do, None where there is none or it does not answer."""
    return await _told(socket, Planned, PLAN_TIMEOUT_S)


async def _told(socket: Path, kind: type[_T], timeout_s: float) -> _T | None:
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_unix_connection(str(socket), limit=LONGEST_ANSWER_BYTES)
            try:
                line = await reader.readline()
            finally:
                writer.close()
        return kind.model_validate(json.loads(line))
    except (OSError, ValueError, TimeoutError, ValidationError):
        return None
