"""Etcd's members, each looked at by itself: for people who want to know what is wrong, not for those who use the store.

A member is asked for its status, for a linearizable read, for the list of all members and for alarms. A clock is read
from the Date of an answer over HTTP (RFC 9110, 6.6.1), which etcd gives at the same port.
"""

import asyncio
import http.client
import ssl
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from clusterd.doctor.facts import MemberFacts
from clusterd.errors import ClusterdError, StoreError
from clusterd.store._etcd3 import rpc
from clusterd.store.endpoints import DEFAULT_PORT, Credentials
from clusterd.store.session import RANGE, Effect, Method, Session

_STATUS = Method("Maintenance", "Status", Effect.NONE)
_ALARM = Method("Maintenance", "Alarm", Effect.NONE)
_LIST = Method("Cluster", "MemberList", Effect.NONE)
_ALARMS = {1: "NOSPACE", 2: "CORRUPT"}


async def members(endpoints: Sequence[str], credentials: Credentials, timeout_s: float) -> tuple[MemberFacts, ...]:
    """Return what each member says, those that are only listed by others included; each step within `timeout_s`.

    Raises ConfigError where the endpoints or the credentials cannot be used.
    """
    seen = [_Seen(endpoint, credentials, timeout_s) for endpoint in endpoints]
    await asyncio.gather(*(one.look() for one in seen))
    known = {one.member_id for one in seen} | {name for one in seen for name in (one.endpoint, _host(one.endpoint))}
    listed = {member.ID: member for one in seen for member in one.listed}
    more = [
        _Seen(member.clientURLs[0], credentials, timeout_s)
        for member in listed.values()
        if member.clientURLs and not known & {member.ID, *member.clientURLs, *map(_host, member.clientURLs)}
    ]
    await asyncio.gather(*(one.look() for one in more))
    names = {member.ID: member.name for member in listed.values()}
    unlistened = [member for member in listed.values() if not member.clientURLs]
    told = [one.facts(names.get(one.member_id, _named(one.endpoint, listed.values()))) for one in (*seen, *more)]
    return tuple(told) + tuple(
        MemberFacts(endpoint="", name=member.name, problem="it was added, and never started") for member in unlistened
    )


class _Seen:
    """One member, and what came of asking it."""

    def __init__(self, endpoint: str, credentials: Credentials, timeout_s: float) -> None:
        self.endpoint = endpoint
        self.member_id: int = 0
        self.listed: Sequence[Any] = ()
        self._session = Session([endpoint], credentials, timeout_s)
        self._problem = self._unhealthy = self._version = ""
        self._leads = False
        self._alarms: tuple[str, ...] = ()

    async def look(self) -> None:
        try:
            status = (await self._session.call(_STATUS, rpc.StatusRequest())).message
            self.member_id, self._version = status.header.member_id, status.version
            self._leads = bool(status.leader) and status.leader == self.member_id
            _, self.listed, self._alarms = await asyncio.gather(self._read(), self._list(), self._raised())
        except ClusterdError as error:
            self._problem = str(error)
        finally:
            await self._session.close()

    async def _read(self) -> None:
        try:
            await self._session.call(RANGE, rpc.RangeRequest(key=b"/clusterd/", count_only=True))
        except StoreError:
            return  # refused, by somebody who could have answered
        except ClusterdError as error:
            self._unhealthy = str(error)

    async def _list(self) -> Sequence[Any]:
        try:
            answer = await self._session.call(_LIST, rpc.MemberListRequest())
        except ClusterdError:
            return ()  # without a quorum, or not for us to know
        members: Sequence[Any] = answer.message.members
        return members

    async def _raised(self) -> tuple[str, ...]:
        try:
            answer = await self._session.call(_ALARM, rpc.AlarmRequest())
        except ClusterdError:
            return ()
        ours = [one.alarm for one in answer.message.alarms if one.memberID == self.member_id]
        return tuple(_ALARMS.get(alarm, f"alarm {alarm}") for alarm in ours)

    def facts(self, name: str) -> MemberFacts:
        return MemberFacts(
            endpoint=self.endpoint,
            problem=self._problem,
            unhealthy=self._unhealthy,
            name=name,
            version=self._version,
            leader=self._leads,
            listed=len(self.listed),
            alarms=self._alarms,
        )


def _named(endpoint: str, listed: Iterable[Any]) -> str:
    """Return the name of the member that says it is found there; it may be one that does not answer."""
    host = _host(endpoint)
    return next((str(member.name) for member in listed if host in map(_host, member.clientURLs)), "")


def _host(url: str) -> str:
    return url.rpartition("//")[2].rstrip("/")


async def clock_offset_s(endpoint: str, credentials: Credentials, timeout_s: float) -> float | None:
    """Return how much later it is at a member than here, to half a second; None where it does not tell."""
    return await asyncio.to_thread(_offset_s, endpoint, credentials, timeout_s)


def _offset_s(endpoint: str, credentials: Credentials, timeout_s: float) -> float | None:
    parts = urlsplit(endpoint if "://" in endpoint else f"{'https' if credentials.tls else 'http'}://{endpoint}")
    host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    try:
        with closing(_connection(parts.scheme, host, port, credentials, timeout_s)) as connection:
            sent = datetime.now(UTC)
            connection.request("GET", "/version")
            told = connection.getresponse().headers["Date"]
            now = datetime.now(UTC)
        there = parsedate_to_datetime(told or "")
        return (there - (sent + (now - sent) / 2)).total_seconds() + 0.5  # a Date of whole seconds is rounded down
    except (OSError, http.client.HTTPException, ValueError, TypeError):
        return None


def _connection(
    scheme: str, host: str, port: int, credentials: Credentials, timeout_s: float
) -> http.client.HTTPConnection:
    if scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
    context = ssl.create_default_context(cafile=credentials.ca_file)
    if credentials.cert_file and credentials.key_file:
        context.load_cert_chain(credentials.cert_file, credentials.key_file)
    return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
