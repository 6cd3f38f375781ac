"""Who may use the console, for admins; and everybody's own password."""

import asyncio
from datetime import UTC, datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from clusterd import console_users
from clusterd.console_users import ROLES, Role, User, Users
from clusterd.errors import ClusterdError, ConfigError, wrong
from watchers.web.access import Who
from watchers.web.console import console, page
from watchers.web.forms import Texts


async def users(request: Request, who: Who) -> Response:
    """Show the users; add, change and remove them."""
    if request.method != "POST":
        return await _shown(request, who)
    texts: Texts = request.state.typed
    known = console(request)
    try:
        there = await console_users.read(known.store, known.keys)
        await _done(request, there, texts)
    except ClusterdError as error:
        said = "; ".join(one.message for one in error.problems) if isinstance(error, ConfigError) else str(error)
        return await _shown(request, who, said, texts, 422)
    await known.sight.look()
    return RedirectResponse("/users", 303)


async def _shown(
    request: Request, who: Who, notice: str = "", texts: Texts | None = None, status: int = 200
) -> Response:
    now = console(request).sight.now
    found = now.users.by_name if now.users else {}
    return page(request, who, "users.html", status, users=found, roles=ROLES, notice=notice, texts=texts or {})


async def _done(request: Request, there: Users, texts: Texts) -> None:
    known, name, step, now = console(request), texts.get("name", "").strip(), texts.get("step", ""), datetime.now(UTC)
    if step == "remove":
        await console_users.remove(known.store, known.keys, there, name)
        return
    if step == "add":
        if name in there.revisions:
            raise wrong("name", f"there is a user {name} already")
        password = None if texts.get("proxied") else texts.get("password", "")
        user = await asyncio.to_thread(console_users.made, _role(texts), password, now)
    elif step == "role":
        user = console_users.with_role(_known(there, name), _role(texts), now)
    elif step == "password":
        user = await asyncio.to_thread(console_users.with_password, _known(there, name), texts.get("password", ""), now)
    else:
        raise HTTPException(400, "the form does not say what to do")
    await console_users.put(known.store, known.keys, there, name, user)


def _known(there: Users, name: str) -> User:
    if name not in there.by_name:
        raise wrong("name", f"there is no user {name}")
    return there.by_name[name]


def _role(texts: Texts) -> Role:
    said = next((role for role in ROLES if role == texts.get("role")), None)
    if said is None:
        raise wrong("role", f"is one of {', '.join(ROLES)}")
    return said


async def account(request: Request, who: Who) -> Response:
    """Change one's own password, which takes the old one."""
    if request.method != "POST" or not who.user.hash:
        return page(request, who, "account.html", notice="", changed=request.query_params.get("changed", ""))
    texts: Texts = request.state.typed
    known = console(request)
    try:
        new = await _new_password(request, who, texts)
        there = await console_users.read(known.store, known.keys)
        await console_users.put(known.store, known.keys, there, who.name, new)
    except ClusterdError as error:
        said = "; ".join(one.message for one in error.problems) if isinstance(error, ConfigError) else str(error)
        return page(request, who, "account.html", 422, notice=said, changed="")
    await known.sight.look()
    response = RedirectResponse("/account?changed=1", 303)
    known.access.keep(request, response, known.access.again(request, who.name, new))
    return response


async def _new_password(request: Request, who: Who, texts: Texts) -> User:
    if texts.get("password", "") != texts.get("repeated", ""):
        raise wrong("repeated", "both new passwords have to be the same")
    if not await console(request).access.fits(request, who, texts.get("old", "")):
        raise wrong("old", "the old password is wrong")
    return await asyncio.to_thread(console_users.with_password, who.user, texts.get("password", ""), datetime.now(UTC))
