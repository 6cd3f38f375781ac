"""Who asks: a session's cookie, a password, or a reverse proxy's header; and whether a form is one of ours."""

import asyncio
import logging
import secrets
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from clusterd import console_users
from clusterd.clock import boottime_s
from clusterd.console_users import User
from clusterd.errors import ClusterdError
from clusterd.settings import Settings
from watchers.logs import tagged
from watchers.web.addresses import client, neighbourhood, trusted
from watchers.web.attempts import Attempts
from watchers.web.sessions import Session, Sessions, Terms, form_fits, form_token
from watchers.web.sight import Sight

log = logging.getLogger("clusterd.web")

AT_ONCE = 2  # passwords that are looked at: each takes 64 MiB


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who is logged in. `form_token` goes into each form; `new` says that the cookie is yet to be set."""

    name: str
    user: User
    token: str
    form_token: str
    new: bool = False


class TooMany(ClusterdError):
    """Too many attempts: the next one is looked at after `wait_s`."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(f"too many attempts: wait {wait_s:.0f} s")


class Access:
    """The sessions of this process, and the ways to get one."""

    def __init__(self, settings: Settings, sight: Sight) -> None:
        self._settings, self._sight = settings, sight
        self._sessions = Sessions(Terms(settings.web_idle_s, settings.web_session_s))
        self._attempts = Attempts()
        self._secret = secrets.token_bytes(32)
        self._looking = asyncio.Semaphore(AT_ONCE)

    def address(self, request: Request) -> str:
        """Return the address of whoever asks."""
        return client(_peer(request), request.headers.get("x-forwarded-for", ""), self._settings.web_proxies)

    def secure(self, request: Request) -> bool:
        """Tell whether the browser speaks TLS, with us or with a trusted proxy."""
        if request.url.scheme == "https":
            return True
        forwarded = request.headers.get("x-forwarded-proto", "")
        return forwarded == "https" and trusted(_peer(request), self._settings.web_proxies)

    def who(self, request: Request, used: bool = True) -> Who | None:
        """Return who asks, None where nobody knows. A page that updates itself does not count as using a session."""
        now_s, token, named = boottime_s(), request.cookies.get(self._cookie(request), ""), self._proxied(request)
        find = self._sessions.used if used else self._sessions.seen
        session = find(token, now_s)
        user = self._user(session.user) if session else None
        if session and (user is None or not _holds(session, user, named)):
            self._sessions.end(token)
            session = None
        if session and user:
            return Who(session.user, user, token, form_token(self._secret, token))
        known = self._user(named) if named else None
        return self._begun(request, named, known, proxied=True) if known else None

    async def log_in(self, request: Request, name: str, password: str) -> Who | None:
        """Return who has this name and password, in a new session; None where nobody has. Raises TooMany."""
        user = self._user(name)
        good = await self._fits_password(request, name, user, password)
        return self._begun(request, name, user) if good and user else None

    async def fits(self, request: Request, who: Who, password: str) -> bool:
        """Tell whether this is the password of somebody who is logged in. Raises TooMany."""
        return await self._fits_password(request, who.name, who.user, password)

    def again(self, request: Request, name: str, user: User) -> Who:
        """Return somebody whose password has just changed in a new session, since the old one ended by that."""
        return self._begun(request, name, user)

    async def _fits_password(self, request: Request, name: str, user: User | None, password: str) -> bool:
        address = self.address(request)
        wait_s = self._attempts.wait_s(neighbourhood(address), name, boottime_s())
        if wait_s:
            log.warning("too many attempts to log in from %s", address, extra=tagged("login refused", address=address))
            raise TooMany(wait_s)
        async with self._looking:
            good = await asyncio.to_thread(console_users.fits, user, password)
        if good:
            self._attempts.good(neighbourhood(address), name)
        else:
            about = tagged("login refused", address=address)
            log.warning("a wrong name or password came from %s", address, extra=about)
        return good

    def log_out(self, request: Request, response: Response) -> None:
        """End the session, here and in the browser."""
        self._sessions.end(request.cookies.get(self._cookie(request), ""))
        response.delete_cookie(self._cookie(request))

    def keep(self, request: Request, response: Response, who: Who) -> None:
        """Give the browser the cookie of a session that has just begun."""
        if who.new:
            self._set(request, response, self._cookie(request), who.token)

    def ours(self, request: Request, sent: str) -> bool:
        """Tell whether a form is one that the session's own pages made."""
        return self._fits(request, self._cookie(request), sent)

    def door(self, request: Request, response: Response, token: str) -> None:
        """Give the browser that is about to log in a cookie which its form fits."""
        self._set(request, response, self._door(request), token)

    def door_token(self) -> tuple[str, str]:
        """Return a new token for that cookie, and what the form has."""
        token = secrets.token_urlsafe(32)
        return token, form_token(self._secret, token)

    def at_door(self, request: Request, sent: str) -> bool:
        """Tell whether the form to log in is one of ours."""
        return self._fits(request, self._door(request), sent)

    def _begun(self, request: Request, name: str, user: User, proxied: bool = False) -> Who:
        token, now_s = secrets.token_urlsafe(32), boottime_s()
        self._sessions.end(request.cookies.get(self._cookie(request), ""))
        self._sessions.begin(token, Session(name, "" if proxied else user.hash, now_s, now_s, proxied))
        way, address = " by way of the proxy" if proxied else "", self.address(request)
        log.info("%s logged in from %s%s", name, address, way, extra=tagged("login", user=name, address=address))
        return Who(name, user, token, form_token(self._secret, token), new=True)

    def _user(self, name: str) -> User | None:
        users = self._sight.now.users
        return users.by_name.get(name) if users else None

    def _proxied(self, request: Request) -> str:
        """Return whom a trusted proxy has asked for a password, "" where there is no such proxy."""
        header = self._settings.web_user_header
        if not header or not trusted(_peer(request), self._settings.web_proxies):
            return ""
        return request.headers.get(header, "")

    def _fits(self, request: Request, cookie: str, sent: str) -> bool:
        from_here = request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        return from_here and form_fits(self._secret, request.cookies.get(cookie, ""), sent)

    def _set(self, request: Request, response: Response, cookie: str, token: str) -> None:
        response.set_cookie(cookie, token, httponly=True, samesite="strict", secure=self.secure(request))

    def _cookie(self, request: Request) -> str:
        return "__Host-clusterd" if self.secure(request) else "clusterd"

    def _door(self, request: Request) -> str:
        return self._cookie(request) + "-door"


def _holds(session: Session, user: User, named: str) -> bool:
    """Tell whether a session is still that of the user: with the same password, or named by the proxy."""
    return named == session.user if session.proxied else user.hash == session.proved


def _peer(request: Request) -> str:
    return request.client.host if request.client else ""
