"""The console's addresses, and what holds for every answer."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clusterd.errors import ClusterdError, ConfigError, StoreError, StoreUnavailable, Uncertain
from watchers.web import login_pages, looking_pages, user_pages
from watchers.web.access import Who
from watchers.web.console import Console, Handler, console, guarded, page
from watchers.web.drawing import STATIC
from watchers.web.editing_pages import edited, rolled_back
from watchers.web.places import Place

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_STATUS = {ConfigError: 422, StoreUnavailable: 503, StoreError: 503, Uncertain: 503}
FOR_EVER = "public, max-age=31536000, immutable"


def made(known: Console) -> Starlette:
    """Return the console as an ASGI application."""
    show = {
        "/": looking_pages.monitoring,
        "/topology": looking_pages.topology,
        "/virtuals": looking_pages.virtuals,
        "/servers": looking_pages.servers,
        "/checks": looking_pages.checks,
        "/history": looking_pages.history,
        "/history/{number:int}": looking_pages.one_commit,
    }
    routes = [Route(path, guarded("viewer", handler)) for path, handler in show.items()]
    edits: dict[str, Handler] = {path: _editing(path) for path in _PLACES}
    routes += [Route(path, guarded("viewer", handler), methods=["GET", "POST"]) for path, handler in edits.items()]
    routes += [
        Route("/history/{number:int}/rollback", guarded("operator", rolled_back), methods=["POST"]),
        Route("/users", guarded("admin", user_pages.users), methods=["GET", "POST"]),
        Route("/account", guarded("viewer", user_pages.account), methods=["GET", "POST"]),
        Route("/logout", guarded("viewer", login_pages.logout), methods=["POST"]),
        Route("/login", login_pages.login, methods=["GET", "POST"]),
        Route("/live/{page}", looking_pages.live),
        Route("/static/{hash}/{name}", _static),
        Route("/favicon.ico", _favicon),
    ]
    handlers = {HTTPException: _refused, ClusterdError: _failed, Exception: _broken}
    app = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type] # narrower than it says
    app.state.console = known
    app.add_middleware(Protected)
    return app


_PLACES: Mapping[str, tuple[str, str, str, str, str]] = {  # by address: path, title, section, back, kind
    "/settings": ("cluster", "Global settings", "settings", "/settings", "settings"),
    "/redundancy": ("cluster", "Redundancy", "redundancy", "/redundancy", "redundancy"),
    "/document": ("", "The whole document", "settings", "/settings", "document"),
    "/new/router": ("routers", "New router", "redundancy", "/redundancy", "router"),
    "/routers/{name}": ("routers/{name}", "Router {name}", "redundancy", "/redundancy", "router"),
    "/new/virtual": ("virtuals", "New virtual server", "virtuals", "/virtuals", "virtual"),
    "/virtuals/{name}": ("virtuals/{name}", "Virtual server {name}", "virtuals", "/virtuals", "virtual"),
    "/virtuals/{name}/check": (
        "virtuals/{name}/check",
        "Check of {name}",
        "checks",
        "/checks",
        "check",
    ),
    "/virtuals/{name}/add": (
        "virtuals/{name}/servers",
        "New real server of {name}",
        "servers",
        "/virtuals/{name}",
        "server",
    ),
    "/virtuals/{name}/servers/{server}": (
        "virtuals/{name}/servers/{server}",
        "Real server {server} of {name}",
        "servers",
        "/virtuals/{name}",
        "server",
    ),
}


def _editing(address: str) -> Handler:
    path, title, section, back, kind = _PLACES[address]
    new = address.startswith("/new/") or address.endswith("/add")

    async def answer(request: Request, who: Who) -> Response:
        names = request.path_params
        where, what, around = (text.format(**names) for text in (path, title, back))
        return await edited(request, who, Place(where, what, section, request.url.path, around, kind, new))

    return answer


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in {file.name for file in STATIC.iterdir()}:
        raise HTTPException(404, "there is no such file")
    return FileResponse(STATIC / name, headers={"Cache-Control": FOR_EVER})


async def _favicon(_request: Request) -> Response:
    return FileResponse(STATIC / "favicon.svg", headers={"Cache-Control": "max-age=86400"})


async def _refused(request: Request, error: HTTPException) -> Response:
    return _told(request, error.status_code, error.detail)


async def _failed(request: Request, error: ClusterdError) -> Response:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 409)
    return _told(request, status, str(error))


async def _broken(request: Request, _error: Exception) -> Response:
    return _told(request, 500, "this should not happen; the console's log says what did, please report it")


def _told(request: Request, status: int, message: str) -> Response:
    who = getattr(request.state, "who", None) or console(request).access.who(request, used=False)
    who = None if who and who.new else who
    return page(request, who, "error.html", status, title=HTTPStatus(status).phrase, message=message)


class Protected:
    """Gives every answer the headers that keep it from being framed, sniffed, or joined by code of others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
                if scope.get("scheme") == "https":
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        await self._app(scope, receive, protected)
