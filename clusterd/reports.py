"""What routers and people leave in etcd beside the configuration, read so that nothing in it is an error.

A value that another version wrote, or somebody by hand, may lack fields or have strange ones: what cannot be read is
unknown (None, or nothing), and the rest counts.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from clusterd.weights.values import Reading

DRY_RUN = "dry run"  # the role of a router that has no kernel to write to
ALL = "all"  # whose pause is that of every router
ORDER_S = 30  # how long an order to hand over is good for


class Report(BaseModel):
    """A frozen value that takes what it knows and leaves the rest."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Share(Report):
    """What a router is for one group of addresses."""

    role: str = "unknown"  # active | backup
    token: int = 0
    since: str = ""


class Followed(Report):
    """A commit that a router follows."""

    number: int = 0
    hash: str = ""

    def lost_by(self, number: int, commit_hash: str, seen: int | None) -> bool:
        """Whether an etcd with this commit as its head lost the one that is followed: it was restored to before it.

        `seen` is the last commit that the router saw there: where it is a newer one, only whoever asks is behind.
        """
        if not self.hash or seen is None:
            return False
        return self.hash != commit_hash if self.number == number else seen < self.number


class RouterReport(Report):
    """A router's status key. `head` is the last commit that it has seen, `applied` the one that its kernel is.

    `follows` is the commit that it has accepted, which is another one than etcd's where that was restored.
    `undoes`: whether it has the right to commit, and so to undo commits; None: it does not say.
    """

    role: str = "unknown"
    since: str = ""
    token: int = 0
    head: int | None = None
    applied: int | None = None
    follows: Followed = Followed()
    converged: bool | None = None
    ready: bool | None = None
    not_ready: tuple[str, ...] = ()
    groups: Mapping[str, Share] = {}
    problems: tuple[str, ...] = ()
    undoes: bool | None = None
    drift: str = ""  # what others changed last in its kernel, and it repaired
    drift_at: str = ""
    warnings: tuple[str, ...] = ()  # what is not wrong now, and has faults that are known


class VerdictReport(Report):
    """What one observer says of one real server."""

    observer: str
    up: bool | None = None
    since: str = ""
    detail: str = ""


class FactorReport(Report):
    """One thing that has a say in a real server's weight."""

    name: str
    says: str = ""
    why: str = ""
    since: str = ""


class StandingReport(Report):
    """A real server's weight (None: not in the pool), and what made it so."""

    weight: int | None = None
    factors: tuple[FactorReport, ...] = ()


class PoolReport(Report):
    """What a router makes of a virtual server's real servers, where that is more than configuration and verdicts."""

    servers: Mapping[str, StandingReport] = {}
    sorry: bool = False
    alarms: tuple[str, ...] = ()


class Pause(Report):
    """A router, or all of them, is paused until a time."""

    router: str
    by: str = ""
    at: str = ""
    until: str = ""
    why: str = ""


class Switchover(Report):
    """Somebody asks that a group goes from the holder with this token to another router."""

    group: str
    to: str = ""
    token: int = 0
    by: str = ""
    at: str = ""
    why: str = ""


class Event(Report):
    """Something that happened. `more` holds what else was written with it."""

    id: str
    time: str
    kind: str = ""
    text: str = ""
    router: str = ""
    more: Mapping[str, Any] = {}


class AppliedReport(Report):
    """When a router saw a commit, and when its kernel was as that commit wants."""

    router: str
    seen: str = ""
    applied: str = ""


def router_report(value: bytes) -> RouterReport:
    """Return what a router says of itself."""
    data = _data(value)
    given, followed = _mapping(data.get("groups")), _mapping(data.get("follows"))
    groups = {
        name: Share(**_texts(share, "role", "since"), **_numbers(share, "token")) for name, share in given.items()
    }
    return RouterReport(
        **_texts(data, "role", "since", "drift", "drift_at"),
        **_numbers(data, "token", "head", "applied"),
        **_flags(data, "converged", "ready", "undoes"),
        not_ready=_list(data, "not_ready"),
        problems=_list(data, "problems"),
        warnings=_list(data, "warnings"),
        groups=groups,
        follows=Followed(**_numbers(followed, "number"), **_texts(followed, "hash")),
    )


def verdict_report(observer: str, value: bytes) -> VerdictReport:
    """Return what an observer found."""
    data = _data(value)
    return VerdictReport(observer=observer, **_flags(data, "up"), **_texts(data, "since", "detail"))


def pool_report(value: bytes) -> PoolReport | None:
    """Return what a router makes of a virtual server; None where that cannot be read."""
    try:
        return PoolReport.model_validate(_data(value))
    except ValidationError:
        return None


def agent_reading(value: bytes) -> Reading | None:
    """Return what an agent says of its real server, which counts as long as it is there; None where it says nothing."""
    data = _data(value)
    load, cores, drain = data.get("load"), data.get("cores"), data.get("drain") is True
    known = float(load) if isinstance(load, int | float) and 0 <= load < float("inf") else None
    if known is None and not drain:
        return None
    why = _texts(data, "why").get("why", "")
    return Reading(
        at_s=None,
        load=known,
        cores=cores if type(cores) is int and cores > 0 else 1,
        drain=f"its agent asks for it: {why or 'no reason given'}" if drain else "",
    )


def pause(router: str, value: bytes) -> Pause:
    """Return one pause."""
    return Pause(router=router, **_texts(_data(value), "by", "at", "until", "why"))


def switchover(group: str, value: bytes) -> Switchover:
    """Return one hand-over that was asked for."""
    data = _data(value)
    return Switchover(group=group, **_texts(data, "to", "by", "at", "why"), **_numbers(data, "token"))


def event(name: str, value: bytes) -> Event:
    """Return one event; `name` is its key without the prefix: time and id."""
    data = _data(value)
    time, _, event_id = name.rpartition("-")
    known = {"kind", "text", "router"}
    more = {key: value for key, value in data.items() if key not in known}
    return Event(id=event_id, time=time, more=more, **_texts(data, *known))


def applied_report(router: str, value: bytes) -> AppliedReport:
    """Return when a router saw and applied a commit."""
    return AppliedReport(router=router, **_texts(_data(value), "seen", "applied"))


def encoded(fields: Mapping[str, Any]) -> bytes:
    """Return a value as etcdctl shows it: one line of JSON."""
    return json.dumps(fields, ensure_ascii=False).encode()


def _data(value: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(value))
    except (ValueError, RecursionError):
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _of(kind: type, data: Any, names: tuple[str, ...]) -> dict[str, Any]:
    found = _mapping(data)
    return {name: found[name] for name in names if type(found.get(name)) is kind}


def _texts(data: Any, *names: str) -> dict[str, Any]:
    return _of(str, data, names)


def _numbers(data: Any, *names: str) -> dict[str, Any]:
    return _of(int, data, names)


def _flags(data: Any, *names: str) -> dict[str, Any]:
    return _of(bool, data, names)


def _list(data: Mapping[str, Any], name: str) -> tuple[str, ...]:
    given = data.get(name)
    return tuple(one for one in given if isinstance(one, str)) if isinstance(given, list) else ()
