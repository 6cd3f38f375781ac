"""Logging in and out."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from watchers.web.access import TooMany, Who
from watchers.web.console import console, page
from watchers.web.typed import typed

MOST_BYTES = 16 * 1024


async def login(request: Request) -> Response:
    """Show the form, or take name and password."""
    access = console(request).access
    if request.method != "POST":
        if access.who(request):
            return RedirectResponse(_next(request.query_params.get("next", "")), 303)
        return _form(request, request.query_params.get("next", ""))
    sent = await typed(request, MOST_BYTES)
    wanted, name = sent.get("next", ""), sent.get("user", "").strip()
    if not access.at_door(request, sent.get("form_token", "")):
        return _form(request, wanted, name, "This page was too old, or your browser keeps no cookies. Try again.", 403)
    if console(request).sight.now.users is None:
        return _form(request, wanted, name, "etcd does not answer, so nobody can be looked up. Try again later.", 503)
    try:
        who = await access.log_in(request, name, sent.get("password", ""))
    except TooMany as error:
        minutes = max(1, round(error.wait_s / 60))
        said = f"Too many attempts. The next one is looked at in {minutes} min."
        response = _form(request, wanted, name, said, 429)
        response.headers["Retry-After"] = f"{error.wait_s:.0f}"
        return response
    if who is None:
        return _form(request, wanted, name, "There is no such user with this password.", 403)
    response = RedirectResponse(_next(wanted), 303)
    access.keep(request, response, who)
    return response


async def logout(request: Request, who: Who) -> Response:
    """End the session."""
    response = RedirectResponse("/login", 303)
    console(request).access.log_out(request, response)
    return response


def _form(request: Request, wanted: str, name: str = "", notice: str = "", status: int = 200) -> Response:
    access = console(request).access
    token, form_token = access.door_token()
    empty = not (users := console(request).sight.now.users) or not users.by_name
    given = {"door": form_token, "wanted": wanted, "name": name, "notice": notice, "empty": empty and users is not None}
    response = page(request, None, "login.html", status, **given)
    access.door(request, response, token)
    return response


def _next(wanted: str) -> str:
    """Return where to go after the login: a page of ours, whatever a link said."""
    here = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if here else "/"
