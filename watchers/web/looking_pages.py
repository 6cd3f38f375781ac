"""The pages that only show: monitoring, topology, lists, history; and the streams that keep them up to date."""

from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from clusterd import configuration
from clusterd.changes import summary
from clusterd.clock import boottime_s
from clusterd.observing import applied
from clusterd.overview import Overview, VirtualLine
from watchers.web.access import Who
from watchers.web.console import console, page
from watchers.web.drawing import drawn
from watchers.web.sessions import digested
from watchers.web.sight import Now
from watchers.web.streams import Parts
from watchers.web.topology import picture

AGES_S = 5.0  # so often ages are told anew when nothing else is
A_PAGE = 50  # virtual servers, or commits, on one page
WIDE, NARROW = (6, 1080), (2, 340)  # columns and width of the picture

Context = dict[str, Any]


async def monitoring(request: Request, who: Who) -> Response:
    """Show how the cluster is."""
    return _live(request, who, "monitoring")


async def topology(request: Request, who: Who) -> Response:
    """Show the picture of the cluster."""
    return _live(request, who, "topology")


async def virtuals(request: Request, who: Who) -> Response:
    """List the virtual servers."""
    return _live(request, who, "virtuals")


async def servers(request: Request, who: Who) -> Response:
    """List the real servers."""
    return _live(request, who, "servers")


async def checks(request: Request, who: Who) -> Response:
    """List how the real servers are checked."""
    return _live(request, who, "checks")


async def live(request: Request) -> Response:
    """Stream the parts of a page that change."""
    known, name = console(request), request.path_params["page"]
    who = known.access.who(request, used=False)
    if who is None or who.new:
        return PlainTextResponse("not logged in", 401)
    if name not in PARTS:
        raise HTTPException(404, "there is no such page")
    whose = digested(who.token)
    if known.streams.full(whose):
        return PlainTextResponse("too many windows are open", 503, {"Retry-After": "30"})

    def parts() -> Parts | None:
        still = known.access.who(request, used=False)
        if still is None or still.new:
            return None
        now = known.sight.now
        moment, page = (now.number, boottime_s() // AGES_S), f"{name}?{request.url.query}"
        about = request.query_params.get("name", "")
        return known.streams.drawn.parts(moment, page, lambda: live_parts(name, now, request, about))

    return StreamingResponse(
        known.streams.stream(whose, parts), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


def live_parts(name: str, now: Now, request: Request, about: str = "") -> dict[str, str]:
    """Return the parts of a page by the ids of their elements; `about` is the virtual server of a page about one."""
    context = _context(name, now, request)
    context["one"] = next((one for one in now.view.virtuals if one.name == about), None) if now.view else None
    return {part: drawn(f"parts/{part}.html", context) for part in ("state", *PARTS[name])}


def _context(name: str, now: Now, request: Request) -> Context:
    given: Context = {"now": now, "clock": datetime.now(UTC)}
    if now.view is None or now.cluster is None:
        return given
    if name == "topology":
        given["pictures"] = [picture(now.cluster, now.view, *size) for size in (WIDE, NARROW)]
    else:
        given |= _shown(now.view, request)
    return given


def _shown(view: Overview, request: Request) -> Context:
    """Return the virtual servers that the page is about: those with the words in them, so many a page."""
    words = request.query_params.get("q", "").split()
    found = [virtual for virtual in view.virtuals if all(_fits(virtual, word) for word in words)]
    said = request.query_params.get("page", "1")
    pages = max(1, -(-len(found) // A_PAGE))
    number = min(max(1, int(said) if said.isascii() and said.isdecimal() and len(said) < 9 else 1), pages)
    shown = found[(number - 1) * A_PAGE : number * A_PAGE]
    return {"shown_virtuals": shown, "q": " ".join(words), "page_number": number, "pages": pages, "total": len(found)}


def _fits(virtual: VirtualLine, word: str) -> bool:
    servers = (text for one in virtual.servers for text in (one.name, one.address, one.state))
    return any(word.casefold() in text.casefold() for text in (virtual.name, virtual.address, *servers))


PARTS: dict[str, tuple[str, ...]] = {  # by page
    "monitoring": ("alarms", "routers", "virtuals"),
    "topology": ("alarms", "topology"),
    "virtuals": ("virtual_list",),
    "servers": ("server_list",),
    "checks": ("check_list",),
    "virtual": ("one_virtual",),
    "redundancy": ("routers",),
    "plain": (),
}


def _live(request: Request, who: Who, name: str) -> Response:
    now = console(request).sight.now
    query = f"?{request.url.query}" if request.url.query else ""
    context = {"q": "", "page_number": 1, "pages": 1, "total": 0, **_context(name, now, request)}
    return page(request, who, f"{name}.html", **{**context, "live": f"/live/{name}{query}"})


async def history(request: Request, who: Who) -> Response:
    """Show the commits, newest first."""
    known = console(request)
    base = known.sight.now.base
    said = request.query_params.get("before", "")
    last = base.number if base else 0
    if said.isascii() and said.isdecimal() and len(said) < 9:
        last = min(last, int(said) - 1)
    numbers = range(last, max(0, last - A_PAGE), -1)
    found = await configuration.numbered(known.store, known.keys, numbers)
    rows = list(zip(numbers, found, strict=True))
    told = [(number, one, one and (one.message or summary(configuration.changes_of(one)))) for number, one in rows]
    return page(request, who, "history.html", rows=told, earlier=numbers[-1] if last > A_PAGE else 0)


async def one_commit(request: Request, who: Who) -> Response:
    """Show one commit, what it changed, and when the routers applied it."""
    known, number = console(request), request.path_params["number"]
    record = await configuration.record(known.store, known.keys, number) if number < 10**8 else None
    if record is None:
        raise HTTPException(404, f"there is no commit {number}")
    routers = await applied(known.store, known.keys, number)
    found = configuration.changes_of(record)
    return page(request, who, "commit.html", record=record, changes=found, routers=routers)
