"""What every page shares: the store, what is known, who may ask, and how a page is drawn."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from clusterd.console_users import Role
from clusterd.keys import Keys
from clusterd.store.contract import Store
from watchers.web.access import Access, Who
from watchers.web.drawing import drawn
from watchers.web.sight import Sight
from watchers.web.streams import Streams
from watchers.web.typed import typed

Handler = Callable[[Request, Who], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Console:
    """The console, as its pages know it."""

    store: Store
    keys: Keys
    sight: Sight
    access: Access
    streams: Streams
    here: str  # this host's name


def console(request: Request) -> Console:
    """Return the console that a request is for."""
    found: Console = request.app.state.console
    return found


def page(request: Request, who: Who | None, template: str, status: int = 200, **context: Any) -> Response:
    """Return a page: a template with what all of them show, and its own values."""
    now = console(request).sight.now
    given = {
        "who": who,
        "now": now,
        "clock": datetime.now(UTC),
        "cluster_name": console(request).keys.cluster,
        "path": request.url.path,
        "done": request.query_params.get("done", ""),
        "live": "/live/plain",
        **context,
    }
    return HTMLResponse(drawn(template, given), status)


def guarded(role: Role, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Let only somebody of a role to a page, and only forms that one of our pages made."""

    async def answer(request: Request) -> Response:
        access = console(request).access
        who = access.who(request)
        if who is None:
            return await _nobody(request)
        if not who.user.may(role):
            raise HTTPException(403, f"this is for the role {role}, and yours is {who.user.role}")
        if request.method == "POST":
            request.state.typed = await typed(request)
            if not access.ours(request, request.state.typed.pop("form_token", "")):
                raise HTTPException(403, "this form was not made by the page of your session: open the page again")
        request.state.who = who
        response = await handler(request, who)
        access.keep(request, response, who)
        return response

    return answer


async def _nobody(request: Request) -> Response:
    """Ask for a login; what was typed into a form is shown, so that it is not lost."""
    if request.method != "POST":
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?next={quote(wanted, safe='')}" if wanted != "/" else "/login", 303)
    sent = await typed(request)
    kept = {name: text for name, text in sent.items() if name.startswith(("f:", "text", "message", "name")) and text}
    return page(request, None, "ended.html", 401, kept=kept)
